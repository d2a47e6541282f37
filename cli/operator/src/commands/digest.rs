//! The command `digest show`: a digest in readable form, with a check of its signature.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use domain::digest::{Digest, Hex32, SIGNATURE_SUFFIX};
use serde_json::json;
use terminal::{OutputFormat, Style, Tone, grouped};
use verification::{MAX_DIGEST_LENGTH, MAX_SIGNATURE_LENGTH, PublicKeys};

use crate::{aws::Aws, failure::Failure, output::OutputArguments, ports::Objects, stack::ConnectionArguments};

/// The most bytes of a file of public keys.
const MAX_KEYS_LENGTH: u64 = 64 * 1_024;

/// Show digests
#[derive(Debug, Subcommand)]
pub enum DigestCommand {
    Show(DigestArguments),
}

/// Show a digest, and check its signature
///
/// The signature is read from beside the digest (suffix .sig), and checked if a public key is given. This checks one digest; to
/// verify a whole export use audit-export verify.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator digest show digest.json --public-key public-key.pem
  audit-export-operator digest show \"s3://acme-audit/logs/$ID/_digests/$NAME\"
  audit-export-operator digest show digest.json --output json \\
    | jq '.digest.objects | length'

The exit code is 6 if the signature is wrong, missing, or of another key than those given.")]
pub struct DigestArguments {
    /// A file, or `s3://BUCKET/KEY`
    place: Place,

    /// A file with public keys that may have signed it (PEM)
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,

    #[command(flatten)]
    connection: ConnectionArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The place of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Object { bucket: String, key: String },
}

impl std::str::FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(path) = text.strip_prefix("s3://") else { return Ok(Self::File(text.into())) };
        match path.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err("an object is given as s3://BUCKET/KEY"),
        }
    }
}

/// The result of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Signature {
    Valid,
    Wrong,
    Missing,
    /// Another key than those given.
    UnknownKey,
    /// No key was given.
    NotChecked,
}

impl Signature {
    fn of(digest: &Digest, bytes: &[u8], signature: Option<&[u8]>, keys: &PublicKeys) -> Self {
        match signature {
            None => Self::Missing,
            Some(_) if keys.is_empty() => Self::NotChecked,
            Some(signature) => match keys.verify(digest.signing_key, bytes, signature) {
                Some(true) => Self::Valid,
                Some(false) => Self::Wrong,
                None => Self::UnknownKey,
            },
        }
    }

    fn words(self) -> (Tone, &'static str) {
        match self {
            Self::Valid => (Tone::Good, "valid"),
            Self::Wrong => (Tone::Bad, "WRONG: the digest was changed, or the signature is of another one"),
            Self::Missing => (Tone::Warning, "missing"),
            Self::UnknownKey => (Tone::Bad, "of another key than those given"),
            Self::NotChecked => (Tone::Faint, "not checked; give --public-key"),
        }
    }
}

pub async fn run(command: &DigestCommand) -> Result<(), Failure> {
    let DigestCommand::Show(arguments) = command;
    let mut keys = PublicKeys::default();
    for path in &arguments.public_key {
        let bytes = read_file(path, MAX_KEYS_LENGTH)?.ok_or_else(|| Failure::NotFound(path.display().to_string()))?;
        let invalid = |reason: String| Failure::InvalidArgument { what: "--public-key", reason };
        let text = String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
        keys.add_pem(&text).map_err(|error| invalid(error.to_string()))?;
    }
    let (bytes, signature) = match &arguments.place {
        Place::File(path) => {
            let mut signature_path = path.as_os_str().to_owned();
            signature_path.push(SIGNATURE_SUFFIX);
            let bytes = read_file(path, MAX_DIGEST_LENGTH)?;
            (bytes, read_file(Path::new(&signature_path), MAX_SIGNATURE_LENGTH)?)
        }
        Place::Object { bucket, key } => {
            let aws = Aws::connect(&arguments.connection).await?;
            let signature_key = format!("{key}{SIGNATURE_SUFFIX}");
            let bytes = aws.object(bucket, key, MAX_DIGEST_LENGTH).await?;
            (bytes, aws.object(bucket, &signature_key, MAX_SIGNATURE_LENGTH).await?)
        }
    };
    let bytes = bytes.ok_or_else(|| Failure::NotFound("digest at this place".to_owned()))?;
    let digest = Digest::from_bytes(&bytes)
        .map_err(|error| Failure::InvalidArgument { what: "the digest", reason: error.to_string() })?;
    let checked = Signature::of(&digest, &bytes, signature.as_deref(), &keys);
    let style = Style::of_standard_output(arguments.output.color);
    terminal::print_line(&show(&digest, &bytes, checked, arguments.output.output, &style)?)?;
    match checked {
        Signature::Valid | Signature::NotChecked => Ok(()),
        Signature::Missing if keys.is_empty() => Ok(()),
        Signature::Missing | Signature::Wrong | Signature::UnknownKey => {
            Err(Failure::Unhealthy(format!("the signature is {}", checked.words().1)))
        }
    }
}

/// Reads a file of at most `max_length` bytes. `None`: it does not exist.
fn read_file(path: &Path, max_length: u64) -> Result<Option<Vec<u8>>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(max_length + 1).read_to_end(&mut bytes).map_err(Failure::file(path))?;
    if bytes.len() as u64 > max_length {
        return Err(Failure::file(path)(io::Error::other(format!("it has more than {max_length} bytes"))));
    }
    Ok(Some(bytes))
}

fn show(
    digest: &Digest,
    bytes: &[u8],
    signature: Signature,
    format: OutputFormat,
    style: &Style,
) -> io::Result<String> {
    let sha256 = Hex32::sha256_of(bytes);
    if format == OutputFormat::Json {
        return Ok(serde_json::to_string(&json!({ "sha256": sha256, "signature": signature, "digest": digest }))?);
    }
    let number = |number: u64| grouped(&number.to_string());
    let time = |time: domain::time::Timestamp| style.time(&time.to_string());
    let events = digest.objects.iter().map(|object| object.events).sum();
    let stored = digest.objects.iter().map(|object| object.stored_length).sum();
    let (tone, words) = signature.words();
    let mut head = vec![style.fields(&[
        ("tenant", Some(digest.tenant_id.to_string())),
        ("configuration", Some(digest.configuration_id.to_string())),
        ("sequence", Some(number(digest.sequence))),
        ("version", Some(digest.version.to_string())),
        ("from", Some(time(digest.window.from))),
        ("to", Some(time(digest.window.to))),
        ("objects", Some(digest.objects.len().to_string())),
        ("events", Some(number(events))),
        ("stored bytes", Some(number(stored))),
        ("signature", Some(style.paint(tone, words))),
    ])];
    let previous = digest.previous.as_ref().map(|previous| previous.sha256.to_string());
    head.extend([
        hash("SHA-256", &sha256.to_string(), style),
        hash("signing key", &digest.signing_key.to_string(), style),
        hash("previous", previous.as_deref().unwrap_or("none: this is the first digest"), style),
    ]);
    let gaps = digest.gaps.iter().map(|gap| {
        // Its name in the digest.
        let reason = json!(gap.reason);
        let reason = style.paint(Tone::Warning, reason.as_str().unwrap_or_default());
        format!("gap  {reason}\n  from {}\n  to   {}", time(gap.from), time(gap.to))
    });
    let objects = digest.objects.iter().map(|object| {
        let place = terminal::text::printable(&format!("s3://{}/{}", object.bucket, object.key));
        let (events, bytes) = (number(object.events), number(object.stored_length));
        format!("{place}\n  {events} events, {bytes} bytes\n  SHA-256 {}", object.sha256)
    });
    Ok(std::iter::once(head.join("\n")).chain(gaps).chain(objects).collect::<Vec<_>>().join("\n\n"))
}

/// Formats a hash under the other fields.
fn hash(name: &str, value: &str, style: &Style) -> String {
    format!("{}  {value}", style.paint(Tone::Faint, &format!("{name:13}")))
}

#[cfg(test)]
mod tests;
