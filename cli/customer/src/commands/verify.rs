//! The command `verify`: proves that an export is complete and unchanged, in its bucket or in a copy.

mod aws_error;
pub mod bucket;
mod folder;
mod repair;
pub mod service;

use std::{
    cell::RefCell,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use host::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use serde::Serialize;
use tempfile::NamedTempFile;
use terminal::ColorChoice;
use verification::{
    Archive, BreakCode, Circumstances, ClaimedOrigin, Expectation, ExpectationSource, MAX_CONCURRENCY, Options, Origin,
    Place, Progress, PublicKeys, ReadError, Report, VerificationOutcome,
};

use self::{
    bucket::Bucket,
    folder::Folder,
    repair::Repairs,
    service::{PlaceSource, Service},
};
use crate::{
    access::{self, Access, AccessArguments},
    failure::Failure,
    files::{parent, read_beginning},
    model::Endpoint,
    output::{self, Style, Tone},
};

/// Bytes. A file with 64 public keys in PEM has a fifth of that.
const MAX_KEY_FILE_LENGTH: u64 = 64 * 1_024;
const BUCKET_SCHEME: &str = "s3://";

const NO_KEYS: &str =
    "give --public-key with the file of a public key, or --profile or --token-file for the keys of the service";

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
    --url https://example.com/production --token-file token

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
    /// The export: the configuration's ID, `s3://<bucket>/<bucket path>/<configuration ID>`, or a folder with a copy
    ///
    /// With an ID the service is asked for the bucket, its Region and, without `--public-key`, the public keys. A folder of this
    /// name takes precedence. The other two need `--public-key`, `--profile` or `--token-file`.
    #[arg(value_name = "ID|S3-URL|FOLDER")]
    target: String,

    /// A public key of the digests, in PEM; give every key that was used
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,

    /// Use the service of this profile (see `audit-export profile`), as with `--token-file`
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// The service's base URL, for `--token-file`; `/api/audit/graphql` is added
    #[arg(long, env = access::URL_VARIABLE, hide_env_values = true)]
    url: Option<Url>,

    /// Use the service at `--url`, with the token in this file, which needs the permission `AUDIT`
    ///
    /// Accepts all public keys of the service. With keys that you stored yourself you don't have to trust the service.
    ///
    /// The digests must also reach `exportedThrough` of the configuration, so that missing newest digests are found. If the
    /// export was moved to another place, the digests must reach the newest one that the service wrote to this place. The
    /// configuration is the one in the target, in `--place` or in the newest digest. A copy that ends earlier is
    /// `OUTDATED_COPY` (exit code 13). `--expect-through` or `--expect-head` replaces this check, for older copies and
    /// deleted configurations.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Also decompress every object, and check its CRC-32, length and number of events
    #[arg(long)]
    deep: bool,

    /// Fail if the digests don't reach this time (RFC 3339), for example because the newest were removed
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    expect_through: Option<Timestamp>,

    /// Fail if there is no digest with this SHA-256, for example the newest one of the service
    #[arg(long, value_name = "SHA256", value_parser = parse_sha256)]
    expect_head: Option<Hex32>,

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

    /// The original place of a copy: `s3://<bucket>/<bucket path>/<configuration ID>`
    ///
    /// Without it, the place of a folder is the one in the newest digest, and the place of a bucket is the bucket itself.
    #[arg(long, value_name = "S3-URL")]
    place: Option<Place>,

    /// The bucket's Region [default: the service's for an ID, or else the one of the environment or the AWS profile]
    #[arg(long)]
    region: Option<String>,

    /// The S3 server that the bucket is on, if it is not AWS's [default: the one of the environment or the AWS profile]
    ///
    /// With an ID it is required if the export has an `endpointUrl`.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<Url>,

    /// The maximum number of files to read concurrently
    #[arg(long, default_value_t = 8, value_name = "FILES",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY as u64))]
    concurrency: u64,

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

fn parse_sha256(text: &str) -> Result<Hex32, domain::digest::InvalidHex> {
    Hex32::try_from(text.to_owned())
}

fn long_help() -> String {
    let describe = |code: &BreakCode| format!("  {}\n      {}", code.as_str(), code.explanation());
    let codes = BreakCode::ALL.iter().map(describe).collect::<Vec<_>>().join("\n");
    format!("{EXAMPLES}\n\nProblems that it finds:\n{codes}")
}

pub async fn run(arguments: &VerifyArguments, clock: &dyn Clock) -> Result<(), Failure> {
    let options = options(arguments)?;
    let circumstances = circumstances(arguments.target.clone(), clock);
    let id = id_of(&arguments.target);
    let is_asked = arguments.token_file.is_some() || arguments.profile.is_some();
    if id.is_none() && !is_asked && arguments.public_keys.is_empty() {
        return Err(Failure::argument("no keys are given", NO_KEYS));
    }
    let service = if id.is_some() || is_asked {
        let accepts_keys = is_asked || arguments.public_keys.is_empty();
        Some(Service::new(&access_of(arguments, id.is_some()).resolve().await?, accepts_keys)?)
    } else {
        None
    };
    let located = match (&service, id) {
        (Some(service), Some(id)) => {
            let endpoint = service.endpoint(id).await?;
            check_server(&endpoint, arguments.endpoint_url.as_ref())?;
            Some((endpoint.place(id)?, endpoint.region.to_string()))
        }
        _ => None,
    };
    let list = arguments.proven_objects.as_deref().map(ProvenObjects::create).transpose()?;
    let report = verify(arguments, located, options, circumstances, service.as_ref(), list.as_ref()).await?;
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
    match report.outcome {
        VerificationOutcome::Complete => Ok(()),
        VerificationOutcome::Outdated => Err(Failure::Outdated),
        VerificationOutcome::Broken => {
            Err(Failure::Broken(report.breaks.first().map_or("?", |broken| broken.code.as_str())))
        }
    }
}

/// Refuses a bucket that is not in AWS unless the arguments name the server: a bucket of AWS may have the same name, and
/// credentials for AWS must not be tried on a server that somebody else configured.
fn check_server(endpoint: &Endpoint, given: Option<&Url>) -> Result<(), Failure> {
    match (&endpoint.endpoint_url, given) {
        (Some(url), None) => {
            let reason = format!(
                "is required, because the bucket {} is not in AWS\n  Give --endpoint-url {url}, and credentials for that server.",
                endpoint.bucket_name
            );
            Err(Failure::argument("--endpoint-url", reason))
        }
        _ => Ok(()),
    }
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
    let circumstances = circumstances(place.to_string(), clock);
    options.place = Some(place);
    ask(Some(&Service::new(access, true)?), &mut options, None).await?;
    verify_archive(&bucket, &options, circumstances, None).await.map_err(unreadable_bucket)
}

fn circumstances(target: String, clock: &dyn Clock) -> Circumstances {
    let program = concat!("audit-export ", env!("CARGO_PKG_VERSION")).to_owned();
    Circumstances { target, verified_at: clock.now(), program }
}

/// Returns the ID that the target is. A folder takes precedence, because a copy is usually named after its configuration.
fn id_of(target: &str) -> Option<ConfigurationId> {
    ConfigurationId::parse(target).filter(|_| !Path::new(target).exists())
}

/// Returns the arguments for the service. The environment's profile and token file are used only if the service is needed.
fn access_of(arguments: &VerifyArguments, is_needed: bool) -> AccessArguments {
    let VerifyArguments { profile, url, token_file, .. } = arguments;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| is_needed && !value.is_empty());
    AccessArguments {
        profile: profile.clone().or_else(|| variable(access::PROFILE_VARIABLE)),
        url: url.clone(),
        token_file: token_file.clone().or_else(|| variable(access::TOKEN_FILE_VARIABLE).map(PathBuf::from)),
    }
}

async fn verify(
    arguments: &VerifyArguments,
    located: Option<(Place, String)>,
    mut options: Options,
    circumstances: Circumstances,
    service: Option<&Service>,
    list: Option<&ProvenObjects>,
) -> Result<Report, Failure> {
    if located.is_none() && !arguments.target.starts_with(BUCKET_SCHEME) {
        let path = Path::new(&arguments.target);
        options.configuration_id = configuration_of(path);
        options.origin = Origin::Copy;
        let folder = Folder::open(path)?;
        let unreadable = |error: ReadError| Failure::invalid_file(path, error);
        let claimed = match (&options.place, service) {
            (None, Some(_)) => verification::claimed_origin_of(&folder).await.map_err(unreadable)?,
            _ => None,
        };
        ask(service, &mut options, claimed).await?;
        return verify_archive(&folder, &options, circumstances, list).await.map_err(unreadable);
    }
    let invalid_place = |error: verification::InvalidPlace| Failure::argument("S3-URL", error);
    let (place, region) = match located {
        Some((place, region)) => (place, Some(region)),
        None => (arguments.target.parse().map_err(invalid_place)?, None),
    };
    let bucket = Bucket::connect(&place, arguments.region.clone().or(region), arguments.endpoint_url.as_ref()).await?;
    if options.place.as_ref().is_some_and(|original| *original != place) {
        options.origin = Origin::Replica;
    }
    options.place.get_or_insert(place);
    ask(service, &mut options, None).await?;
    verify_archive(&bucket, &options, circumstances, list).await.map_err(unreadable_bucket)
}

fn unreadable_bucket(error: ReadError) -> Failure {
    match error {
        ReadError::Denied(reason) => Failure::BucketRefused(reason),
        ReadError::Unavailable(reason) => Failure::Unavailable(reason),
        ReadError::NotFound | ReadError::Unreadable(_) => Failure::Bucket(error.to_string()),
    }
}

/// Adds the keys and the expectation of the service to `options`. This comes before the verification, so that later exports
/// are not expected. The claimed origin of a copy only affects the expectation.
async fn ask(service: Option<&Service>, options: &mut Options, claimed: Option<ClaimedOrigin>) -> Result<(), Failure> {
    let Some(service) = service else { return Ok(()) };
    service.add_keys(&mut options.keys).await?;
    if options.expectation != Expectation::default() {
        return Ok(());
    }
    let known_id = options.place.as_ref().map(Place::configuration_id).or(options.configuration_id);
    let Some(id) = known_id.or(claimed.as_ref().map(|claimed| claimed.configuration_id)) else {
        terminal::warn(
            "the configuration of this copy is unknown, so nothing is expected of its end, and missing newest digests would \
             not be found: give --place, --expect-through or --expect-head",
        );
        return Ok(());
    };
    let claimed_place = claimed.and_then(|claimed| claimed.place).filter(|place| place.configuration_id() == id);
    let source = match (&options.place, &claimed_place) {
        (Some(place), _) => PlaceSource::Given(place),
        (None, Some(place)) => PlaceSource::Claimed(place),
        (None, None) => PlaceSource::Unknown,
    };
    options.expectation = service.expectation(id, source).await?;
    Ok(())
}

async fn verify_archive(
    archive: &impl Archive,
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
    let report = verification::verify(archive, options, circumstances, &show).await;
    display.bar.finish_and_clear();
    report
}

fn options(arguments: &VerifyArguments) -> Result<Options, Failure> {
    let mut keys = PublicKeys::default();
    for path in &arguments.public_keys {
        let text = read_beginning(path, MAX_KEY_FILE_LENGTH)?;
        keys.add_pem(&text).map_err(|error| Failure::invalid_file(path, error))?;
    }
    let mut options = Options::new(keys);
    options.place.clone_from(&arguments.place);
    options.deep = arguments.deep;
    options.concurrency = usize::try_from(arguments.concurrency).unwrap_or(1);
    options.since = arguments.since;
    options.whole_required = arguments.require_whole;
    options.proven_required = arguments.require_proven;
    options.expectation = Expectation {
        through: arguments.expect_through,
        head: arguments.expect_head,
        source: ExpectationSource::Caller,
    };
    Ok(options)
}

/// Returns the configuration that the folder is named after.
fn configuration_of(folder: &Path) -> Option<ConfigurationId> {
    ConfigurationId::parse(folder.canonicalize().ok()?.file_name()?.to_str()?)
}

fn render(report: &Report, arguments: &VerifyArguments) -> Result<String, Failure> {
    let repairs = arguments.repair.then(|| Repairs::of(report, &access_of(arguments, false)));
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

/// A progress bar on standard error, hidden without a terminal.
struct Display {
    bar: ProgressBar,
}

impl Display {
    fn new() -> Self {
        Self { bar: ProgressBar::new(0) }
    }

    fn show(&self, progress: Progress<'_>) {
        match progress {
            Progress::DigestsListed { count } => self.begin(count, "{bar:30} {pos}/{len} digests (ready in {eta})"),
            Progress::DigestChecked => self.bar.inc(1),
            Progress::ObjectsCounted { stored_bytes, .. } => {
                self.begin(
                    stored_bytes,
                    "{bar:30} {bytes}/{total_bytes} of objects {binary_bytes_per_sec} (ready in {eta})",
                );
            }
            Progress::BytesRead { count } => self.bar.inc(count),
            Progress::ObjectChecked | Progress::ObjectProven { .. } => {}
        }
    }

    fn begin(&self, length: u64, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_length(length);
    }
}
