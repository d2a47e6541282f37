//! The record of a replay: what was requested, and how far it is.

use std::time::Duration;

use strum::{EnumString, IntoStaticStr};

use super::{
    failure::ReplayError,
    key::{ReplayKey, ReplayMessage},
    limits::MAX_REPLAY_DURATION,
    period::ReplayPeriod,
    request::ReplayRequest,
};
use crate::{
    configuration::{Destination, ExportConfiguration, ExportProgress},
    connection::{Connection, ConnectionErrorCode},
    encoding::Encoding,
    event_filter::EventFilter,
    export_format::ExportFormat,
    named::named,
    ocsf::OcsfSettings,
    time::Timestamp,
};

/// A replay, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub key: ReplayKey,
    pub period: ReplayPeriod,
    /// The destination of the configuration at the request, with the replay's path. A later edit of the configuration does not
    /// divide a replay between two buckets.
    pub destination: Destination,
    /// The format of the configuration at the request. A later edit of the configuration does not divide a replay between two
    /// formats. `None`: the record is older than formats, and the replay has the configuration's.
    pub format: Option<ExportFormat>,
    /// The filter of the configuration at the request, which a later edit does not change either. `None`: all events.
    pub filter: Option<EventFilter>,
    /// The choices of OCSF at the request.
    pub ocsf: Option<OcsfSettings>,
    pub requested_by: String,
    pub requested_at: Timestamp,
    /// 1, raised by each further request for it. Messages and runs of an earlier attempt are not wanted, so that one chain of
    /// messages works on a replay however often it is requested.
    pub attempt: u32,
    pub started_at: Option<Timestamp>,
    pub progress: ReplayProgress,
    /// The last successful connection test of the replay's destination.
    pub test: Option<ReplayTest>,
    pub state: ReplayState,
}

/// The progress of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Everything of the period that was received before it is in the bucket and in a digest.
    pub exported_through: Option<Timestamp>,
    /// The objects in the bucket, without the digests.
    pub objects: u64,
    pub events: u64,
    /// The size of the objects as they are stored.
    pub stored_bytes: u64,
}

/// A successful connection test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayTest {
    pub at: Timestamp,
    /// The version of the configuration whose identity was tested.
    pub version: u64,
}

/// The state of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Requested; no run has started yet.
    Pending,
    Running,
    Ended {
        at: Timestamp,
        end: ReplayEnd,
    },
}

/// The end of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayEnd {
    Succeeded,
    Failed(ReplayError),
    /// A person ended it.
    Cancelled,
}

/// The state of a replay by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplayStatus {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

named!(ReplayStatus, parse);

impl ReplayState {
    #[must_use]
    pub fn status(&self) -> ReplayStatus {
        match self {
            Self::Pending => ReplayStatus::Pending,
            Self::Running => ReplayStatus::Running,
            Self::Ended { end: ReplayEnd::Succeeded, .. } => ReplayStatus::Succeeded,
            Self::Ended { end: ReplayEnd::Failed(_), .. } => ReplayStatus::Failed,
            Self::Ended { end: ReplayEnd::Cancelled, .. } => ReplayStatus::Cancelled,
        }
    }
}

impl Replay {
    /// Returns the replay that a person has requested of a configuration.
    #[must_use]
    pub fn new(key: ReplayKey, request: ReplayRequest, by: &str, at: Timestamp) -> Self {
        let ReplayRequest { period, destination, encoding: Encoding { format, filter, ocsf } } = request;
        Self {
            key,
            period,
            destination,
            format: Some(format),
            filter,
            ocsf,
            requested_by: by.to_owned(),
            requested_at: at,
            attempt: 1,
            started_at: None,
            progress: ReplayProgress::default(),
            test: None,
            state: ReplayState::Pending,
        }
    }

    /// Returns the time by which it has to end, however often it is continued.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.requested_at.saturating_add(MAX_REPLAY_DURATION)
    }

    /// Returns the time until which the record of a replay that is at work at `at`, and the items that its runs write then, are
    /// kept. Nothing of a replay may expire before its deadline; after that, its record shows its end for as long again.
    #[must_use]
    pub fn kept_until(at: Timestamp, history: Duration) -> Timestamp {
        at.saturating_add(history.max(MAX_REPLAY_DURATION * 2))
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ReplayState::Ended { .. })
    }

    /// Returns the replay as it is at `now`: one that took too long has failed, although no run may have stored that yet.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        let at = self.deadline();
        if self.has_ended() || now < at {
            return self;
        }
        let end = ReplayEnd::Failed(ReplayError::timed_out(self.progress.exported_through));
        Self { state: ReplayState::Ended { at, end }, ..self }
    }

    /// Returns whether a request asks for this replay.
    #[must_use]
    pub fn is_of(&self, request: &ReplayRequest) -> bool {
        self.period == request.period
            && self.destination.bucket_name == request.destination.bucket_name
            && self.destination.bucket_path == request.destination.bucket_path
    }

    /// Returns the replay after the same request, while it has not ended.
    #[must_use]
    pub fn repeated(&self) -> Self {
        Self { attempt: self.attempt.saturating_add(1), ..self.clone() }
    }

    /// Returns the message that continues it for one slice.
    #[must_use]
    pub fn message(&self) -> ReplayMessage {
        ReplayMessage { replay: self.key.clone(), attempt: self.attempt }
    }

    /// Returns the replay, continued by the same request after it was cancelled or failed. The key, the Region and the owner of
    /// the bucket are those of the configuration now: they may be what was wrong. Format and filter stay. `None`: it has
    /// succeeded, has not ended, or its time is over.
    #[must_use]
    pub fn continued(&self, request: ReplayRequest, now: Timestamp) -> Option<Self> {
        let has_stopped = matches!(self.state.status(), ReplayStatus::Failed | ReplayStatus::Cancelled);
        (has_stopped && now < self.deadline()).then(|| Self {
            destination: Destination { layout: self.destination.layout, ..request.destination },
            state: ReplayState::Pending,
            ..self.repeated()
        })
    }

    /// Returns the percentage of the period that is exported.
    #[must_use]
    pub fn percent(&self) -> u8 {
        if self.state.status() == ReplayStatus::Succeeded {
            return 100;
        }
        let Some(through) = self.progress.exported_through else { return 0 };
        let ReplayPeriod { from, to } = self.period;
        let done = through.saturating_since(from).as_millis().saturating_mul(100);
        let percent = done / to.saturating_since(from).as_millis().max(1);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }

    /// Returns the replay as an export of its own. `configuration`, whose period it exports again, provides the identity.
    #[must_use]
    pub fn export(&self, configuration: &ExportConfiguration) -> ExportConfiguration {
        let ReplayTest { at, version } = self.test.unwrap_or(ReplayTest { at: Timestamp::EPOCH, version: 0 });
        let is_tested = version == configuration.version;
        let is_same_site = configuration.destination.site == self.destination.site;
        let has_worked = is_same_site && may_have_worked(&configuration.connection);
        ExportConfiguration {
            key: self.key.export(),
            replay_of: Some(self.key.configuration_id),
            enabled: true,
            destination: self.destination.clone(),
            format: self.format.unwrap_or(configuration.format),
            filter: self.filter.clone(),
            ocsf: self.ocsf.clone(),
            // Nothing from before the start of the export belongs to it.
            start_from: self.period.from.max(configuration.start_from),
            connection: if is_tested {
                Connection::Success { checked_at: at }
            } else if has_worked {
                // Too old to count as a test, and enough to tell an outage of the Region from one that doesn't exist.
                Connection::Success { checked_at: Timestamp::EPOCH }
            } else {
                Connection::Pending
            },
            progress: ExportProgress { exported_through: self.progress.exported_through, ..ExportProgress::default() },
            requested_through: None,
            requested_until: None,
            // Events that were past their retention then were never promised to the replay.
            created_at: self.requested_at,
            ..configuration.clone()
        }
    }
}

/// Returns whether a destination that does not answer now may have worked before. A Region that is disabled for the service's
/// account never did.
fn may_have_worked(connection: &Connection) -> bool {
    let is_disabled = connection.error().is_some_and(|error| error.code == ConnectionErrorCode::RegionDisabled);
    connection.has_answered() && !is_disabled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{Layout, bucket::BucketPath, test_support::with_role},
        connection::{ConnectionError, ConnectionStatus},
        export_run::ExportState,
        replay::test_support::{replay, request},
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn ended(end: ReplayEnd) -> Replay {
        Replay { state: ReplayState::Ended { at: replay().requested_at, end }, ..replay() }
    }

    #[test]
    fn a_replay_that_takes_too_long_has_failed() {
        let replay = replay();
        let in_time = replay.deadline().saturating_sub(HOUR);
        assert_eq!(replay.clone().as_of(in_time), replay);
        let late = replay.clone().as_of(replay.deadline());
        assert_eq!(late.state.status(), ReplayStatus::Failed);
        let succeeded = ended(ReplayEnd::Succeeded);
        assert_eq!(succeeded.clone().as_of(Timestamp::MAX), succeeded, "an end stays");
    }

    #[test]
    fn nothing_of_a_replay_expires_as_long_as_it_can_be_continued() {
        let (at, week, long) = (replay().requested_at, HOUR * 24 * 7, HOUR * 24 * 400);
        assert_eq!(Replay::kept_until(at, HOUR), replay().deadline().saturating_add(week));
        assert_eq!(Replay::kept_until(at, long), at.saturating_add(long));
    }

    #[test]
    fn only_a_failed_or_cancelled_replay_is_continued_and_only_in_its_time() {
        let now = replay().requested_at.saturating_add(HOUR);
        let failure = ReplayEnd::Failed(ReplayError::timed_out(None));
        for (stopped, continues) in [
            (ended(ReplayEnd::Cancelled), true),
            (ended(failure), true),
            (ended(ReplayEnd::Succeeded), false),
            (replay(), false),
        ] {
            let continued = stopped.continued(request(), now);
            assert_eq!(continued.is_some(), continues, "{:?}", stopped.state);
            if let Some(continued) = continued {
                assert_eq!((continued.attempt, continued.state), (2, ReplayState::Pending));
                assert_eq!(continued.requested_at, stopped.requested_at, "its time goes on");
            }
        }
        let cancelled = ended(ReplayEnd::Cancelled);
        assert_eq!(cancelled.continued(request(), cancelled.deadline()), None);
    }

    #[test]
    fn the_same_request_names_the_same_period_bucket_and_path() {
        assert!(replay().is_of(&request()));
        let elsewhere = BucketPath::parse("replays/other").ok();
        let destination = Destination { bucket_path: elsewhere, ..request().destination };
        assert!(!replay().is_of(&ReplayRequest { destination, ..request() }));
        let period = ReplayPeriod { to: request().period.to.saturating_add(HOUR), ..request().period };
        assert!(!replay().is_of(&ReplayRequest { period, ..request() }));
    }

    #[test]
    fn the_export_of_a_replay_has_its_own_name_place_and_start_and_the_identity_of_the_configuration() {
        let configuration = with_role();
        let export = replay().export(&configuration);
        assert_eq!(export.key, replay().key.export());
        assert_eq!(export.identity_key(), configuration.key);
        assert_eq!(export.authentication, configuration.authentication);
        assert_eq!(export.destination.bucket_path, replay().destination.bucket_path);
        assert_eq!(export.start_from, replay().period.from);
        let disabled = ExportConfiguration { enabled: false, ..with_role() };
        assert!(replay().export(&disabled).enabled, "a replay is ended by itself");
        let later = ExportConfiguration { start_from: replay().period.from.saturating_add(HOUR), ..with_role() };
        assert_eq!(replay().export(&later).start_from, later.start_from);
    }

    #[test]
    fn a_replay_keeps_the_format_of_its_request() {
        let edited = ExportConfiguration { format: ExportFormat::Parquet, ..with_role() };
        let format_of = |replay: Replay| replay.export(&edited).format;
        assert_eq!(format_of(replay()), ExportFormat::NdjsonGzip);
        let later = ReplayRequest { encoding: edited.encoding(), ..request() };
        let continued = ended(ReplayEnd::Cancelled).continued(later.clone(), replay().requested_at).unwrap();
        assert_eq!(format_of(continued), ExportFormat::NdjsonGzip);
        let requested = Replay::new(replay().key, later, "user-1", replay().requested_at);
        assert_eq!(requested.export(&with_role()).format, ExportFormat::Parquet);
        assert_eq!(format_of(Replay { format: None, ..replay() }), ExportFormat::Parquet, "a record without a format");
    }

    #[test]
    fn a_replay_keeps_the_filter_of_its_request() {
        let filter: EventFilter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap();
        let edited = ExportConfiguration { filter: Some(filter.clone()), ..with_role() };
        assert_eq!(replay().export(&edited).filter, None);
        let later = ReplayRequest { encoding: edited.encoding(), ..request() };
        let requested = Replay::new(replay().key, later.clone(), "", replay().requested_at);
        assert_eq!(requested.export(&with_role()).filter, Some(filter));
        let continued = ended(ReplayEnd::Cancelled).continued(later, replay().requested_at).unwrap();
        assert_eq!(continued.export(&edited).filter, None);
        let before_formats = Replay { format: None, ..replay() };
        assert_eq!(before_formats.export(&edited).filter, None, "its request is older than filters");
    }

    #[test]
    fn a_continued_replay_keeps_the_layout_and_the_choices_of_its_format() {
        let destination = Destination { layout: Layout::SecurityLake, ..request().destination };
        let encoding = Encoding::from(ExportFormat::OcsfParquet);
        let to_lake = ReplayRequest { destination, encoding: encoding.clone(), ..request() };
        let requested = Replay::new(replay().key, to_lake, "user-1", replay().requested_at);
        let cancelled = Replay { state: ended(ReplayEnd::Cancelled).state, ..requested };
        let continued = cancelled.continued(request(), replay().requested_at).unwrap();
        let export = continued.export(&with_role());
        assert_eq!((export.destination.layout, export.encoding()), (Layout::SecurityLake, encoding));
    }

    #[test]
    fn a_test_counts_for_the_version_that_it_was_made_with() {
        let configuration = with_role();
        let at = replay().requested_at;
        let tested = |version| Replay { test: Some(ReplayTest { at, version }), ..replay() };
        let connection = |replay: Replay, of: &ExportConfiguration| replay.export(of).connection;
        let current = tested(configuration.version);
        assert_eq!(connection(current, &configuration), Connection::Success { checked_at: at });
        for untested in [replay(), tested(configuration.version - 1)] {
            let connection = connection(untested.clone(), &configuration);
            assert_eq!(connection, Connection::Success { checked_at: Timestamp::EPOCH }, "it counts as an old test");
            let error = ConnectionError { code: ConnectionErrorCode::RegionDisabled, message: String::new() };
            let refused = Connection::Failed { checked_at: at, error };
            for never_reached in [Connection::Pending, refused] {
                let configuration = ExportConfiguration { connection: never_reached, ..with_role() };
                assert_eq!(untested.export(&configuration).connection.status(), ConnectionStatus::Pending);
            }
        }
    }

    #[test]
    fn what_was_past_its_retention_at_the_request_is_a_gap_that_was_never_promised() {
        let export = replay().export(&with_role());
        let state = ExportState::initial(&export);
        let floor = replay().period.from.saturating_add(HOUR);
        let window = state.window_through(&export, replay().period.to, floor, replay().requested_at, || {
            crate::export_run::test_support::plan()
        });
        let gap = window.unwrap().gap.unwrap();
        assert_eq!((gap.from, gap.to), (replay().period.from, floor));
        assert_eq!(gap.reason, crate::digest::GapReason::StartBeforeRetention);
    }

    #[test]
    fn the_percentage_is_of_the_period() {
        let through = |share: u32| {
            let length = replay().period.to.saturating_since(replay().period.from);
            let exported_through = Some(replay().period.from.saturating_add(length / 10 * share));
            let progress = ReplayProgress { exported_through, ..ReplayProgress::default() };
            Replay { progress, ..replay() }.percent()
        };
        assert_eq!([0, 3, 10, 20].map(through), [0, 30, 100, 100]);
        assert_eq!(replay().percent(), 0);
        assert_eq!(ended(ReplayEnd::Succeeded).percent(), 100);
    }

    #[test]
    fn names_are_parsed_back() {
        for status in [ReplayStatus::Pending, ReplayStatus::Running, ReplayStatus::Cancelled] {
            assert_eq!(ReplayStatus::parse(status.name()), Some(status));
        }
    }
}
