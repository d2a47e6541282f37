//! The files of the built page, which build.rs embeds.

/// A file of the page.
pub(crate) struct File {
    /// The path below `web/dist`, with slashes.
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    /// The beginning of the content's SHA-256, in hexadecimal.
    pub(crate) hash: &'static str,
    pub(crate) plain: &'static [u8],
    pub(crate) gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The name of the document.
pub(crate) const DOCUMENT: &str = "index.html";

pub(crate) fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_compressed_is_the_file() {
        for file in FILES {
            let mut plain = Vec::new();
            GzDecoder::new(file.gzip).read_to_end(&mut plain).unwrap();
            assert!(plain == file.plain, "{}", file.name);
            assert!(!plain.is_empty());
        }
    }

    #[test]
    fn the_document_names_its_files_relative_to_its_own_address() {
        let document = str::from_utf8(file(DOCUMENT).unwrap().plain).unwrap();
        let named: Vec<&str> = document
            .split(['"'])
            .filter_map(|text| text.strip_prefix("audit/"))
            .inspect(|name| assert!(file(name).is_some(), "{name}"))
            .collect();
        assert!(named.len() >= 3, "{named:?}");
        assert!(!document.contains("src=\"/") && !document.contains("href=\"/"));
    }

    #[test]
    fn the_document_has_no_script_or_style_of_its_own() {
        let document = str::from_utf8(file(DOCUMENT).unwrap().plain).unwrap();
        for script in document.split("<script").skip(1) {
            assert!(script.split_once('>').unwrap().1.starts_with("</script>"), "{script}");
        }
        assert!(!document.contains("<style") && !document.contains("style="));
    }
}
