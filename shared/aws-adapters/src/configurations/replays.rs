//! The records of replays, beside the configurations that they replay.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    event_filter::EventFilter,
    export_format::ExportFormat,
    replay::{
        MAX_REPLAYS, Replay, ReplayEnd, ReplayError, ReplayErrorCode, ReplayId, ReplayKey, ReplayPeriod,
        ReplayProgress, ReplayState, ReplayStatus, ReplayTest,
    },
    time::Timestamp,
};
use export_engine::ports::{PortError, ReplayChange};

use super::{
    editor::EditOutcome,
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, MalformedItem, extended, json, number, seconds, text},
    read::Query,
    write::{Write, WriteOutcome},
};

/// Sorts behind every UUID, so that no list of configurations has one.
const PREFIX: &str = "replay#";

/// The most pages of a list. [`MAX_REPLAYS`] records, one more while the oldest is replaced, and those of a few deletions that
/// time to live has not carried out yet, of at most 4 KB each, fill less than one page of 1 MB.
const MAX_LIST_PAGES: usize = 2;
const _: () = assert!(MAX_REPLAYS <= 100);

/// The replays of a configuration, as a request finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaySeries {
    /// The number of requests that were made before.
    pub(super) requests: u64,
    /// The newest first.
    pub replays: Vec<Replay>,
}

impl ReplaySeries {
    /// Returns a series for the tests of stores.
    #[must_use]
    pub fn new(requests: u64, replays: Vec<Replay>) -> Self {
        Self { requests, replays }
    }

    /// Returns the oldest replay that has ended, if there is no room for another one.
    #[must_use]
    pub fn replaced(&self) -> Option<&Replay> {
        let has_room = self.replays.len() < MAX_REPLAYS;
        self.replays.iter().rev().find(|replay| !has_room && replay.has_ended())
    }
}

pub(super) fn key(key: &ReplayKey) -> Item {
    let ReplayKey { tenant_id, configuration_id, replay_id } = key;
    item::tenant_key(tenant_id, &format!("{PREFIX}{configuration_id}#{replay_id}"))
}

pub(super) fn write(operation: &'static str, replay: &Replay, expires_at: Timestamp) -> Result<Item, PortError> {
    let Replay { key: own, period, destination, progress, .. } = replay;
    let attributes = [
        (attribute::FROM, text(period.from)),
        (attribute::TO, text(period.to)),
        (attribute::DESTINATION, json(operation, destination)?),
        (attribute::REQUESTED_BY, text(&replay.requested_by)),
        (attribute::REQUESTED_AT, text(replay.requested_at)),
        (attribute::ATTEMPT, number(replay.attempt)),
        (attribute::OBJECTS, number(progress.objects)),
        (attribute::EVENTS, number(progress.events)),
        (attribute::STORED_BYTES, number(progress.stored_bytes)),
        (attribute::EXPIRES_AT, seconds(expires_at)),
    ];
    let exported_through = progress.exported_through.map(|through| (attribute::EXPORTED_THROUGH, text(through)));
    let started_at = replay.started_at.map(|at| (attribute::STARTED_AT, text(at)));
    let format = replay.format.map(|format| (attribute::FORMAT, text(format)));
    let filter = replay.filter.as_ref().map(|filter| (attribute::FILTER, text(filter)));
    let test = replay.test.iter().flat_map(|test| test_attributes(*test));
    let version = replay.ocsf.iter().map(|ocsf| (attribute::OCSF_VERSION, text(ocsf.version)));
    let classes = replay.ocsf.iter().map(|ocsf| &ocsf.classes).filter(|classes| !classes.is_empty());
    let classes = classes.map(|classes| (attribute::OCSF_CLASSES, text(classes)));
    let encoding = format.into_iter().chain(filter).chain(version).chain(classes);
    let optional = exported_through.into_iter().chain(started_at).chain(encoding).chain(test);
    let record = extended(extended(key(own), attributes), optional);
    Ok(extended(record, state_attributes(&replay.state)))
}

fn test_attributes(ReplayTest { at, version }: ReplayTest) -> [(&'static str, AttributeValue); 2] {
    [(attribute::TESTED_AT, text(at)), (attribute::TESTED_VERSION, number(version))]
}

fn state_attributes(state: &ReplayState) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = vec![(attribute::STATUS, text(state.status().name()))];
    if let ReplayState::Ended { at, end } = state {
        attributes.push((attribute::ENDED_AT, text(at)));
        if let ReplayEnd::Failed(error) = end {
            attributes.push((attribute::CODE, text(error.code.name())));
            attributes.push((attribute::MESSAGE, text(&error.message)));
        }
    }
    attributes
}

/// # Errors
/// Names the attribute that is missing or malformed.
pub(super) fn read(found: &Item) -> Result<Replay, MalformedItem> {
    let attributes = Attributes(found);
    let tenant_id = item::read_tenant_id(attributes)?;
    let (configuration_id, replay_id) = attributes.required(attribute::ID, |id| {
        let (configuration, replay) = id.strip_prefix(PREFIX)?.split_once('#')?;
        Some((ConfigurationId::parse(configuration)?, ReplayId::parse(replay)?))
    })?;
    let test =
        attributes.optional_time(attribute::TESTED_AT)?.zip(attributes.optional_number(attribute::TESTED_VERSION)?);
    let count = |name| attributes.optional_number::<u64>(name).map(Option::unwrap_or_default);
    Ok(Replay {
        key: ReplayKey { tenant_id, configuration_id, replay_id },
        period: ReplayPeriod { from: attributes.time(attribute::FROM)?, to: attributes.time(attribute::TO)? },
        destination: attributes.json(attribute::DESTINATION)?,
        format: attributes.optional(attribute::FORMAT, ExportFormat::parse)?,
        filter: attributes.optional(attribute::FILTER, |text| serde_json::from_str::<EventFilter>(text).ok())?,
        ocsf: item::read_ocsf(attributes)?,
        requested_by: attributes.text(attribute::REQUESTED_BY)?,
        requested_at: attributes.time(attribute::REQUESTED_AT)?,
        attempt: attributes.number(attribute::ATTEMPT)?,
        started_at: attributes.optional_time(attribute::STARTED_AT)?,
        progress: ReplayProgress {
            exported_through: attributes.optional_time(attribute::EXPORTED_THROUGH)?,
            objects: count(attribute::OBJECTS)?,
            events: count(attribute::EVENTS)?,
            stored_bytes: count(attribute::STORED_BYTES)?,
        },
        test: test.map(|(at, version)| ReplayTest { at, version }),
        state: read_state(attributes)?,
    })
}

fn read_state(attributes: Attributes<'_>) -> Result<ReplayState, MalformedItem> {
    let ended = |end| Ok(ReplayState::Ended { at: attributes.time(attribute::ENDED_AT)?, end });
    match attributes.required(attribute::STATUS, ReplayStatus::parse)? {
        ReplayStatus::Pending => Ok(ReplayState::Pending),
        ReplayStatus::Running => Ok(ReplayState::Running),
        ReplayStatus::Succeeded => ended(ReplayEnd::Succeeded),
        ReplayStatus::Cancelled => ended(ReplayEnd::Cancelled),
        ReplayStatus::Failed => {
            let code = attributes.required(attribute::CODE, ReplayErrorCode::parse)?;
            ended(ReplayEnd::Failed(ReplayError { code, message: attributes.text(attribute::MESSAGE)? }))
        }
    }
}

/// Returns the condition that a replay has not ended and is in the attempt that was read.
pub(super) fn is_unfinished(attempt: u32) -> Expression {
    Expression::new("#attempt = :read AND (#status = :pending OR #status = :running)")
        .with("read", number(attempt))
        .with("pending", text(ReplayStatus::Pending.name()))
        .with("running", text(ReplayStatus::Running.name()))
}

pub(super) fn with_state(changes: Changes, state: &ReplayState) -> Changes {
    state_attributes(state).into_iter().fold(changes, |changes, (name, value)| changes.set(name, value))
}

impl ConfigurationTable {
    /// Returns a replay; `None`: there is none under this key.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_replay(&self, of: &ReplayKey) -> Result<Option<Replay>, PortError> {
        let found = self.table.get("load replay", key(of)).await?;
        Ok(found.as_ref().map(read).transpose()?)
    }

    /// Returns the replays of a configuration. Those are read after the number of requests, so that a request that comes in
    /// between is noticed.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn replays(&self, configuration: &ConfigurationKey) -> Result<ReplaySeries, PortError> {
        let found = self.table.get("load configuration", item::key(configuration)).await?.unwrap_or_default();
        let requests = Attributes(&found).optional_number(attribute::REPLAY_REQUESTS)?.unwrap_or(0);
        let prefix = format!("{PREFIX}{}#", configuration.configuration_id);
        let of_configuration = Expression::new("#tenantId = :tenant AND begins_with(#id, :prefix)")
            .with("tenant", text(&configuration.tenant_id))
            .with("prefix", text(prefix));
        let items = self.table.all("list replays", &Query::new(of_configuration), MAX_LIST_PAGES).await?;
        let mut replays = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        replays.sort_by_key(|replay| std::cmp::Reverse((replay.requested_at, replay.key.replay_id)));
        Ok(ReplaySeries { requests, replays })
    }

    /// Stores the attempt of a replay that was requested again, unless it has ended or was requested again since it was read.
    ///
    /// # Errors
    /// Transient or internal. After a transient one it may have been done.
    pub async fn repeat_replay(&self, repeated: &Replay) -> Result<EditOutcome, PortError> {
        let changes = Changes::default().set(attribute::ATTEMPT, number(repeated.attempt));
        let condition = is_unfinished(repeated.attempt.saturating_sub(1));
        match self.table.write("repeat replay", Write::update(key(&repeated.key), changes).when(condition)).await? {
            WriteOutcome::Done(_) => Ok(EditOutcome::Done),
            WriteOutcome::Refused(_) => Ok(EditOutcome::ChangedSince),
        }
    }

    /// Stores a change that a run reports, unless the replay has ended or was requested again since it was read. `progress` is what
    /// the state of its runs says.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn change_replay(
        &self,
        replay: &Replay,
        change: &ReplayChange,
        progress: Option<ReplayProgress>,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let mut changes = Changes::default().set(attribute::EXPIRES_AT, seconds(expires_at));
        let mut condition = is_unfinished(replay.attempt);
        changes = match change {
            ReplayChange::Started { at } => {
                with_state(changes, &ReplayState::Running).set_if_absent(attribute::STARTED_AT, text(at))
            }
            ReplayChange::Delivered { .. } => changes,
            ReplayChange::Tested(test) => {
                test_attributes(*test).into_iter().fold(changes, |changes, (name, value)| changes.set(name, value))
            }
            ReplayChange::Ended { at, end } => with_state(changes, &ReplayState::Ended { at: *at, end: end.clone() }),
        };
        if let Some(progress) = progress {
            changes = changes
                .set(attribute::OBJECTS, number(progress.objects))
                .set(attribute::EVENTS, number(progress.events))
                .set(attribute::STORED_BYTES, number(progress.stored_bytes));
            if let Some(through) = progress.exported_through {
                changes = changes.set(attribute::EXPORTED_THROUGH, text(through));
                // The texts sort like the times.
                condition
                    .text
                    .push_str(" AND (attribute_not_exists(#exportedThrough) OR #exportedThrough <= :exportedThrough)");
            }
        }
        match self.table.write("change replay", Write::update(key(&replay.key), changes).when(condition)).await? {
            WriteOutcome::Done(_) => {}
            WriteOutcome::Refused(_) => {
                let ReplayKey { tenant_id: tenant, configuration_id: configuration, replay_id: replay } = &replay.key;
                tracing::info!(%tenant, %configuration, %replay, ?change,
                    "a change of a replay was dropped: it has ended, was requested again, or is further");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        connection::ConnectionErrorCode,
        ocsf::{OcsfSettings, Version},
        replay::test_support::replay,
    };

    use super::*;

    fn ended(end: ReplayEnd) -> ReplayState {
        ReplayState::Ended { at: replay().requested_at, end }
    }

    #[test]
    fn a_replay_is_read_back_in_every_state() {
        let error = ReplayError {
            code: ReplayErrorCode::Connection(ConnectionErrorCode::WriteDenied),
            message: "Denied.".to_owned(),
        };
        let at = replay().requested_at;
        let running = Replay {
            started_at: Some(at),
            test: Some(ReplayTest { at, version: 7 }),
            progress: ReplayProgress { exported_through: Some(at), objects: 1, events: 2, stored_bytes: 3 },
            ..replay()
        };
        for state in [
            ReplayState::Pending,
            ReplayState::Running,
            ended(ReplayEnd::Succeeded),
            ended(ReplayEnd::Cancelled),
            ended(ReplayEnd::Failed(error)),
        ] {
            let of_parquet = Replay { format: Some(ExportFormat::Parquet), ..replay() };
            let without_format = Replay { format: None, ..replay() };
            let filter = serde_json::from_str::<EventFilter>(r#"{"exclude":{"actions":["QUERY"]}}"#).ok();
            let filtered = Replay { filter, ..replay() };
            let classes = serde_json::from_str(r#"[{"action":"A","class":"API_ACTIVITY"}]"#).unwrap();
            let of_ocsf = Replay {
                format: Some(ExportFormat::OcsfParquet),
                ocsf: Some(OcsfSettings { version: Version::V1_8_0, classes }),
                ..replay()
            };
            for replay in [replay(), running.clone(), of_parquet, of_ocsf, without_format, filtered] {
                let replay = Replay { state: state.clone(), ..replay };
                let stored = write("test", &replay, at).unwrap();
                assert_eq!(read(&stored).unwrap(), replay);
                let format = stored.get("format").map(|format| format.as_s().unwrap().as_str());
                assert_eq!(format, replay.format.map(ExportFormat::name));
                assert!(stored["id"].as_s().unwrap().as_str() > item::BEHIND_IDS, "no list of configurations has it");
            }
        }
    }

    #[test]
    fn the_oldest_that_has_ended_makes_room_for_another() {
        let at = |hours: u64| Timestamp::EPOCH.saturating_add(std::time::Duration::from_hours(hours));
        let numbered = |number: u64, state| Replay { requested_at: at(100 - number), state, ..replay() };
        let mut replays: Vec<_> = (0..20).map(|number| numbered(number, ended(ReplayEnd::Succeeded))).collect();
        if let Some(oldest) = replays.last_mut() {
            oldest.state = ReplayState::Running;
        }
        let full = ReplaySeries::new(20, replays.clone());
        assert_eq!(full.replaced().map(|replay| replay.requested_at), Some(at(100 - 18)));
        replays.pop();
        assert_eq!(ReplaySeries::new(19, replays).replaced(), None);
    }
}
