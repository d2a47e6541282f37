//! A deployed stack: its settings and the names of its resources.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use domain::{
    configuration::bucket::BucketName,
    interval::{ExportInterval, ExportSchedule},
};
use strum::{EnumIter, IntoStaticStr};

use crate::failure::Failure;

const DAY: Duration = Duration::from_hours(24);

/// The options that name a stack and how to reach it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Stack")]
pub struct StackArguments {
    /// The name of the `CloudFormation` stack
    #[arg(long, env = "AUDIT_EXPORT_STACK", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub stack: String,

    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// The options of the connection to AWS. Without them the AWS CLI's variables and files apply.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct ConnectionArguments {
    /// The AWS Region
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// The profile of the AWS CLI's files
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// A queue of the stack, named like its resource.
#[expect(clippy::enum_variant_names, reason = "they are the names of resources in the template")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
pub enum Queue {
    EventsQueue,
    TopicEventsQueue,
    RuleEventsQueue,
    RunsQueue,
    ManualRunsQueue,
    ConversionQueue,
    ManualConversionQueue,
    WebhooksQueue,
    EventsDeadLetterQueue,
    TopicEventsDeadLetterQueue,
    RuleEventsDeadLetterQueue,
    RunsDeadLetterQueue,
    ManualRunsDeadLetterQueue,
    ConversionDeadLetterQueue,
    ManualConversionDeadLetterQueue,
    WebhooksDeadLetterQueue,
    SchedulesDeadLetterQueue,
}

/// A table of the stack, named like its resource.
#[expect(clippy::enum_variant_names, reason = "they are the names of resources in the template")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
pub enum Table {
    AuditEventsTable,
    ExportConfigurationsTable,
    ExportRunsTable,
}

/// A KMS key of the stack, named like its resource.
#[expect(clippy::enum_variant_names, reason = "they are the names of resources in the template")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
pub enum Key {
    SecretKey,
    SigningKey,
    ArchiveKey,
}

impl Key {
    /// Returns whether KMS rotates the key.
    #[must_use]
    pub fn is_rotated(self) -> bool {
        match self {
            Self::SecretKey | Self::ArchiveKey => true,
            Self::SigningKey => false,
        }
    }
}

/// A function that operators invoke, named like its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
pub enum Function {
    ExporterFunction,
    HousekeeperFunction,
}

/// A schedule of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    Dispatch(ExportInterval),
    Sweep,
    PublishNotices,
    Archive,
}

impl Schedule {
    pub fn all() -> impl Iterator<Item = Self> {
        ExportInterval::ALL.into_iter().map(Self::Dispatch).chain([Self::Sweep, Self::PublishNotices, Self::Archive])
    }

    /// Returns the name of its resource, such as `Every2HoursSchedule`.
    #[must_use]
    pub fn resource(self) -> String {
        match self {
            Self::Dispatch(interval) => format!("Every{}HoursSchedule", interval.duration().as_secs() / 3_600),
            Self::Sweep => "SweepSchedule".to_owned(),
            Self::PublishNotices => "PublishNoticesSchedule".to_owned(),
            Self::Archive => "ArchiveSchedule".to_owned(),
        }
    }
}

/// What `CloudFormation` says of a stack.
#[derive(Clone, Debug, Default)]
pub struct StackDescription {
    pub parameters: BTreeMap<String, String>,
    /// The physical IDs by the logical ones.
    pub resources: BTreeMap<String, String>,
    /// The names of the alarms.
    pub alarms: Vec<String>,
}

/// A deployed stack.
#[derive(Clone, Debug)]
pub struct Stack {
    pub name: String,
    pub schedule: ExportSchedule,
    pub retention: Duration,
    /// The time that archived blocks stay in the events table. `None`: there is no archive.
    pub table_period: Option<Duration>,
    description: StackDescription,
}

impl Stack {
    /// # Errors
    /// The stack is not one of this service: a parameter or a resource is missing.
    pub fn new(name: String, description: StackDescription) -> Result<Self, Failure> {
        let parameter = |parameter: &str| {
            let value = description.parameters.get(parameter).and_then(|text| text.parse::<u32>().ok());
            value.ok_or_else(|| foreign(&name, &format!("the parameter {parameter}")))
        };
        let slot_seconds = parameter("DevelopmentSlotSeconds")?;
        let schedule = ExportSchedule {
            settle: Duration::from_secs(parameter("SettleSeconds")?.into()),
            development_slot_length: (slot_seconds > 0).then(|| Duration::from_secs(slot_seconds.into())),
        };
        let retention = DAY * parameter("RetentionDays")?;
        let table_period = Some(DAY * parameter("TableDays")?).filter(|period| !period.is_zero());
        Ok(Self { name, schedule, retention, table_period, description })
    }

    /// Returns the physical ID of a resource: the URL of a queue, the name of a table, function or schedule.
    ///
    /// # Errors
    /// The stack has no such resource.
    pub fn id_of(&self, resource: impl Into<&'static str>) -> Result<&str, Failure> {
        self.resource(resource.into())
    }

    /// Returns the ID of a key. The stack has one of two resources for the signing key, chosen by `SigningKeySlot`, which
    /// an earlier template does not have.
    ///
    /// # Errors
    /// As [`Stack::id_of`].
    pub fn key_id(&self, key: Key) -> Result<&str, Failure> {
        let slot = self.description.parameters.get("SigningKeySlot").map(String::as_str);
        match (key, slot) {
            (Key::SigningKey, Some("second")) => self.resource("SecondSigningKey"),
            _ => self.resource(key.into()),
        }
    }

    /// # Errors
    /// As [`Stack::id_of`].
    pub fn schedule_name(&self, schedule: Schedule) -> Result<&str, Failure> {
        self.resource(&schedule.resource())
    }

    /// Returns the bucket of the archive.
    ///
    /// # Errors
    /// As [`Stack::id_of`].
    pub fn archive_bucket(&self) -> Result<BucketName, Failure> {
        let name = self.resource("ArchiveBucket")?;
        BucketName::parse(name).map_err(|_| foreign(&self.name, "the name of ArchiveBucket"))
    }

    fn resource(&self, logical_id: &str) -> Result<&str, Failure> {
        let found = self.description.resources.get(logical_id);
        found.map(String::as_str).ok_or_else(|| foreign(&self.name, &format!("the resource {logical_id}")))
    }

    #[must_use]
    pub fn alarms(&self) -> &[String] {
        &self.description.alarms
    }
}

fn foreign(stack: &str, missing: &str) -> Failure {
    Failure::InvalidArgument {
        what: "--stack",
        reason: format!("{stack} is no complete stack of the audit-log export: {missing} is missing"),
    }
}

#[cfg(test)]
pub mod test_support {
    use strum::IntoEnumIterator;

    use super::*;

    /// Returns a stack with production's defaults. Its physical IDs are the logical ones.
    pub fn stack() -> Stack {
        let parameters =
            [("DevelopmentSlotSeconds", "0"), ("SettleSeconds", "1200"), ("RetentionDays", "90"), ("TableDays", "7")];
        let resources = Queue::iter().map(|queue| <&str>::from(queue).to_owned());
        let resources = resources.chain(Table::iter().map(|table| <&str>::from(table).to_owned()));
        let resources = resources.chain(Key::iter().map(|key| <&str>::from(key).to_owned()));
        let resources = resources.chain(Function::iter().map(|function| <&str>::from(function).to_owned()));
        let resources = resources.chain(Schedule::all().map(Schedule::resource));
        let resources = resources.map(|id| (id.clone(), id));
        let bucket = ("ArchiveBucket".to_owned(), "archivebucket".to_owned());
        let description = StackDescription {
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            resources: resources.chain([bucket]).collect(),
            alarms: vec!["production-RunFailedAlarm".to_owned(), "production-LargestLagAlarm".to_owned()],
        };
        Stack::new("production".to_owned(), description).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::{test_support::stack, *};

    #[test]
    fn every_resource_is_found_by_its_name_in_the_template() {
        let template = include_str!("../../../template.yaml");
        for id in stack().description.resources.keys() {
            assert!(template.contains(&format!("\n  {id}:\n")), "{id}");
        }
        for parameter in stack().description.parameters.keys() {
            assert!(template.contains(&format!("\n  {parameter}:\n    Type: Number")), "{parameter}");
        }
        assert_eq!(template.matches("Type: AWS::SQS::Queue\n").count(), Queue::iter().count());
        assert_eq!(stack().id_of(Queue::RunsQueue).unwrap(), "RunsQueue");
        assert_eq!(stack().archive_bucket().unwrap().as_str(), "archivebucket");
        assert_eq!((stack().retention, stack().table_period), (90 * DAY, Some(7 * DAY)));
    }

    #[test]
    fn the_signing_key_is_the_one_of_the_slot() {
        let template = include_str!("../../../template.yaml");
        assert!(template.contains("\n  SigningKeySlot:\n") && template.contains("\n  SecondSigningKey:\n"));
        // A key that left the stack is listed for a while.
        let mut stack = stack();
        stack.description.resources.insert("SecondSigningKey".to_owned(), "second".to_owned());
        for (slot, id) in [(None, "SigningKey"), (Some("first"), "SigningKey"), (Some("second"), "second")] {
            stack.description.parameters.extend(slot.map(|slot| ("SigningKeySlot".to_owned(), slot.to_owned())));
            assert_eq!(stack.key_id(Key::SigningKey).unwrap(), id, "{slot:?}");
            assert_eq!(stack.key_id(Key::SecretKey).unwrap(), "SecretKey", "{slot:?}");
        }
    }

    #[test]
    fn another_stack_is_refused_with_what_it_lacks() {
        let failure = Stack::new("website".to_owned(), StackDescription::default()).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains("the parameter DevelopmentSlotSeconds is missing"), "{failure}");
    }
}
