//! Embeds the built page: compresses each file of `web/dist`, and writes the table of the files that the function includes.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let built = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("web/dist");
    let output = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", built.display());

    let mut table = "pub(crate) static FILES: &[File] = &[\n".to_owned();
    for (number, path) in files_of(&built)?.iter().enumerate() {
        let content = fs::read(path)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&content)?;
        let compressed = output.join(format!("{number}.gz"));
        fs::write(&compressed, encoder.finish()?)?;
        let name: Vec<_> = path.strip_prefix(&built)?.iter().map(|part| part.to_string_lossy()).collect();
        writeln!(
            table,
            "    File {{ name: {:?}, media_type: {:?}, hash: {:?}, plain: include_bytes!({:?}), gzip: include_bytes!({:?}) }},",
            name.join("/"),
            media_type(path)?,
            hash(&content),
            text(path)?,
            text(&compressed)?,
        )?;
    }
    table.push_str("];\n");
    fs::write(output.join("files.rs"), table)?;
    Ok(())
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_of(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

fn media_type(path: &Path) -> Result<&'static str, String> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => Ok("text/html; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("json") => Ok("application/json"),
        Some("svg") => Ok("image/svg+xml"),
        _ => Err(format!("the media type of {} is not known", path.display())),
    }
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
