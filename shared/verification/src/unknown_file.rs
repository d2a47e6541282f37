//! Files whose names the service does not write: harmless ones of an operating system, and all others.

use domain::{digest::SIGNATURE_SUFFIX, export_format::ExportFormat};

use crate::{
    breaks::{Break, BreakCode},
    options::{Options, Origin},
};

/// The beginning of the names of the folders of days.
const DAY_PREFIX: &str = "date=";

/// A file whose name the service does not write.
pub(crate) enum UnknownFile {
    Harmless(String),
    Broken(Break),
}

/// Classifies such a file. In a copy on disk, a file of the operating system is no break, unless a reader of the export's
/// files would read it.
pub(crate) fn classify(options: &Options, name: String, detail: &str) -> UnknownFile {
    match SystemFile::of(&name) {
        Some(SystemFile::Harmless) if options.origin == Origin::Copy => UnknownFile::Harmless(name),
        Some(file) => UnknownFile::Broken(extra(name, file.advice())),
        None => UnknownFile::Broken(extra(name, detail)),
    }
}

/// Returns the break of a file that no digest names.
pub(crate) fn extra(name: String, detail: &str) -> Break {
    Break { code: BreakCode::ExtraObject, file: Some(name), sequence: None, detail: detail.to_owned() }
}

/// A file that macOS or Windows creates in a folder that somebody opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SystemFile {
    /// No reader of an export reads it.
    Harmless,
    /// Its name ends like an object's or a digest's, so a reader of those would read it.
    LooksExported,
    /// It is in the folder of a day and its name does not begin with a full stop, so a reader of the whole folder, such as
    /// Athena or a glob, would read it.
    AmongObjects,
}

impl SystemFile {
    /// `None`: the name is not one that macOS or Windows is known to use.
    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        // macOS keeps a file's attributes here where the file system has no place for them.
        let is_attributes = name.starts_with("._");
        let is_known = is_attributes
            || [".DS_Store", ".localized", "Icon\r"].contains(&name)
            || ["thumbs.db", "desktop.ini", "ehthumbs.db"].contains(&name.to_ascii_lowercase().as_str());
        let is_of = |format: &ExportFormat| name.ends_with(format.extension());
        let looks_exported = ExportFormat::ALL.iter().any(is_of)
            || [".gz", ".json", SIGNATURE_SUFFIX].iter().any(|end| name.ends_with(end));
        is_known.then_some(if looks_exported {
            Self::LooksExported
        } else if path.starts_with(DAY_PREFIX) && !name.starts_with('.') {
            Self::AmongObjects
        } else {
            Self::Harmless
        })
    }

    /// Returns the detail of its break, with the fix.
    fn advice(self) -> &'static str {
        match self {
            Self::Harmless => "the operating system created this file, which is not part of the export: delete it",
            Self::LooksExported => {
                "macOS created this file beside another one, and readers of the export would read it: delete it"
            }
            Self::AmongObjects => {
                "the operating system created this file, and readers of the day's folder would read it: delete it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_computer_are_known_by_their_names() {
        for name in [
            ".DS_Store",
            "_digests/.DS_Store",
            "_digests/Thumbs.db",
            "date=2026-11-22/.DS_Store",
            "date=2026-11-22/._x",
            "desktop.ini",
            "a/._x",
            "Desktop.ini",
        ] {
            assert_eq!(SystemFile::of(name), Some(SystemFile::Harmless), "{name}");
        }
        for name in
            ["date=2026-11-22/Thumbs.db", "date=2026-11-22/desktop.ini", "date=x/.y/ehthumbs.db", "date=/Icon\r"]
        {
            assert_eq!(SystemFile::of(name), Some(SystemFile::AmongObjects), "{name}");
        }
        for name in [
            "date=2026-11-22/._a-b.ndjson.gz",
            "date=2026-11-22/._a-b.ndjson.zst",
            "date=2026-11-22/._a-b.parquet",
            "_digests/._0000000007.json",
            "_digests/._0000000007.json.sig",
        ] {
            assert_eq!(SystemFile::of(name), Some(SystemFile::LooksExported), "{name}");
        }
        for name in ["", "x", "date=2026-11-22/a.ndjson.gz", ".hidden", ".DS_Store/x", "x.DS_Store"] {
            assert_eq!(SystemFile::of(name), None, "{name}");
        }
    }
}
