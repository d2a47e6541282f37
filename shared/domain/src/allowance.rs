//! Allowances: the number of operations that a tenant may request within a period.
//!
//! They are counted in fixed periods: minutes and hours of UTC, and parts of a minute.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    configuration::{ConfigurationId, change::Author},
    digest::Hex32,
    time::Timestamp,
};

/// Connection tests and tests of webhooks of one tenant within [`CONNECTION_TESTS_PERIOD`]. Setting up an export takes a few
/// tests; a script over all exports of a tenant waits for the next period.
pub const CONNECTION_TESTS_PER_PERIOD: u32 = 10;

/// The period of [`CONNECTION_TESTS_PER_PERIOD`]. It is longer than a test, so that the tests of two periods run at a time, and
/// not those of more.
pub const CONNECTION_TESTS_PERIOD: Duration = Duration::from_secs(20);

/// The longest time for which a test occupies a verifier or notifier.
pub const TEST_OCCUPANCY: Duration = Duration::from_secs(18);

/// The most connection tests and tests of webhooks of one tenant that run at a time: those of the end of one period, and those
/// of the beginning of the next one. What is reserved for verifier, notifier and api has to be more. Tests that begin late, after
/// cold starts, may overlap with those of a third period for a moment.
pub const MAX_RUNNING_TESTS: u32 = 20;

/// Manual runs of one tenant within one minute. Limits the writes and messages that a script can cause.
pub const MANUAL_RUNS_PER_MINUTE: u32 = 10;

/// Manual runs of one configuration within one hour. Each can create a window with a digest, and a verification of the export
/// reads all digests: see [`MAX_DIGESTS_OF_TEN_YEARS`].
pub const CONFIGURATION_RUNS_PER_HOUR: u32 = 10;

/// Backlog counts of one tenant within one minute. Each reads up to 20 pages of 1 MB.
pub const BACKLOG_COUNTS_PER_MINUTE: u32 = 6;

/// Changes of one tenant within one hour that make notices, and new exports with webhooks, whose secrets are encrypted. The
/// outbox has the notices, and delays those of the tenants in its shard by them: see `export_engine::publisher`. A person makes a few; a script over all exports of a tenant fits.
pub const NOTICED_CHANGES_PER_HOUR: u32 = 200;

/// Those of one author within one hour. The other half is left for whoever moves an export back.
pub const NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR: u32 = NOTICED_CHANGES_PER_HOUR / 2;

/// The time for which a requested run is assumed to be in the queue. After that, the next request queues another run, because
/// the first may be lost.
pub const RUN_REQUEST_LIFETIME: Duration = Duration::from_mins(15);

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The shortest time between two scheduled runs of one configuration.
const SHORTEST_INTERVAL_HOURS: u64 = 2;

/// Hours of ten years with three leap days.
const TEN_YEARS_HOURS: u64 = (10 * 365 + 3) * 24;

/// The most runs that can begin a window of one configuration within ten years: all manual runs of its allowance, and a
/// scheduled run every two hours. A run that a repaired connection starts exports through a boundary of the schedule, so it
/// counts as the scheduled one.
pub const MAX_DIGESTS_OF_TEN_YEARS: u64 =
    TEN_YEARS_HOURS * CONFIGURATION_RUNS_PER_HOUR as u64 + TEN_YEARS_HOURS / SHORTEST_INTERVAL_HOURS;

/// An operation with a limit per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allowance {
    ConnectionTests,
    /// Manual runs of all configurations of the tenant.
    ManualRuns,
    /// Manual runs of one configuration.
    ConfigurationRuns(ConfigurationId),
    BacklogCounts,
    /// Changes that make notices: see [`crate::notice::change::is_counted`].
    NoticedChanges,
    /// Those of one author.
    NoticedChangesOf(AuthorHash),
}

/// The SHA-256 of the issuer and subject of an author, whose texts are too long for the name of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthorHash(Hex32);

impl From<&Author> for AuthorHash {
    fn from(author: &Author) -> Self {
        let issuer_length = author.issuer.len().to_be_bytes();
        let texts =
            Sha256::new().chain_update(issuer_length).chain_update(&author.issuer).chain_update(&author.subject);
        Self(Hex32(texts.finalize().into()))
    }
}

impl Allowance {
    /// Returns an allowance of every kind, for tests of this crate and of stores.
    #[cfg(any(test, feature = "test-support"))]
    #[must_use]
    pub fn of_every_kind(configuration: ConfigurationId) -> [Self; 6] {
        let author = AuthorHash(Hex32([1; 32]));
        [
            Self::ConnectionTests,
            Self::ManualRuns,
            Self::ConfigurationRuns(configuration),
            Self::BacklogCounts,
            Self::NoticedChanges,
            Self::NoticedChangesOf(author),
        ]
    }

    /// Returns the number of operations that are allowed within one period.
    #[must_use]
    pub fn limit(self) -> u32 {
        match self {
            Self::ConnectionTests => CONNECTION_TESTS_PER_PERIOD,
            Self::ManualRuns => MANUAL_RUNS_PER_MINUTE,
            Self::ConfigurationRuns(_) => CONFIGURATION_RUNS_PER_HOUR,
            Self::BacklogCounts => BACKLOG_COUNTS_PER_MINUTE,
            Self::NoticedChanges => NOTICED_CHANGES_PER_HOUR,
            Self::NoticedChangesOf(_) => NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR,
        }
    }

    #[must_use]
    pub fn period(self) -> Duration {
        match self {
            Self::ConnectionTests => CONNECTION_TESTS_PERIOD,
            Self::ManualRuns | Self::BacklogCounts => MINUTE,
            Self::ConfigurationRuns(_) | Self::NoticedChanges | Self::NoticedChangesOf(_) => HOUR,
        }
    }

    /// Returns the beginning of the period of `now`.
    #[must_use]
    pub fn period_start(self, now: Timestamp) -> Timestamp {
        now.floor_to(self.period())
    }

    /// Returns the name of the count for the period of `now`, among all counts of a tenant.
    #[must_use]
    pub fn count_name(self, now: Timestamp) -> String {
        let period = now.as_seconds() / self.period().as_secs();
        match self {
            Self::ConnectionTests => format!("tests#{period}"),
            Self::ManualRuns => format!("runs#{period}"),
            Self::ConfigurationRuns(configuration) => format!("runs#{configuration}#{period}"),
            Self::BacklogCounts => format!("unexportedCounts#{period}"),
            Self::NoticedChanges => format!("noticedChanges#{period}"),
            Self::NoticedChangesOf(AuthorHash(author)) => format!("noticedChanges#{author}#{period}"),
        }
    }

    /// Returns the time until the next period begins, in whole seconds; at least one.
    #[must_use]
    pub fn retry_after(self, now: Timestamp) -> Duration {
        let passed = Duration::from_secs(now.saturating_since(self.period_start(now)).as_secs());
        self.period().saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{configuration::test_support::ID, interval::ExportInterval};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn all() -> [Allowance; 6] {
        Allowance::of_every_kind(ConfigurationId::parse(ID).unwrap())
    }

    #[test]
    fn each_period_of_each_allowance_has_its_own_count() {
        let names: Vec<String> =
            all().into_iter().map(|allowance| allowance.count_name(at("1970-01-01T02:01:59Z"))).collect();
        let of_configuration = format!("runs#{ID}#2");
        let of_author = format!("noticedChanges#{}#2", "01".repeat(32));
        let expected =
            ["tests#365", "runs#121", &of_configuration, "unexportedCounts#121", "noticedChanges#2", &of_author];
        assert_eq!(names, expected);
        for allowance in all() {
            let begin = allowance.period_start(at("2026-11-22T12:34:56.789Z"));
            let end = begin.saturating_add(allowance.period());
            let last = end.saturating_sub(Duration::from_millis(1));
            let names = [begin, last, end].map(|time| allowance.count_name(time));
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 2, "{names:?}");
            assert_eq!((&names[0], names[1] == names[2]), (&names[1], false));
        }
        let other = Allowance::ConfigurationRuns(ConfigurationId::from_bytes([7; 16]));
        assert!(!names.contains(&other.count_name(at("1970-01-01T02:01:59Z"))));
    }

    #[test]
    fn one_tenant_occupies_no_more_than_what_the_reservation_counts_with() {
        let allowance = Allowance::ConnectionTests;
        let begin = at("2026-11-22T12:00:00Z");
        // The tests that may begin within the time of one: in all periods that this time touches, wherever it begins.
        let most = (0..60_000)
            .step_by(100)
            .map(|millis| {
                let first = begin.saturating_add(Duration::from_millis(millis));
                let last = first.saturating_add(TEST_OCCUPANCY);
                let periods = (last.as_seconds() / allowance.period().as_secs())
                    - (first.as_seconds() / allowance.period().as_secs())
                    + 1;
                u32::try_from(periods).unwrap() * allowance.limit()
            })
            .max();
        assert_eq!(most, Some(MAX_RUNNING_TESTS));
    }

    #[test]
    fn the_next_period_is_at_most_one_period_away() {
        for allowance in all() {
            let begin = allowance.period_start(at("2026-11-22T12:34:56.789Z"));
            assert_eq!(allowance.retry_after(begin), allowance.period());
            let last = begin.saturating_add(allowance.period()).saturating_sub(Duration::from_millis(1));
            assert_eq!(allowance.retry_after(last), Duration::from_secs(1));
        }
    }

    #[test]
    fn an_author_is_an_issuer_and_a_subject() {
        let hash = |issuer: &str, subject: &str| {
            let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
            AuthorHash::from(&Author { subject, issuer, ip: None, request_id: None })
        };
        assert_eq!(hash("https://a", "1"), hash("https://a", "1"));
        let all: std::collections::HashSet<_> =
            [hash("https://a", "1"), hash("https://a", "2"), hash("https://b", "1"), hash("https://", "a1")].into();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn no_interval_is_shorter_than_the_one_that_bounds_the_digests() {
        let shortest = ExportInterval::ALL.into_iter().map(ExportInterval::duration).min().unwrap();
        assert_eq!(shortest, Duration::from_hours(SHORTEST_INTERVAL_HOURS));
    }
}
