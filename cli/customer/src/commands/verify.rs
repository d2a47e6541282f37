//! Whether an export is complete and unchanged: in the bucket itself, or in a copy on disk.

mod aws_error;
pub mod bucket;
mod folder;
pub mod service;

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::{ArgGroup, Args, ValueEnum};
use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Url;
use uuid::Uuid;
use verification::{
    Archive, BreakCode, Circumstances, ClaimedOrigin, Expectation, ExpectationSource, MAX_CONCURRENCY, Options, Origin,
    Place, Progress, PublicKeys, ReadError, Report, VerificationOutcome,
};

use self::{
    bucket::Bucket,
    folder::Folder,
    service::{PlaceSource, Service},
};
use crate::{
    access::{self, AccessArguments},
    failure::Failure,
    output,
};

/// Bytes. A file of 64 public keys in PEM has a fifth of it.
const MAX_KEY_FILE_LENGTH: u64 = 64 * 1_024;
const BUCKET_SCHEME: &str = "s3://";

const EXAMPLES: &str = "\
Examples:
  audit-export verify s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --public-key key.pem
  aws s3 sync s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b copy
  audit-export verify copy --public-key key.pem --deep --expect-through 2026-11-22T00:00:00Z --report report.txt
  audit-export verify 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --url https://example.com/production --token-file token

The exit code is 0 only if the export is complete, 6 if it is broken, and 13 if only a newer export is missing in a copy; `audit-export --help` lists the others.";

/// Verify that an export is complete and unchanged
///
/// Walks the signed digests backwards from the newest: each has to be signed with one of the given public keys and to be
/// the one that the next digest names. Then reads every object that they name. With `--public-key` alone nothing is asked
/// of the service, and a folder is verified without any network.
///
/// A bucket is read with your own credentials, from the environment or a profile of the AWS command line; those of a
/// profile with single sign-on come from `aws configure export-credentials`. They need `s3:ListBucket` and
/// `s3:GetObject`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
#[command(group = ArgGroup::new("keys").args(["public_keys", "token_file", "profile"]).required(true).multiple(true))]
pub struct VerifyArguments {
    /// What to verify: `s3://<bucket>/<bucket path>/<configuration id>`, or a folder that is a copy of it
    #[arg(value_name = "S3-URL|FOLDER")]
    target: String,

    /// A public key that digests may be signed with, in PEM; give one for each key that was in use
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,

    /// Ask the service of this profile (see `audit-export profile`), as with `--token-file`
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// The service's base URL, for `--token-file`; `/api/audit/graphql` is added
    #[arg(long, env = access::URL_VARIABLE, hide_env_values = true)]
    url: Option<Url>,

    /// Ask the service at `--url`, with the token in this file, whose permissions include `AUDIT`
    ///
    /// Digests may then be signed with every public key that the service tells. Keys that you kept yourself prove the
    /// same without trust in its answer.
    ///
    /// The digests also have to reach to `exportedThrough` of the configuration that the target's or the `--place`'s end
    /// names or, without either, the newest digest, so that a tail that was cut off shows by itself; in a bucket or a
    /// `--place` that the export was moved away from, to the newest digest that the service wrote there. A copy that ends
    /// earlier is `OUTDATED_COPY` (exit code 13).
    /// `--expect-through` or `--expect-head` replaces that: give one for an older copy, or if the configuration was deleted.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Also inflate every object and compare CRC-32, length and number of events
    #[arg(long)]
    deep: bool,

    /// Fail if the digests don't reach to this time (RFC 3339), as they do not if the newest ones were removed
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    expect_through: Option<Timestamp>,

    /// Fail if there is no digest with this SHA-256, such as that of the newest digest that the service knows
    #[arg(long, value_name = "SHA256", value_parser = parse_sha256)]
    expect_head: Option<Hex32>,

    /// Fail unless the whole export is here: every digest from the first one on, linked, with its objects
    ///
    /// Without it, an export whose older digests are in another bucket or path is complete for the part that is here. How
    /// far an older part here once reached, before the export went elsewhere and came back, is then not proven.
    #[arg(long, conflicts_with = "since")]
    require_whole: bool,

    /// Fail if there are files here that no digest proves: of an export that is under way, or of times whose digests are not
    /// here
    ///
    /// Without it, the report counts them. Whoever reads all files of a folder or bucket reads these too.
    #[arg(long)]
    require_proven: bool,

    /// Write the names of the proven objects to this file, one a line, relative to the export's path
    ///
    /// Read these, and exactly what was verified is read. The file is there only when all is proven: there is none, and no
    /// earlier one, if the export is broken or can't be read.
    #[arg(long, value_name = "FILE")]
    proven_objects: Option<PathBuf>,

    /// Look at no older digests than the one of this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    since: Option<Timestamp>,

    /// Where the export was written to, if the target is a copy of it: `s3://<bucket>/<bucket path>/<configuration id>`
    ///
    /// For a folder without it, the newest digest says so. For a bucket without it, that is the place.
    #[arg(long, value_name = "S3-URL")]
    place: Option<Place>,

    /// The bucket's region; without it, the one of the environment or the profile
    #[arg(long)]
    region: Option<String>,

    /// The most files that are read at once
    #[arg(long, default_value_t = 8, value_name = "FILES",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY as u64))]
    concurrency: u64,

    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    output: ReportFormat,

    /// Also write the report to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// A page for people
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
    format!("{EXAMPLES}\n\nWhat can be broken:\n{codes}")
}

pub fn run(arguments: &VerifyArguments) -> Result<(), Failure> {
    let options = options(arguments)?;
    let service = if arguments.token_file.is_some() || arguments.profile.is_some() {
        let (profile, url, token_file) =
            (arguments.profile.clone(), arguments.url.clone(), arguments.token_file.clone());
        Some(Service::new(&AccessArguments { profile, url, token_file }.resolve()?)?)
    } else {
        None
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    let list = arguments.proven_objects.as_deref().map(ProvenObjects::create).transpose()?;
    let report = runtime.block_on(verify(arguments, options, service.as_ref(), list.as_ref()))?;
    if let Some(list) = list {
        list.finish(report.outcome)?;
    }
    let text = render(&report, arguments.output)?;
    if let Some(path) = &arguments.report {
        fs::write(path, format!("{text}\n")).map_err(Failure::file(path))?;
    }
    output::print_line(&text)?;
    match report.outcome {
        VerificationOutcome::Complete => Ok(()),
        VerificationOutcome::Outdated => Err(Failure::Outdated),
        VerificationOutcome::Broken => {
            Err(Failure::Broken(report.breaks.first().map_or("?", |broken| broken.code.as_str())))
        }
    }
}

async fn verify(
    arguments: &VerifyArguments,
    mut options: Options,
    service: Option<&Service>,
    list: Option<&ProvenObjects>,
) -> Result<Report, Failure> {
    if !arguments.target.starts_with(BUCKET_SCHEME) {
        let path = Path::new(&arguments.target);
        options.configuration_id = configuration_of(path);
        options.origin = Origin::Copy;
        let folder = Folder::open(path)?;
        let unreadable = |error: ReadError| Failure::InvalidFile { path: path.to_owned(), reason: error.to_string() };
        let claimed = match (&options.place, service) {
            (None, Some(_)) => verification::claimed_origin_of(&folder).await.map_err(unreadable)?,
            _ => None,
        };
        ask(service, &mut options, claimed).await?;
        return verify_archive(&folder, &options, arguments, list).await.map_err(unreadable);
    }
    let place: Place =
        arguments.target.parse().map_err(|error: verification::InvalidPlace| invalid_argument("S3-URL", &error))?;
    let bucket = Bucket::connect(&place, arguments.region.clone()).await?;
    if options.place.as_ref().is_some_and(|original| *original != place) {
        options.origin = Origin::Replica;
    }
    options.place.get_or_insert(place);
    ask(service, &mut options, None).await?;
    verify_archive(&bucket, &options, arguments, list).await.map_err(|error| match error {
        ReadError::Denied(reason) => Failure::BucketRefused(reason),
        ReadError::Unavailable(reason) => Failure::Unavailable(reason),
        ReadError::NotFound | ReadError::Unreadable(_) => Failure::Bucket(error.to_string()),
    })
}

/// Adds what the service knows to `options`, before anything is verified: what is exported later can't be missed then. What
/// a copy claims of its origin decides only what is expected of it.
async fn ask(service: Option<&Service>, options: &mut Options, claimed: Option<ClaimedOrigin>) -> Result<(), Failure> {
    let Some(service) = service else { return Ok(()) };
    service.add_keys(&mut options.keys).await?;
    if options.expectation != Expectation::default() {
        return Ok(());
    }
    let known_id = options.place.as_ref().map(Place::configuration_id).or(options.configuration_id);
    let Some(id) = known_id.or(claimed.as_ref().map(|claimed| claimed.configuration_id)) else {
        output::warn(
            "it is not known which configuration this is a copy of, so nothing is expected of its end, and a tail that was \
             cut off would not show: give --place, --expect-through or --expect-head",
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
    arguments: &VerifyArguments,
    list: Option<&ProvenObjects>,
) -> Result<Report, ReadError> {
    let circumstances = Circumstances {
        target: arguments.target.clone(),
        verified_at: now(),
        program: concat!("audit-export ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
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
        let mut text = String::new();
        let file = File::open(path).map_err(Failure::file(path))?;
        file.take(MAX_KEY_FILE_LENGTH).read_to_string(&mut text).map_err(Failure::file(path))?;
        keys.add_pem(&text).map_err(|error| Failure::InvalidFile { path: path.clone(), reason: error.to_string() })?;
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

fn invalid_argument(what: &'static str, error: &impl ToString) -> Failure {
    Failure::InvalidArgument { what, reason: error.to_string() }
}

/// A folder that is called like a configuration is a copy of that one and no other's.
fn configuration_of(folder: &Path) -> Option<ConfigurationId> {
    ConfigurationId::parse(folder.canonicalize().ok()?.file_name()?.to_str()?)
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.saturating_add(since_epoch)
}

fn render(report: &Report, format: ReportFormat) -> Result<String, Failure> {
    match format {
        ReportFormat::Text => Ok(report.to_string().trim_end().to_owned()),
        ReportFormat::Json => serde_json::to_string(report).map_err(|error| Failure::StandardOutput(error.into())),
    }
}

/// The list of proven objects, as they are proven. It has another name until a verification found nothing wrong with them,
/// so that under its own name it is whole.
struct ProvenObjects {
    path: PathBuf,
    partial: PartialFile,
    file: RefCell<BufWriter<File>>,
    /// The first error; nothing is written after it.
    failure: RefCell<Option<io::Error>>,
}

/// A file that goes away with the value, unless it was renamed.
struct PartialFile(PathBuf);

impl Drop for PartialFile {
    fn drop(&mut self) {
        // It has gone if it was renamed; nobody takes it for a list if it can't be removed.
        let _ = fs::remove_file(&self.0);
    }
}

impl ProvenObjects {
    /// Begins the list, and removes an earlier one, which would pass for this verification's.
    fn create(path: &Path) -> Result<Self, Failure> {
        let refuse = |reason: &str| {
            let reason = format!("{} {reason}; give the name of a new file", path.display());
            Failure::InvalidArgument { what: "--proven-objects", reason }
        };
        let Some(name) = path.file_name() else { return Err(refuse("is no file's name")) };
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => fs::remove_file(path).map_err(Failure::file(path))?,
            // What is written to a device or a pipe can't be taken back.
            Ok(_) => return Err(refuse("is not a plain file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::file(path)(error)),
        }
        let mut partial_name = name.to_owned();
        partial_name.push(format!(".{}.partial", Uuid::new_v4()));
        let partial_path = path.with_file_name(partial_name);
        let file = File::create_new(&partial_path).map_err(Failure::file(path))?;
        Ok(Self {
            path: path.to_owned(),
            partial: PartialFile(partial_path),
            file: RefCell::new(BufWriter::new(file)),
            failure: RefCell::default(),
        })
    }

    fn add(&self, name: &str) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = writeln!(self.file.borrow_mut(), "{name}").err();
        }
    }

    fn finish(self, outcome: VerificationOutcome) -> Result<(), Failure> {
        let Self { path, partial, file, failure } = self;
        if outcome == VerificationOutcome::Broken {
            return Ok(());
        }
        let written = failure.into_inner().map_or(Ok(()), Err).and_then(|()| file.into_inner().flush());
        written.and_then(|()| fs::rename(&partial.0, &path)).map_err(Failure::file(path))
    }
}

/// How far it is, drawn on standard error and only where a person looks at it.
struct Display {
    bar: ProgressBar,
}

impl Display {
    fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(Some(0), target) }
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
