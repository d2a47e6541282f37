//! The progress of a connection test that is running.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{ConnectionCheckName, SiteKind};
use crate::{configuration::ExportConfiguration, time::Timestamp};

/// The time after which a test no longer counts as running, although its end is not stored. The verifier function ends after
/// 22 s, and clocks differ.
pub const LONGEST_TEST: Duration = Duration::from_secs(30);

/// A step of a connection test that succeeded before the test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestStep {
    /// AWS accepted the role or access key. Another server is not asked yet.
    Connected,
    /// AWS refused the role to requests of other tenants, if there is a role.
    Probed,
    /// The bucket permitted a first write, or refused it only for the wrong bytes that it was sent with.
    BucketAnswered,
}

/// The checks of a connection test, and those that have passed so far.
///
/// Of the configuration, it has the kinds of identity and site. It has no text of AWS or of the customer: a failed check ends the
/// test, and is part of the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTestProgress {
    started_at: Timestamp,
    site: SiteKind,
    /// In the order of the test.
    checks: Vec<ConnectionCheckName>,
    passed: Vec<ConnectionCheckName>,
    has_ended: bool,
}

impl ConnectionTestProgress {
    /// Returns the progress of a test of `configuration` that starts now.
    #[must_use]
    pub fn started(configuration: &ExportConfiguration, now: Timestamp) -> Self {
        Self {
            started_at: now,
            site: SiteKind::from(&configuration.destination.site),
            checks: ConnectionCheckName::all_of(configuration).collect(),
            passed: Vec::new(),
            has_ended: false,
        }
    }

    /// Adds the checks that a step proves. The others pass with the whole test: later writes may still be refused.
    pub fn reach(&mut self, step: TestStep) {
        use ConnectionCheckName::{
            AccessKeyValid, BucketFound, BucketRegionCorrect, ExternalIdRequired, RegionAvailable, RoleAssumable,
        };
        let proven: &[ConnectionCheckName] = match (step, self.site) {
            (TestStep::Connected, SiteKind::Aws) => &[RoleAssumable, AccessKeyValid],
            // Such a server sees the access key with the first write.
            (TestStep::Connected, SiteKind::Server) => &[],
            (TestStep::Probed, _) => &[ExternalIdRequired],
            // S3 has other endpoints than STS: what STS answered does not prove them.
            (TestStep::BucketAnswered, _) => &[RegionAvailable, AccessKeyValid, BucketFound, BucketRegionCorrect],
        };
        for check in proven {
            if self.checks.contains(check) && !self.passed.contains(check) {
                self.passed.push(*check);
            }
        }
    }

    /// Ends the test, whatever its outcome.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The kind of site that is tested.
    #[must_use]
    pub fn site(&self) -> SiteKind {
        self.site
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns a number that grows with each change, so that an earlier state never replaces a later one of the same test.
    #[must_use]
    pub fn revision(&self) -> u64 {
        (self.passed.len() as u64) * 2 + u64::from(self.has_ended)
    }

    /// Returns whether the test is running at `now`. One whose function died counts as running for [`LONGEST_TEST`].
    #[must_use]
    pub fn is_running(&self, now: Timestamp) -> bool {
        !self.has_ended && now.saturating_since(self.started_at) < LONGEST_TEST
    }

    /// Returns each check in the order of the test, and whether it has passed.
    pub fn checks(&self) -> impl Iterator<Item = (ConnectionCheckName, bool)> {
        self.checks.iter().map(|check| (*check, self.passed.contains(check)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::configuration::test_support::{on_server, with_key, with_role};

    const STEPS: [TestStep; 3] = [TestStep::Connected, TestStep::Probed, TestStep::BucketAnswered];

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T00:00:00Z").unwrap()
    }

    /// Returns the checks that have passed at first and after each step, a letter each in the order of the test: `P` or `-`.
    fn letters(configuration: &ExportConfiguration) -> Vec<String> {
        let mut progress = ConnectionTestProgress::started(configuration, now());
        let letters = |progress: &ConnectionTestProgress| {
            progress.checks().map(|(_, has_passed)| if has_passed { 'P' } else { '-' }).collect()
        };
        let mut all = vec![letters(&progress)];
        for step in STEPS {
            progress.reach(step);
            all.push(letters(&progress));
        }
        all
    }

    #[test]
    fn each_step_passes_what_it_proves_and_no_more() {
        // Region, role, external ID, bucket, its Region, writing, key.
        assert_eq!(letters(&with_role()), ["-------", "-P-----", "-PP----", "PPPPP--"]);
        // Region, access key, bucket, its Region, writing, key.
        assert_eq!(letters(&with_key()), ["------", "-P----", "-P----", "PPPP--"]);
        // Server, access key, bucket, its region, writing, capabilities.
        assert_eq!(letters(&on_server()), ["------", "------", "------", "PPPP--"]);
    }

    #[test]
    fn the_checks_are_those_of_the_outcome() {
        for configuration in [with_role(), with_key(), on_server()] {
            let progress = ConnectionTestProgress::started(&configuration, now());
            let of_outcome = crate::connection_test::check::connection_checks(&configuration);
            let checks: Vec<_> = progress.checks().map(|(check, _)| check).collect();
            assert_eq!(checks, of_outcome.into_iter().map(|(check, _)| check).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_change_raises_the_revision() {
        for configuration in [with_role(), with_key(), on_server()] {
            let mut progress = ConnectionTestProgress::started(&configuration, now());
            for step in STEPS {
                let before = progress.clone();
                progress.reach(step);
                assert_eq!(progress.revision() > before.revision(), progress != before, "{step:?}");
                let mut ended = before.clone();
                ended.end();
                assert!(ended.revision() > before.revision());
                // A step that is reached again changes nothing.
                let once = progress.clone();
                progress.reach(step);
                assert_eq!(progress, once);
            }
        }
    }

    #[test]
    fn a_test_runs_until_it_ends_or_its_function_must_have_died() {
        let mut progress = ConnectionTestProgress::started(&with_role(), now());
        assert!(progress.is_running(now()));
        // The clock of another function may be behind.
        assert!(progress.is_running(now().saturating_sub(Duration::from_secs(1))));
        assert!(progress.is_running(now().saturating_add(LONGEST_TEST.saturating_sub(Duration::from_millis(1)))));
        assert!(!progress.is_running(now().saturating_add(LONGEST_TEST)));
        progress.end();
        assert!(!progress.is_running(now()));
    }

    #[test]
    fn the_text_is_stable_short_and_names_neither_bucket_nor_identity() {
        let mut progress = ConnectionTestProgress::started(&with_role(), now());
        progress.reach(TestStep::Connected);
        let text = json!({"startedAt": "2026-11-22T00:00:00.000Z", "site": "AWS", "hasEnded": false,
            "checks": ["REGION_AVAILABLE", "ROLE_ASSUMABLE", "EXTERNAL_ID_REQUIRED", "BUCKET_FOUND",
                "BUCKET_REGION_CORRECT", "WRITE_ALLOWED", "KEY_USABLE"],
            "passed": ["ROLE_ASSUMABLE"]});
        assert_eq!(serde_json::to_value(&progress).unwrap(), text);
        assert_eq!(serde_json::from_value::<ConnectionTestProgress>(text).unwrap(), progress);
        for step in STEPS {
            progress.reach(step);
        }
        assert!(serde_json::to_string(&progress).unwrap().len() < 400);
    }
}
