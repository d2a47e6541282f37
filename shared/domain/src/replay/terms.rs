//! The rules that decide what a request for a replay asks for. All errors are returned together.

use std::time::Duration;

use super::{
    path::check_path,
    period::ReplayPeriod,
    record::Replay,
    request::{RawReplay, ReplayRequest, parse_replay_path, parse_time},
};
use crate::{
    configuration::{
        Destination, ExportConfiguration, field,
        field_error::{FieldError, FieldErrorCode},
    },
    time::Timestamp,
};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayStep {
    /// The replay has not ended. Its message may be lost, so that another one follows.
    Repeat(Replay),
    /// The replay has stopped, and continues.
    Continue(Replay),
    /// Another replay.
    Create(ReplayRequest),
}

/// The reason for which a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayRefusal {
    /// The fields that have to change.
    InvalidInput(Vec<FieldError>),
    /// Another replay of the configuration has not ended.
    InProgress,
}

/// The facts that decide what a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct ReplayTerms<'a> {
    pub configuration: &'a ExportConfiguration,
    /// The time between two boundaries of the configuration's schedule.
    pub slot_length: Duration,
    /// The receipt time before which events are past their retention.
    pub retention_floor: Timestamp,
    pub now: Timestamp,
}

impl ReplayTerms<'_> {
    /// Parses a request, given the stored replays of the configuration.
    ///
    /// The boundaries of the interval, the retention and the other paths are checked for a new replay only. One that stopped can
    /// continue whatever has become of them since its request: its blocks stay stored until its time is over.
    ///
    /// # Errors
    /// Every field that has to change, or that another replay has not ended.
    pub fn parse(&self, raw: &RawReplay<'_>, replays: &[Replay]) -> Result<ReplayStep, ReplayRefusal> {
        let mut errors = Vec::new();
        let mut keep = |error: FieldError| errors.push(error);
        let from = parse_time(field::FROM, raw.from).map_err(&mut keep).ok();
        let to = parse_time(field::TO, raw.to).map_err(&mut keep).ok();
        let path = parse_replay_path(field::BUCKET_PATH, raw.bucket_path).and_then(|path| {
            let layout = self.configuration.destination.layout;
            layout.check_path(Some(&path)).map(|()| path)
        });
        let path = path.map_err(&mut keep).ok();
        let request = from.zip(to).zip(path).map(|((from, to), path)| ReplayRequest {
            period: ReplayPeriod { from, to },
            destination: Destination { bucket_path: Some(path), ..self.configuration.destination.clone() },
            encoding: self.configuration.encoding(),
        });
        let replays: Vec<_> = replays.iter().cloned().map(|replay| replay.as_of(self.now)).collect();
        let unfinished = replays.iter().find(|replay| !replay.has_ended());
        let same = request.as_ref().and_then(|request| replays.iter().find(|replay| replay.is_of(request)));
        if let (Some(same), Some(request)) = (same, &request) {
            match unfinished {
                Some(unfinished) if unfinished.key == same.key => return Ok(ReplayStep::Repeat(same.repeated())),
                Some(_) => return Err(ReplayRefusal::InProgress),
                None => {}
            }
            if let Some(continued) = same.continued(request.clone(), self.now) {
                return Ok(ReplayStep::Continue(continued));
            }
        }
        let boundaries = [(field::FROM, from), (field::TO, to)].map(|(field, time)| {
            let time = time?;
            self.check_boundary(field, time).map_err(&mut keep).ok().map(|()| time)
        });
        if let [Some(from), Some(to)] = boundaries {
            self.check_period(ReplayPeriod { from, to }).map_err(&mut keep).ok();
        }
        let Some(request) = request.filter(|_| errors.is_empty()) else {
            return Err(ReplayRefusal::InvalidInput(errors));
        };
        if unfinished.is_some() {
            return Err(ReplayRefusal::InProgress);
        }
        check_path(&request, self.configuration, &replays).map_err(|error| ReplayRefusal::InvalidInput(vec![error]))?;
        Ok(ReplayStep::Create(request))
    }

    /// Checks that a time is a boundary of the schedule. The error names the nearest ones.
    fn check_boundary(&self, field: &'static str, time: Timestamp) -> Result<(), FieldError> {
        let before = time.floor_to(self.slot_length);
        if before == time {
            return Ok(());
        }
        let after = before.saturating_add(self.slot_length);
        let interval = self.configuration.interval;
        let message = format!(
            "A replay begins and ends at a boundary of the export's interval {interval}, in UTC. The nearest are {before} and \
             {after}."
        );
        Err(FieldError { field, code: FieldErrorCode::ReplayTimeInvalid, message })
    }

    fn check_period(&self, ReplayPeriod { from, to }: ReplayPeriod) -> Result<(), FieldError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{ExportProgress, test_support::with_role},
        replay::{
            ReplayEnd, ReplayError, ReplayState,
            test_support::{replay, request},
        },
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

    const RAW: RawReplay<'_> =
        RawReplay { from: "2026-11-22T00:00:00Z", to: "2026-11-22T12:00:00Z", bucket_path: "replays/siem" };

    fn terms(configuration: &ExportConfiguration) -> ReplayTerms<'_> {
        let now = replay().requested_at.saturating_add(SLOT);
        ReplayTerms { configuration, slot_length: SLOT, retention_floor: at("2026-11-01T00:00:00Z"), now }
    }

    fn parse_of(configuration: &ExportConfiguration, raw: [&str; 3]) -> Result<ReplayStep, Vec<FieldError>> {
        let [from, to, bucket_path] = raw;
        terms(configuration).parse(&RawReplay { from, to, bucket_path }, &[]).map_err(|refusal| match refusal {
            ReplayRefusal::InvalidInput(errors) => errors,
            ReplayRefusal::InProgress => Vec::new(),
        })
    }

    fn ended(end: ReplayEnd) -> Replay {
        Replay { state: ReplayState::Ended { at: replay().requested_at, end }, ..replay() }
    }

    fn refusals(configuration: &ExportConfiguration, raw: [&str; 3]) -> Vec<(&'static str, &'static str)> {
        let errors = parse_of(configuration, raw).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.field, error.code.name())).collect()
    }

    #[test]
    fn a_period_between_boundaries_that_was_exported_is_accepted() {
        let parsed = parse_of(&exported(), ["2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z", "replays/siem"]);
        assert_eq!(parsed, Ok(ReplayStep::Create(request())));
    }

    #[test]
    fn a_replay_that_stopped_continues_whatever_interval_and_retention_are_now() {
        let configuration = exported();
        for stopped in [ReplayEnd::Cancelled, ReplayEnd::Failed(ReplayError::timed_out(None))].map(ended) {
            let slot_length = Duration::from_hours(7);
            let terms = ReplayTerms { slot_length, retention_floor: Timestamp::MAX, ..terms(&configuration) };
            let continued = stopped.continued(request(), terms.now).unwrap();
            assert_eq!(terms.parse(&RAW, &[stopped]), Ok(ReplayStep::Continue(continued)));
            let ReplayRefusal::InvalidInput(errors) = terms.parse(&RAW, &[]).unwrap_err() else { panic!() };
            assert_eq!(errors.len(), 1, "a new one is refused: {errors:?}");
        }
    }

    #[test]
    fn the_same_request_of_an_unfinished_replay_repeats_it_and_every_other_one_waits() {
        let configuration = exported();
        let parse = |raw: &RawReplay<'_>, replays: &[Replay]| terms(&configuration).parse(raw, replays);
        let ReplayStep::Repeat(repeated) = parse(&RAW, &[replay()]).unwrap() else { panic!() };
        assert_eq!(repeated, Replay { attempt: 2, ..replay() });
        let elsewhere = RawReplay { bucket_path: "elsewhere", ..RAW };
        assert_eq!(parse(&elsewhere, &[replay()]), Err(ReplayRefusal::InProgress));
        let succeeded = ended(ReplayEnd::Succeeded);
        let ReplayRefusal::InvalidInput(errors) = parse(&RAW, &[succeeded]).unwrap_err() else { panic!() };
        assert_eq!(errors[0].code, FieldErrorCode::ReplayPathOverlaps);
    }

    #[test]
    fn a_replay_whose_time_is_over_does_not_continue() {
        let configuration = exported();
        let terms = ReplayTerms { now: replay().deadline(), ..terms(&configuration) };
        let ReplayRefusal::InvalidInput(errors) = terms.parse(&RAW, &[replay()]).unwrap_err() else { panic!() };
        assert_eq!(errors[0].code, FieldErrorCode::ReplayPathOverlaps);
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
