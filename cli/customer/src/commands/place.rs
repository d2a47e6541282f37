//! The place of an export, as arguments name it: its bucket or a copy in a folder, with the keys that prove it.

mod aws_error;
pub mod bucket;
mod display;
mod folder;
mod format;
pub mod service;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use domain::{configuration::ConfigurationId, digest::Hex32, time::Timestamp};
use futures::stream::LocalBoxStream;
use host::Clock;
use reqwest::Url;
use verification::{
    Circumstances, ClaimedOrigin, Entry, Expectation, ExpectationSource, ExportFiles, MAX_CONCURRENCY, Options, Origin,
    Place, PublicKeys, ReadError, Report, VerificationOutcome,
};

use self::{
    bucket::Bucket,
    service::{PlaceSource, Service},
};
pub use self::{
    display::Display,
    folder::Folder,
    format::{Format, UnsupportedFormat},
};
use crate::{
    access::{self, AccessArguments},
    failure::Failure,
    files::read_beginning,
    model::Endpoint,
};

/// Bytes. A file with 64 public keys in PEM has a fifth of that.
const MAX_KEY_FILE_LENGTH: u64 = 64 * 1_024;
const BUCKET_SCHEME: &str = "s3://";
/// Breaks of an export that are shown if its report is not.
const MAX_SHOWN_BREAKS: usize = 10;

const NO_KEYS: &str = "give --public-key with the file of a public key (audit-export keys > digests.pem saves those of the service), or --profile or \
     --token-file for the keys of the service";

/// The options that name an export and the keys that prove it.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    /// The export: the configuration's ID, `s3://<bucket>/<bucket path>/<configuration ID>`, or a folder with a copy
    ///
    /// With an ID the service is asked for the bucket, its Region and, without `--public-key`, the public keys. A folder of this
    /// name takes precedence. The other two need `--public-key`, `--profile` or `--token-file`.
    #[arg(value_name = "ID|S3-URL|FOLDER")]
    pub target: String,

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

    /// Fail if the digests don't reach this time (RFC 3339), for example because the newest were removed
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    expect_through: Option<Timestamp>,

    /// Fail if there is no digest with this SHA-256, for example the newest one of the service
    #[arg(long, value_name = "SHA256", value_parser = parse_sha256)]
    expect_head: Option<Hex32>,

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
}

fn parse_sha256(text: &str) -> Result<Hex32, domain::digest::InvalidHex> {
    Hex32::try_from(text.to_owned())
}

/// The files of an export.
pub enum Source {
    Folder(PathBuf, Folder),
    Bucket(Bucket),
}

impl Source {
    /// Returns the failure of reading a file or a list.
    pub fn failure(&self, error: ReadError) -> Failure {
        match self {
            Self::Folder(path, _) => Failure::invalid_file(path, error),
            Self::Bucket(_) => unreadable_bucket(error),
        }
    }
}

impl ExportFiles for Source {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        match self {
            Self::Folder(_, files) => files.list(folder),
            Self::Bucket(files) => files.list(folder),
        }
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        match self {
            Self::Folder(_, files) => files.read(name),
            Self::Bucket(files) => files.read(name),
        }
    }
}

/// An export whose files can be read, and everything that is needed to prove them.
pub struct Export {
    pub source: Source,
    pub options: Options,
    pub circumstances: Circumstances,
}

impl PlaceArguments {
    /// Opens the export. If the service is used, it is asked before any file is read, so that later exports are not expected.
    pub async fn open(&self, clock: &dyn Clock) -> Result<Export, Failure> {
        let mut options = self.options()?;
        let circumstances = circumstances(self.target.clone(), clock);
        let id = self.id();
        let is_asked = self.token_file.is_some() || self.profile.is_some();
        if id.is_none() && !is_asked && self.public_keys.is_empty() {
            return Err(Failure::argument("no keys are given", NO_KEYS));
        }
        let service = if id.is_some() || is_asked {
            let accepts_keys = is_asked || self.public_keys.is_empty();
            Some(Service::new(&self.access(id.is_some()).resolve().await?, accepts_keys)?)
        } else {
            None
        };
        let located = match (&service, id) {
            (Some(service), Some(id)) => {
                let endpoint = service.endpoint(id).await?;
                check_server(&endpoint, self.endpoint_url.as_ref())?;
                Some((endpoint.place(id)?, endpoint.region.to_string()))
            }
            _ => None,
        };
        let source = if let (None, Some(path)) = (&located, self.folder()) {
            options.configuration_id = configuration_of(path);
            options.origin = Origin::Copy;
            let source = Source::Folder(path.to_owned(), Folder::open(path)?);
            let claimed = match (&options.place, &service) {
                (None, Some(_)) => {
                    verification::claimed_origin_of(&source).await.map_err(|error| source.failure(error))?
                }
                _ => None,
            };
            ask(service.as_ref(), &mut options, claimed).await?;
            source
        } else {
            let invalid_place = |error: verification::InvalidPlace| Failure::argument("S3-URL", error);
            let (place, region) = match located {
                Some((place, region)) => (place, Some(region)),
                None => (self.target.parse().map_err(invalid_place)?, None),
            };
            let region = self.region.clone().or(region);
            let bucket = Bucket::connect(&place, region, self.endpoint_url.as_ref()).await?;
            if options.place.as_ref().is_some_and(|original| *original != place) {
                options.origin = Origin::Replica;
            }
            options.place.get_or_insert(place);
            ask(service.as_ref(), &mut options, None).await?;
            Source::Bucket(bucket)
        };
        Ok(Export { source, options, circumstances })
    }

    /// Returns the folder that the target is, unless it is an ID or a bucket.
    pub fn folder(&self) -> Option<&Path> {
        let is_folder = self.id().is_none() && !self.target.starts_with(BUCKET_SCHEME);
        is_folder.then(|| Path::new(&self.target))
    }

    /// Returns the ID that the target is. A folder takes precedence, because a copy is usually named after its configuration.
    fn id(&self) -> Option<ConfigurationId> {
        ConfigurationId::parse(&self.target).filter(|_| !Path::new(&self.target).exists())
    }

    /// Returns the arguments for the service. The environment's profile and token file are used only if the service is needed.
    pub fn access(&self, is_needed: bool) -> AccessArguments {
        let Self { profile, url, token_file, .. } = self;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| is_needed && !value.is_empty());
        AccessArguments {
            profile: profile.clone().or_else(|| variable(access::PROFILE_VARIABLE)),
            url: url.clone(),
            token_file: token_file.clone().or_else(|| variable(access::TOKEN_FILE_VARIABLE).map(PathBuf::from)),
        }
    }

    fn options(&self) -> Result<Options, Failure> {
        let mut keys = PublicKeys::default();
        for path in &self.public_keys {
            let text = read_beginning(path, MAX_KEY_FILE_LENGTH)?;
            keys.add_pem(&text).map_err(|error| Failure::invalid_file(path, error))?;
        }
        let mut options = Options::new(keys);
        options.place.clone_from(&self.place);
        options.concurrency = usize::try_from(self.concurrency).unwrap_or(1);
        options.expectation =
            Expectation { through: self.expect_through, head: self.expect_head, source: ExpectationSource::Caller };
        Ok(options)
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

pub fn circumstances(target: String, clock: &dyn Clock) -> Circumstances {
    let program = concat!("audit-export ", env!("CARGO_PKG_VERSION")).to_owned();
    Circumstances { target, verified_at: clock.now(), program }
}

/// Returns the configuration that the folder is named after.
fn configuration_of(folder: &Path) -> Option<ConfigurationId> {
    ConfigurationId::parse(folder.canonicalize().ok()?.file_name()?.to_str()?)
}

pub fn unreadable_bucket(error: ReadError) -> Failure {
    match error {
        ReadError::Denied(reason) => Failure::BucketRefused(reason),
        ReadError::Unavailable(reason) => Failure::Unavailable(reason),
        ReadError::NotFound | ReadError::Unreadable(_) => Failure::Bucket(error.to_string()),
    }
}

/// Returns the failure of a verification that did not end with a complete export.
pub fn conclusion(report: &Report) -> Result<(), Failure> {
    match report.outcome {
        VerificationOutcome::Complete => Ok(()),
        VerificationOutcome::Outdated => Err(Failure::Outdated),
        VerificationOutcome::Broken => {
            Err(Failure::Broken(report.breaks.first().map_or("?", |broken| broken.code.as_str())))
        }
    }
}

/// Adds the keys and the expectation of the service to `options`. This comes before the verification, so that later exports
/// are not expected. The claimed origin of a copy only affects the expectation.
pub async fn ask(
    service: Option<&Service>,
    options: &mut Options,
    claimed: Option<ClaimedOrigin>,
) -> Result<(), Failure> {
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

/// Writes the breaks of an export to standard error, in the words of the report.
pub fn show_breaks(report: &Report) {
    if report.outcome == VerificationOutcome::Broken {
        report.breaks.iter().take(MAX_SHOWN_BREAKS).for_each(|broken| terminal::report("broken", broken));
    }
}

/// Warns of files that were left out, because nothing here proves them, and of events that are in no file because of a filter.
/// `done` says what was done with the others.
pub fn warn_of_unread(report: &Report, done: &str) {
    for (count, reason) in [
        (report.unproven_files(), "no digest here proves them, as long as an export is running"),
        (report.elsewhere.objects.count, "digests name them in another place, which the export was moved from"),
    ] {
        if count > 0 {
            terminal::warn(&format!("files that were not {done}: {count}: {reason}"));
        }
    }
    let left_out = report.digests.left_out;
    if left_out > 0 {
        terminal::warn(&format!("events that were not {done}: {left_out}: filters of the export left them out"));
    }
}
