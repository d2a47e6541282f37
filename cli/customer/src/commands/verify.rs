//! The command `verify`: proves that an export is complete and unchanged, in its bucket or in a copy.

mod repair;

use std::{
    cell::RefCell,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use domain::time::Timestamp;
use host::Clock;
use serde::Serialize;
use tempfile::NamedTempFile;
use terminal::ColorChoice;
use verification::{
    BreakCode, Circumstances, ExportFiles, Options, Place, Progress, PublicKeys, ReadError, Report, VerificationOutcome,
};

use self::repair::Repairs;
use super::place::{self, Display, Export, PlaceArguments, bucket::Bucket, service::Service};
use crate::{
    access::Access,
    failure::Failure,
    files::parent,
    output::{self, Style, Tone},
};

const EXAMPLES: &str = "\
Examples:
  audit-export verify 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --profile production
  audit-export verify \\
    s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --public-key key.pem
  aws s3 sync s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b copy
  audit-export verify copy --public-key key.pem --deep \\
    --expect-through 2026-11-22T00:00:00Z --report report.txt
  audit-export verify \\
    s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --url https://example.com/v1 --token-file token

The exit code is 0 only if the export is complete, 6 if it is broken, and 13 if only a newer export is missing in a copy; `audit-export --help` lists the others.";

/// Verify that an export is complete and unchanged
///
/// Checks the chain of signed digests from the newest to the oldest: each must be signed with one of the given public keys
/// and be named by the next digest. Then checks every object that the digests name. With `--public-key` alone the service is
/// not used, and a folder is verified offline.
///
/// A bucket is read with your own AWS credentials, from the environment or a profile of the AWS CLI; a profile with single
/// sign-on needs version 2 of the AWS CLI. The credentials need `s3:ListBucket` and `s3:GetObject`.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub struct VerifyArguments {
    #[command(flatten)]
    place: PlaceArguments,

    /// Also decompress every object, and check its CRC-32, length and number of events
    #[arg(long)]
    deep: bool,

    /// Fail unless the whole export is here: every digest from the first one, with its objects
    ///
    /// Without it, the export can be complete even if older digests are in another bucket or path. If the export moved away
    /// and back, the end of the older part here is then not proven.
    #[arg(long, conflicts_with = "since")]
    require_whole: bool,

    /// Fail if there are files that no digest proves: files of a running export, or of digests that are not here
    ///
    /// Without it, the report counts them. Programs that read all files of the folder or bucket read these too.
    #[arg(long)]
    require_proven: bool,

    /// Write the names of the proven objects to this file, one per line, relative to the export's path
    ///
    /// Programs that read these files read exactly what was verified. The file is only written if the verification succeeds;
    /// otherwise an earlier file is removed.
    #[arg(long, value_name = "FILE")]
    proven_objects: Option<PathBuf>,

    /// Verify only the digests from this time (RFC 3339) on
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    since: Option<Timestamp>,

    /// The format of the report
    #[arg(long, value_enum, default_value_t)]
    output: ReportFormat,

    /// When to print colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: ColorChoice,

    /// Also print the commands that repair what is missing or altered in the bucket
    ///
    /// They run `audit-export config repair` for the times concerned. Nothing is repaired by this command itself. The folder of a
    /// replay can't be repaired: request the replay again, to another path.
    #[arg(long)]
    repair: bool,

    /// Also write the report to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// Text for people
    #[default]
    Text,
    /// One JSON object on one line
    Json,
}

fn long_help() -> String {
    let describe = |code: &BreakCode| format!("  {}\n      {}", code.as_str(), code.explanation());
    let codes = BreakCode::ALL.iter().map(describe).collect::<Vec<_>>().join("\n");
    format!("{EXAMPLES}\n\nProblems that it finds:\n{codes}")
}

pub async fn run(arguments: &VerifyArguments, clock: &dyn Clock) -> Result<(), Failure> {
    let list = arguments.proven_objects.as_deref().map(ProvenObjects::create).transpose()?;
    let Export { source, mut options, circumstances } = arguments.place.open(clock).await?;
    options.deep = arguments.deep;
    options.since = arguments.since;
    options.whole_required = arguments.require_whole;
    options.proven_required = arguments.require_proven;
    let verified = verify_export(&source, &options, circumstances, list.as_ref()).await;
    let report = verified.map_err(|error| source.failure(error))?;
    if let Some(list) = list {
        list.finish(report.outcome)?;
    }
    let text = render(&report, arguments)?;
    if let Some(path) = &arguments.report {
        fs::write(path, format!("{text}\n")).map_err(Failure::file(path))?;
    }
    let style = Style::of_standard_output(arguments.color);
    output::print_line(&if arguments.output == ReportFormat::Text {
        painted(&text, report.outcome, &style)
    } else {
        text
    })?;
    place::conclusion(&report)
}

/// Verifies an export in its bucket, for `setup`: with the service's keys, up to what it has exported, every object inflated.
pub async fn verify_in_bucket(
    place: Place,
    region: String,
    access: &Access,
    clock: &dyn Clock,
) -> Result<Report, Failure> {
    let bucket = Bucket::connect(&place, Some(region), None).await?;
    let mut options = Options::new(PublicKeys::default());
    options.deep = true;
    let circumstances = place::circumstances(place.to_string(), clock);
    options.place = Some(place);
    place::ask(Some(&Service::new(access, true)?), &mut options, None).await?;
    verify_export(&bucket, &options, circumstances, None).await.map_err(place::unreadable_bucket)
}

async fn verify_export(
    export: &impl ExportFiles,
    options: &Options,
    circumstances: Circumstances,
    list: Option<&ProvenObjects>,
) -> Result<Report, ReadError> {
    let display = Display::new();
    let show = |progress: Progress<'_>| {
        if let (Progress::ObjectProven { name }, Some(list)) = (progress, list) {
            list.add(name);
        }
        display.show(progress);
    };
    let report = verification::verify(export, options, circumstances, &show).await;
    display.finish();
    report
}

fn render(report: &Report, arguments: &VerifyArguments) -> Result<String, Failure> {
    let repairs = arguments.repair.then(|| Repairs::of(report, &arguments.place.access(false)));
    match arguments.output {
        ReportFormat::Text => {
            let text = report.to_string();
            let text = text.trim_end();
            Ok(repairs.map_or_else(|| text.to_owned(), |repairs| format!("{text}\n\n{}", repairs.text(report.outcome))))
        }
        ReportFormat::Json => output::json(&JsonReport { report, repairs }),
    }
}

/// Paints the verdict, the first word of its line, in the report.
fn painted(text: &str, outcome: VerificationOutcome, style: &Style) -> String {
    let (word, tone) = match outcome {
        VerificationOutcome::Complete => ("COMPLETE", Tone::Good),
        VerificationOutcome::Outdated => ("OUTDATED", Tone::Warning),
        VerificationOutcome::Broken => ("BROKEN", Tone::Bad),
    };
    text.replacen(word, &style.paint(tone, word), 1)
}

/// The report as JSON, with the repairs if they were asked for.
#[derive(Serialize)]
struct JsonReport<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    repairs: Option<Repairs>,
}

/// The list of proven objects, written to a temporary file until the verification has ended, so that the named file is
/// always complete.
struct ProvenObjects {
    path: PathBuf,
    file: RefCell<BufWriter<NamedTempFile>>,
    /// The first error. Nothing is written after it.
    failure: RefCell<Option<io::Error>>,
}

impl ProvenObjects {
    /// Starts the list, and removes an earlier one, which could be taken for the list of this verification.
    fn create(path: &Path) -> Result<Self, Failure> {
        let refuse = |reason: &str| {
            let reason = format!("{} {reason}; give the name of a new file", path.display());
            Failure::argument("--proven-objects", reason)
        };
        if path.file_name().is_none() {
            return Err(refuse("is not a file name"));
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => fs::remove_file(path).map_err(Failure::file(path))?,
            // Output to a device or a pipe can't be taken back.
            Ok(_) => return Err(refuse("is not a plain file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::file(path)(error)),
        }
        let mut builder = tempfile::Builder::new();
        // Like a file that is created directly: for others too, as far as the umask permits.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(parent(path)).map_err(Failure::file(path))?;
        Ok(Self { path: path.to_owned(), file: RefCell::new(BufWriter::new(file)), failure: RefCell::default() })
    }

    fn add(&self, name: &str) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = writeln!(self.file.borrow_mut(), "{name}").err();
        }
    }

    fn finish(self, outcome: VerificationOutcome) -> Result<(), Failure> {
        if outcome == VerificationOutcome::Broken {
            return Ok(());
        }
        let Self { path, file, failure } = self;
        let written = failure.into_inner().map_or(Ok(()), Err);
        let file = written.and_then(|()| file.into_inner().into_inner().map_err(io::IntoInnerError::into_error));
        file.and_then(|file| Ok(file.persist(&path)?)).map_err(Failure::file(path.clone()))?;
        Ok(())
    }
}
