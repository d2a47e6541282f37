//! Parsers of the names of an export's files.

use domain::{
    block::BlockId,
    configuration::ConfigurationId,
    digest::{DIGEST_FOLDER, DigestTag, Hex32, SIGNATURE_SUFFIX, digest_name},
    export_format::ExportFormat,
    object_key::{LAKE_FOLDER, data_object_name, lake_object_name},
    ocsf::Class,
    time::Timestamp,
};

/// The length of `YYYYMMDDTHHMMSSmmmZ`.
const COMPACT_TIME_LENGTH: usize = 19;

/// The parts of the name of a digest or of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DigestName {
    pub(crate) sequence: u64,
    pub(crate) to: Timestamp,
    /// `None`: an earlier version of the service sealed the digest.
    pub(crate) tag: Option<DigestTag>,
}

impl DigestName {
    /// Parses a digest's name. `None` unless `name` is exactly what [`digest_name`] returns.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (sequence, rest) = name.strip_prefix(DIGEST_FOLDER)?.strip_suffix(".json")?.split_once('_')?;
        let (time, tag) = match rest.split_once('_') {
            Some((time, tag)) => (time, Some(tag.parse().ok()?)),
            None => (rest, None),
        };
        let parsed = Self { sequence: sequence.parse().ok()?, to: parse_compact_time(time)?, tag };
        (parsed.file() == name).then_some(parsed)
    }

    /// Parses the name of a digest's signature.
    pub(crate) fn parse_signature(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(SIGNATURE_SUFFIX)?)
    }

    pub(crate) fn file(self) -> String {
        digest_name(self.sequence, self.to, self.tag)
    }

    /// Returns the parts that name the digest's window: all but the tag.
    pub(crate) fn window(self) -> (u64, Timestamp) {
        (self.sequence, self.to)
    }

    /// Returns whether a digest whose signature has this SHA-256 can have this name.
    pub(crate) fn fits_signature(self, signature_sha256: Hex32) -> bool {
        self.tag.is_none_or(|tag| tag == DigestTag::of_signature(signature_sha256))
    }

    pub(crate) fn signature_file(self) -> String {
        self.file() + SIGNATURE_SUFFIX
    }

    /// Splits a whole key into the export's prefix and the digest's name.
    pub(crate) fn of_key(key: &str) -> Option<(&str, Self)> {
        let (prefix, name) = key.split_at_checked(key.rfind(DIGEST_FOLDER)?)?;
        Some((prefix.strip_suffix('/')?, Self::parse(name)?))
    }
}

fn parse_compact_time(text: &str) -> Option<Timestamp> {
    if text.len() != COMPACT_TIME_LENGTH || !text.is_ascii() {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let (date, time) = text.split_at(9);
    let (year, month, day) = (part(0..4), part(4..6), part(6..8));
    let (hour, minute, second, millisecond) = (part(9..11), part(11..13), part(13..15), part(15..18));
    (date.ends_with('T') && time.ends_with('Z'))
        .then(|| Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{millisecond}Z")).ok())?
}

/// The beginning of the names of files in the layout of Security Lake: they are beside the folder of the export, and relative to it
/// like all names.
pub const BESIDE: &str = "../";

/// The parts of the name of an object in the layout of Security Lake, below the bucket path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LakeName<'a> {
    pub(crate) region: &'a str,
    pub(crate) configuration_id: ConfigurationId,
    pub(crate) blocks: (BlockId, BlockId),
    pub(crate) class: Class,
    pub(crate) tag: &'a str,
}

impl<'a> LakeName<'a> {
    /// Parses a name. `None` unless it is exactly what [`lake_object_name`] returns.
    fn parse(name: &'a str) -> Option<Self> {
        let (region, rest) = name.strip_prefix(LAKE_FOLDER)?.split_once('/')?;
        let file = rest.rsplit('/').next()?.strip_suffix(ExportFormat::OcsfParquet.extension())?.strip_suffix('.')?;
        let (id, rest) = file.split_once('_')?;
        let (rest, tag) = rest.rsplit_once('_')?;
        let (blocks, class) = rest.rsplit_once('_')?;
        let parsed = Self {
            region,
            configuration_id: ConfigurationId::parse(id)?,
            blocks: parse_blocks(blocks)?,
            class: Class::of_uid(class.parse().ok()?)?,
            tag,
        };
        (parsed.file() == name && tag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(parsed)
    }

    fn file(self) -> String {
        lake_object_name(self.region, self.configuration_id, self.blocks, self.class, self.tag)
    }

    /// Splits a whole key into the bucket path, if there is one, and the name.
    pub(crate) fn of_key(key: &'a str) -> Option<(Option<&'a str>, Self)> {
        let mut slashes = key.rmatch_indices('/').map(|(at, _)| at).skip(LAKE_LEVELS);
        match slashes.next() {
            Some(at) => Some((Some(key.get(..at)?), Self::parse(key.get(at + 1..)?)?)),
            None => Some((None, Self::parse(key)?)),
        }
    }
}

/// The folders in a [`LakeName`].
const LAKE_LEVELS: usize = 3;

fn parse_blocks(text: &str) -> Option<(BlockId, BlockId)> {
    let (first, last) = text.split_once('-')?;
    let block = |text: &str| BlockId::parse(text.split_once('_')?.1).ok();
    let (first, last) = (block(first)?, block(last)?);
    (first <= last).then_some((first, last))
}

/// Returns the first and the last block that a data object holds by its name. `None` unless the name is exactly what
/// [`data_object_name`] returns or, after [`BESIDE`], [`lake_object_name`].
pub(crate) fn blocks_of(name: &str) -> Option<(BlockId, BlockId)> {
    if let Some(name) = name.strip_prefix(BESIDE) {
        return LakeName::parse(name).map(|name| name.blocks);
    }
    let (format, blocks) = ExportFormat::ALL.iter().find_map(|format| {
        Some((*format, name.rsplit('/').next()?.strip_suffix(format.extension())?.strip_suffix('.')?))
    })?;
    let (first, last) = blocks.split_once('-')?;
    let mut rest = last.splitn(3, '_').skip(1);
    let first = BlockId::parse(first.split_once('_')?.1).ok()?;
    let last = BlockId::parse(rest.next()?).ok()?;
    let tag = rest.next().map(str::parse).transpose().ok()?;
    (first <= last && data_object_name(format, tag, first, last) == name).then_some((first, last))
}

/// Splits a data object's whole key into the export's prefix and its name, if that is one of these blocks.
pub(crate) fn split_data_key(key: &str, first_block: BlockId, last_block: BlockId) -> Option<(&str, &str)> {
    let (prefix, name) = key.split_at_checked(key.rfind("/date=")?)?;
    let name = name.strip_prefix('/')?;
    (blocks_of(name)? == (first_block, last_block)).then_some((prefix, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_have_one_spelling() {
        let name = DigestName { sequence: 7, to: Timestamp::parse("2026-11-22T02:00:00.001Z").unwrap(), tag: None };
        assert_eq!(name.file(), "_digests/0000000007_20261122T020000001Z.json");
        let tagged = DigestName { tag: Some(DigestTag::of_signature(Hex32([0xab; 32]))), ..name };
        assert_eq!(tagged.file(), "_digests/0000000007_20261122T020000001Z_abababababababab.json");
        for name in [name, tagged] {
            assert_eq!(DigestName::parse(&name.file()), Some(name));
            assert_eq!(DigestName::parse_signature(&name.signature_file()), Some(name));
            assert_eq!(DigestName::of_key(&format!("a/b/{}", name.file())), Some(("a/b", name)));
        }
        for bad in [
            "",
            "_digests/",
            "_digests/7_20261122T020000001Z.json",
            "_digests/+000000007_20261122T020000001Z.json",
            "_digests/0000000007_20261122T020000001Z.json.sig",
            "_digests/0000000007_20261322T020000001Z.json",
            "_digests/0000000007_20261122T020000001z.json",
            "_digests/0000000007_20261122x020000001Z.json",
            "_digests/0000000007_20261122T02000é001Z.json",
            "_digests/a/0000000007_20261122T020000001Z.json",
            "_digests/0000000007_20261122T020000001Z_.json",
            "_digests/0000000007_20261122T020000001Z_ABABABABABABABAB.json",
            "_digests/0000000007_20261122T020000001Z_ababababababab.json",
            "_digests/0000000007_20261122T020000001Z_abababababababab_.json",
        ] {
            assert_eq!(DigestName::parse(bad), None, "{bad}");
        }
        // The walk relies on it: names are listed in the order of sequence, time and tag.
        let names = [name.file(), name.signature_file(), tagged.file(), tagged.signature_file()];
        assert!(names.is_sorted() && name < tagged);
        let block = BlockId::from_parts(name.to, 5);
        for format in ExportFormat::ALL {
            let object = data_object_name(*format, None, block, block.next());
            let filtered = data_object_name(*format, "00c0ffee".parse().ok(), block, block.next());
            for object in [&object, &filtered] {
                assert_eq!(blocks_of(object), Some((block, block.next())));
                assert_eq!(split_data_key(&format!("p/{object}"), block, block.next()), Some(("p", object.as_str())));
                assert_eq!(split_data_key(&format!("p/{object}"), block, block), None);
            }
            for bad in ["00C0FFEE", "00c0ffe", "00c0ffee_", "", "00c0ffee_00c0ffee"] {
                assert_eq!(blocks_of(&filtered.replace("00c0ffee", bad)), None, "{bad}");
            }
            assert_eq!(blocks_of(&data_object_name(*format, None, block.next(), block)), None);
            assert_eq!(blocks_of(&object.replace("date=2026-11-22", "date=2026-11-21")), None);
            assert_eq!(blocks_of(&format!("date=2026-11-22/x.{}", format.extension())), None);
            assert_eq!(blocks_of(&format!("{object}.txt")), None);
        }
        let configuration_id = ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap();
        let blocks = (block, block.next());
        let lake =
            LakeName { region: "eu-west-1", configuration_id, blocks, class: Class::ApiActivity, tag: "0a1b2c3d" };
        let file = lake.file();
        assert_eq!(LakeName::of_key(&file), Some((None, lake)));
        assert_eq!(LakeName::of_key(&format!("ext/region=x/{file}")), Some((Some("ext/region=x"), lake)));
        assert_eq!((blocks_of(&format!("../{file}")), blocks_of(&file)), (Some(blocks), None));
        for (from, to) in [
            ("eventDay=20261122", "eventDay=20261121"),
            ("external", "222222222222"),
            ("6003", "6004"),
            ("6003", "06003"),
            ("0a1b2c3d", "0a1b2c3z"),
            (".parquet", ".ndjson.gz"),
        ] {
            assert_eq!(LakeName::of_key(&file.replace(from, to)), None, "{to}");
        }
    }
}
