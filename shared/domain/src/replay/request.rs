//! Parsing the request for a replay. All fields are parsed, and all errors are returned together.

use std::time::Duration;

use super::period::ReplayPeriod;
use crate::{
    configuration::{
        Destination, ExportConfiguration,
        bucket::BucketPath,
        field,
        field_error::{FieldError, FieldErrorCode},
    },
    time::Timestamp,
};

/// The unparsed fields of a request.
#[derive(Clone, Copy, Debug)]
pub struct RawReplay<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub bucket_path: &'a str,
}

/// A valid request for a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    pub period: ReplayPeriod,
    pub destination: Destination,
}

/// The facts that decide whether a request is valid.
#[derive(Clone, Copy, Debug)]
pub struct ReplayTerms<'a> {
    pub configuration: &'a ExportConfiguration,
    /// The time between two boundaries of the configuration's schedule.
    pub slot_length: Duration,
    /// The receipt time before which events are past their retention.
    pub retention_floor: Timestamp,
}

impl ReplayTerms<'_> {
    /// Parses a request. Whether its path is free is a question for [`super::check_path`].
    ///
    /// # Errors
    /// Every field that has to change.
    pub fn parse(&self, raw: &RawReplay<'_>) -> Result<ReplayRequest, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut keep = |error: FieldError| errors.push(error);
        let from = self.parse_boundary(field::FROM, raw.from).map_err(&mut keep).ok();
        let to = self.parse_boundary(field::TO, raw.to).map_err(&mut keep).ok();
        let path = parse_replay_path(field::BUCKET_PATH, raw.bucket_path).map_err(&mut keep).ok();
        let period = from.zip(to).map(|(from, to)| ReplayPeriod { from, to });
        if let Some(period) = period {
            self.check(period).map_err(&mut keep).ok();
        }
        match period.zip(path) {
            Some((period, path)) if errors.is_empty() => {
                let destination = Destination { bucket_path: Some(path), ..self.configuration.destination.clone() };
                Ok(ReplayRequest { period, destination })
            }
            _ => Err(errors),
        }
    }

    /// Parses a boundary of the schedule. The error names the nearest ones.
    fn parse_boundary(&self, field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
        if text.is_empty() {
            return Err(FieldError::missing(field));
        }
        let refuse = |message| FieldError { field, code: FieldErrorCode::ReplayTimeInvalid, message };
        let time = Timestamp::parse(text)
            .map_err(|_| refuse("Give a time as in RFC 3339, for example 2026-01-31T00:00:00Z.".to_owned()))?;
        let before = time.floor_to(self.slot_length);
        if before == time {
            return Ok(time);
        }
        let after = before.saturating_add(self.slot_length);
        let interval = self.configuration.interval;
        Err(refuse(format!(
            "A replay begins and ends at a boundary of the export's interval {interval}, in UTC. The nearest are {before} and \
             {after}."
        )))
    }

    fn check(&self, ReplayPeriod { from, to }: ReplayPeriod) -> Result<(), FieldError> {
        let refuse = |field, message| Err(FieldError { field, code: FieldErrorCode::ReplayPeriodInvalid, message });
        let configuration = self.configuration;
        let Some(exported) = configuration.progress.exported_through else {
            return refuse(field::TO, "Nothing was exported yet, so there is nothing to replay.".to_owned());
        };
        if from >= to {
            return refuse(field::FROM, "The period is empty. Give a time for from that is before to.".to_owned());
        }
        if to > exported {
            let last = exported.floor_to(self.slot_length);
            return refuse(
                field::TO,
                format!("The export has exported through {exported}. Give a time for to of at most {last}."),
            );
        }
        if to <= configuration.start_from {
            let start = configuration.start_from;
            return refuse(field::TO, format!("The export starts at {start}. Give a time for to that is later."));
        }
        if to <= self.retention_floor {
            let floor = self.retention_floor;
            return refuse(
                field::TO,
                format!("All events of the period are past their retention. Give a time for to that is after {floor}."),
            );
        }
        Ok(())
    }
}

/// Parses the path of replays, which the bucket's root can't be.
///
/// # Errors
/// `REQUIRED` or `BUCKET_PATH_INVALID`, of the given field.
pub fn parse_replay_path(field: &'static str, text: &str) -> Result<BucketPath, FieldError> {
    if text.is_empty() {
        return Err(FieldError::missing(field));
    }
    BucketPath::parse(text).map_err(|error| error.at(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{ExportProgress, test_support::with_role},
        replay::test_support::request,
    };

    const SLOT: Duration = Duration::from_hours(2);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn exported() -> ExportConfiguration {
        let exported_through = Some(at("2026-11-22T13:30:00Z"));
        ExportConfiguration {
            progress: ExportProgress { exported_through, ..ExportProgress::default() },
            ..with_role()
        }
    }

    fn parse_of(configuration: &ExportConfiguration, raw: [&str; 3]) -> Result<ReplayRequest, Vec<FieldError>> {
        let [from, to, bucket_path] = raw;
        let retention_floor = at("2026-11-01T00:00:00Z");
        let terms = ReplayTerms { configuration, slot_length: SLOT, retention_floor };
        terms.parse(&RawReplay { from, to, bucket_path })
    }

    fn refusals(configuration: &ExportConfiguration, raw: [&str; 3]) -> Vec<(&'static str, &'static str)> {
        let errors = parse_of(configuration, raw).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.field, error.code.name())).collect()
    }

    #[test]
    fn a_period_between_boundaries_that_was_exported_is_accepted() {
        let parsed = parse_of(&exported(), ["2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z", "replays/siem"]);
        assert_eq!(parsed, Ok(request()));
    }

    #[test]
    fn every_field_that_has_to_change_is_named() {
        let refused = refusals(&exported(), ["yesterday", "", "/replays"]);
        let expected = [("from", "REPLAY_TIME_INVALID"), ("to", "REQUIRED"), ("bucketPath", "BUCKET_PATH_INVALID")];
        assert_eq!(refused, expected);
        let (from, path) = ("2026-11-22T00:00:00Z", "replays");
        for (raw, expected) in [
            ([from, "2026-11-22T14:00:00Z", path], ("to", "REPLAY_PERIOD_INVALID")),
            ([from, from, path], ("from", "REPLAY_PERIOD_INVALID")),
            (["2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", path], ("to", "REPLAY_PERIOD_INVALID")),
            ([from, "2026-11-22T12:00:00Z", ""], ("bucketPath", "REQUIRED")),
        ] {
            assert_eq!(refusals(&exported(), raw), [expected], "{raw:?}");
        }
        assert_eq!(
            refusals(&with_role(), [from, "2026-11-22T12:00:00Z", path]),
            [("to", "REPLAY_PERIOD_INVALID")],
            "nothing was exported"
        );
        let late = ExportConfiguration { start_from: at("2026-11-22T12:00:00Z"), ..exported() };
        assert_eq!(refusals(&late, [from, "2026-11-22T12:00:00Z", path]), [("to", "REPLAY_PERIOD_INVALID")]);
    }

    #[test]
    fn a_time_between_boundaries_is_refused_with_the_nearest_ones() {
        let errors = parse_of(&exported(), ["2026-11-22T03:00:00Z", "2026-11-22T12:00:00Z", "replays"]).unwrap_err();
        let message = &errors[0].message;
        assert!(message.contains("2026-11-22T02:00:00.000Z and 2026-11-22T04:00:00.000Z"), "{message}");
        assert!(message.contains("EVERY_2_HOURS"), "{message}");
    }
}
