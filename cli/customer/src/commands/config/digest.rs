use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use domain::digest::{DIGEST_FOLDER, Hex32, SIGNATURE_SUFFIX};
use terminal::text::shell_word;

use super::{located::endpoint_of, target::JobTarget};
use crate::{api::operations, failure::Failure, model::SignedDigest, output::OutputFormat, service::Service};

/// Restore the signed digest of an export job
///
/// Writes the digest and its signature to a folder, under their names below the export's prefix, and prints the commands
/// that copy them to the bucket. Use it if `audit-export verify` reports a removed or replaced digest. Nothing is
/// overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config digest 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7
  audit-export config digest 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7 \\
    --directory restored")]
pub struct DigestArguments {
    #[command(flatten)]
    target: JobTarget,

    /// The folder to write to; created if it is missing
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
}

pub async fn run(arguments: &DigestArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.target.service).await?;
    let answer = service.ask(&operations::DIGEST, &arguments.target.variables()).await?;
    let files = Files::of(&answer.parse()?)?;
    let endpoint = match service.output.format {
        OutputFormat::Table => endpoint_of(&service, arguments.target.configuration_id(), &files.bucket).await?,
        OutputFormat::Json => None,
    };
    let server = endpoint.map(|endpoint| endpoint.server_option()).unwrap_or_default();
    files.write(&arguments.directory)?;
    service.output.print(&answer, |_| Ok(files.restoring(&arguments.directory, &server)))
}

/// A digest and its signature, checked against their hashes.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    bucket: String,
    /// The prefix of the names in the bucket, with a slash at its end.
    prefix: String,
    /// The name of the digest, relative to the export's prefix.
    name: String,
    digest: Vec<u8>,
    signature: Vec<u8>,
}

impl Files {
    fn of(served: &SignedDigest) -> Result<Self, Failure> {
        let unusable = |reason: &str| Failure::Unavailable(format!("the service's digest is invalid: {reason}"));
        let signature =
            BASE64_STANDARD.decode(&*served.signature).map_err(|_| unusable("the signature is not base64"))?;
        let digest = served.digest.as_bytes().to_vec();
        for (what, bytes, sha256) in
            [("the digest", &digest, &served.sha256), ("the signature", &signature, &served.signature_sha256)]
        {
            if Hex32::sha256_of(bytes).to_string() != **sha256 {
                return Err(unusable(&format!("the SHA-256 of {what} differs from the one in the answer")));
            }
        }
        let (prefix, name) = served
            .object_key
            .rfind(DIGEST_FOLDER)
            .and_then(|start| served.object_key.split_at_checked(start))
            .filter(|(_, name)| is_digest_name(name))
            .ok_or_else(|| unusable("its object key is not the key of a digest"))?;
        if *served.signature_object_key != format!("{}{SIGNATURE_SUFFIX}", &*served.object_key) {
            return Err(unusable("the object key of the signature does not match the digest's"));
        }
        let (bucket, prefix, name) = (served.bucket_name.to_string(), prefix.to_owned(), name.to_owned());
        Ok(Self { bucket, prefix, name, digest, signature })
    }

    fn signature_name(&self) -> String {
        format!("{}{SIGNATURE_SUFFIX}", self.name)
    }

    /// Writes both files, or none if one of them exists.
    fn write(&self, directory: &Path) -> Result<(), Failure> {
        let files = [(self.signature_name(), &self.signature), (self.name.clone(), &self.digest)];
        if let Some(path) = files.iter().map(|(name, _)| directory.join(name)).find(|path| path.exists()) {
            return Err(Failure::Exists(path));
        }
        let folder = directory.join(DIGEST_FOLDER);
        fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        for (name, bytes) in files {
            let path = directory.join(name);
            let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Failure::Exists(path)),
                file => file.map_err(Failure::file(&path))?,
            };
            file.write_all(bytes).map_err(Failure::file(&path))?;
        }
        Ok(())
    }

    /// Returns the commands that copy the files to the bucket, the signature first, as the service does. `server` is the option for
    /// a bucket that is not in AWS.
    fn restoring(&self, directory: &Path, server: &str) -> String {
        let copy = |name: &str| {
            let path = directory.join(name);
            let target = format!("s3://{}/{}{name}", self.bucket, self.prefix);
            format!("aws s3 cp{server} {} {}", shell_word(&path.to_string_lossy()), shell_word(&target))
        };
        let target = format!("s3://{}/{}", self.bucket, self.prefix.trim_end_matches('/'));
        format!(
            "Wrote the digest and its signature. To copy them to the bucket:\n\n{}\n{}\n\nThen verify the export:\n\n\
             audit-export verify {}{server} --public-key FILE",
            copy(&self.signature_name()),
            copy(&self.name),
            shell_word(&target)
        )
    }
}

/// Returns whether a name is a file in the folder of the digests, without a path to another folder.
fn is_digest_name(name: &str) -> bool {
    name.strip_prefix(DIGEST_FOLDER)
        .and_then(|name| name.strip_suffix(".json"))
        .is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::tests::changed;

    const NAME: &str = "_digests/0000000007_20261122T020000000Z_abababababababab.json";
    const SIGNATURE: [u8; 3] = [0x30, 0xff, 0x00];

    fn sha256(bytes: &[u8]) -> String {
        Hex32::sha256_of(bytes).to_string()
    }

    fn served(changes: &serde_json::Value) -> SignedDigest {
        let key = format!("audit logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b/{NAME}");
        let answer = json!({
            "bucketName": "acme-audit", "objectKey": key, "digest": "{\"version\":1}\n", "sha256": sha256(b"{\"version\":1}\n"),
            "signatureObjectKey": format!("{key}.sig"), "signature": BASE64_STANDARD.encode(SIGNATURE),
            "signatureSha256": sha256(&SIGNATURE),
        });
        changed(answer, changes)
    }

    #[test]
    fn both_files_are_written_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("new");
        Files::of(&served(&json!({}))).unwrap().write(&target).unwrap();
        assert_eq!(fs::read(target.join(NAME)).unwrap(), b"{\"version\":1}\n");
        assert_eq!(fs::read(target.join(format!("{NAME}.sig"))).unwrap(), SIGNATURE);
    }

    #[test]
    fn nothing_is_overwritten() {
        for there in [NAME.to_owned(), format!("{NAME}.sig")] {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir_all(directory.path().join(DIGEST_FOLDER)).unwrap();
            fs::write(directory.path().join(&there), "evidence").unwrap();
            let failure = Files::of(&served(&json!({}))).unwrap().write(directory.path()).unwrap_err();
            assert_eq!((failure.exit_code(), failure.to_string().contains(&there)), (5, true), "{failure}");
            assert_eq!(fs::read(directory.path().join(&there)).unwrap(), b"evidence");
            assert_eq!(fs::read_dir(directory.path().join(DIGEST_FOLDER)).unwrap().count(), 1, "neither is written");
        }
    }

    #[test]
    fn the_commands_put_the_signature_first_and_are_quoted() {
        insta::assert_snapshot!(Files::of(&served(&json!({}))).unwrap().restoring(Path::new("it's here"), ""));
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_refused() {
        let prefix = "logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b/";
        let key = |name: &str| {
            let key = format!("{prefix}{name}");
            json!({ "signatureObjectKey": format!("{key}.sig"), "objectKey": key })
        };
        for changes in [
            json!({ "sha256": sha256(b"x") }),
            json!({ "signatureSha256": sha256(b"x") }),
            json!({ "signature": "?" }),
            json!({ "signatureObjectKey": "x.sig" }),
            key("0000000007.json"),
            key("_digests/"),
            key("_digests/.json"),
            key("_digests/../../.ssh/authorized_keys.json"),
            key("_digests/0000000007 x.json"),
        ] {
            let failure = Files::of(&served(&changes)).unwrap_err();
            assert_eq!(failure.exit_code(), 1, "{changes}");
        }
    }
}
