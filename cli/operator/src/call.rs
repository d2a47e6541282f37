//! Every call to AWS that the program makes, with the permission that it needs. The IAM policies are made from this table.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator};

use aws_adapters::{
    archive::records::ROW_PROJECTION, configurations::OVERVIEW_PROJECTION, events::volume::VOLUME_PROJECTION,
};

/// A call to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
pub enum Call {
    DescribeStacks,
    ListStackResources,
    DescribeAlarms,
    GetMetricData,
    DescribeTable,
    DescribeTimeToLive,
    DescribeContinuousBackups,
    ScanConfigurations,
    QueryConfigurations,
    QueryEvents,
    DescribeKey,
    GetKeyRotationStatus,
    GetAccountSettings,
    GetSchedule,
    GetQueueAttributes,
    GetObject,
    InvokeExporter,
    InvokeHousekeeper,
    StartMessageMoveTask,
    ListMessageMoveTasks,
    ReceiveMessage,
    SendMessage,
    DeleteMessage,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// For status, doctor, tenant show, tenant cost and digest show
    ReadOnly,
    /// For all commands
    ReadWrite,
}

/// The resources of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    /// The action supports no resource.
    Any,
    Stack,
    Alarms,
    Tables,
    Configurations,
    Events,
    Keys,
    Schedules,
    SourceQueues,
    DeadLetterQueues,
    SchedulesDeadLetterQueue,
    Exporter,
    Housekeeper,
    Digests,
}

/// All queues. Calls share these parts, so that a policy names each queue once: its length is limited.
const QUEUES: &[Resource] = &[Resource::SourceQueues, Resource::DeadLetterQueues, Resource::SchedulesDeadLetterQueue];

impl Call {
    const fn permission(self) -> (&'static str, &'static [Resource], Access) {
        use Access::{ReadOnly, ReadWrite};
        match self {
            Self::DescribeStacks => ("cloudformation:DescribeStacks", &[Resource::Stack], ReadOnly),
            Self::ListStackResources => ("cloudformation:ListStackResources", &[Resource::Stack], ReadOnly),
            Self::DescribeAlarms => ("cloudwatch:DescribeAlarms", &[Resource::Alarms], ReadOnly),
            Self::GetMetricData => ("cloudwatch:GetMetricData", &[Resource::Any], ReadOnly),
            Self::DescribeTable => ("dynamodb:DescribeTable", &[Resource::Tables], ReadOnly),
            Self::DescribeTimeToLive => ("dynamodb:DescribeTimeToLive", &[Resource::Tables], ReadOnly),
            Self::DescribeContinuousBackups => ("dynamodb:DescribeContinuousBackups", &[Resource::Tables], ReadOnly),
            Self::ScanConfigurations => ("dynamodb:Scan", &[Resource::Configurations], ReadOnly),
            Self::QueryConfigurations => ("dynamodb:Query", &[Resource::Configurations], ReadOnly),
            Self::QueryEvents => ("dynamodb:Query", &[Resource::Events], ReadOnly),
            Self::DescribeKey => ("kms:DescribeKey", &[Resource::Keys], ReadOnly),
            Self::GetKeyRotationStatus => ("kms:GetKeyRotationStatus", &[Resource::Keys], ReadOnly),
            Self::GetAccountSettings => ("lambda:GetAccountSettings", &[Resource::Any], ReadOnly),
            Self::GetSchedule => ("scheduler:GetSchedule", &[Resource::Schedules], ReadOnly),
            Self::GetQueueAttributes => ("sqs:GetQueueAttributes", QUEUES, ReadOnly),
            Self::GetObject => ("s3:GetObject", &[Resource::Digests], ReadOnly),
            Self::InvokeExporter => ("lambda:InvokeFunction", &[Resource::Exporter], ReadWrite),
            Self::InvokeHousekeeper => ("lambda:InvokeFunction", &[Resource::Housekeeper], ReadWrite),
            Self::StartMessageMoveTask => ("sqs:StartMessageMoveTask", &[Resource::DeadLetterQueues], ReadWrite),
            Self::ListMessageMoveTasks => ("sqs:ListMessageMoveTasks", &[Resource::DeadLetterQueues], ReadWrite),
            // SQS asks for these three of a message move task as well.
            Self::ReceiveMessage => ("sqs:ReceiveMessage", &[Resource::DeadLetterQueues], ReadWrite),
            Self::SendMessage => ("sqs:SendMessage", &[Resource::SourceQueues], ReadWrite),
            Self::DeleteMessage => ("sqs:DeleteMessage", &[Resource::DeadLetterQueues], ReadWrite),
        }
    }

    /// Returns the IAM action, such as `sqs:GetQueueAttributes`.
    #[must_use]
    pub const fn action(self) -> &'static str {
        self.permission().0
    }

    /// Returns the action without its service.
    #[must_use]
    pub fn operation(self) -> &'static str {
        self.action().split_once(':').map_or("", |(_, operation)| operation)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.action())
    }
}

/// The stack that a policy is for. `*` is allowed for account and Region.
#[derive(Clone, Debug)]
pub struct PolicyScope {
    pub partition: String,
    pub region: String,
    pub account: String,
    pub stack: String,
}

impl PolicyScope {
    /// Returns the ARN of a resource of the stack's account and Region.
    fn arn(&self, service: &str, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{name}")
    }

    /// Returns the ARNs of a resource and the condition of its use. `CloudFormation` adds a random suffix to the names.
    fn resource(&self, resource: Resource) -> (Vec<String>, Option<Condition>) {
        let stack = &self.stack;
        let of_stack = |service: &str, kind: &str, names: &[&str]| {
            names.iter().map(|name| self.arn(service, &format!("{kind}{stack}-{name}-*"))).collect::<Vec<_>>()
        };
        match resource {
            Resource::Any => (vec!["*".to_owned()], None),
            Resource::Stack => (vec![self.arn("cloudformation", &format!("stack/{stack}/*"))], None),
            // A request that names several alarms is checked against all alarms.
            Resource::Alarms => (vec![self.arn("cloudwatch", "alarm:*")], None),
            Resource::Tables => {
                let names = ["AuditEventsTable", "ExportConfigurationsTable", "ExportRunsTable"];
                (of_stack("dynamodb", "table/", &names), None)
            }
            Resource::Configurations => {
                (of_stack("dynamodb", "table/", &["ExportConfigurationsTable"]), Some(only(&[OVERVIEW_PROJECTION])))
            }
            Resource::Events => {
                let projections = [VOLUME_PROJECTION, ROW_PROJECTION];
                (of_stack("dynamodb", "table/", &["AuditEventsTable"]), Some(only(&projections)))
            }
            Resource::Keys => {
                let aliases = ["digests", "secrets", "archive"].map(|name| format!("alias/{stack}/{name}"));
                let condition = ("ForAnyValue:StringEquals", [("kms:ResourceAliases", aliases.to_vec())].into());
                (vec![self.arn("kms", "key/*")], Some([condition].into()))
            }
            Resource::Schedules => (vec![self.arn("scheduler", &format!("schedule/{stack}/*"))], None),
            Resource::SourceQueues => (of_stack("sqs", "", &SOURCE_QUEUES), None),
            Resource::DeadLetterQueues => (of_stack("sqs", "", &DEAD_LETTER_QUEUES), None),
            Resource::SchedulesDeadLetterQueue => (of_stack("sqs", "", &["SchedulesDeadLetterQueue"]), None),
            Resource::Exporter => (of_stack("lambda", "function:", &["ExporterFunction"]), None),
            Resource::Housekeeper => (of_stack("lambda", "function:", &["HousekeeperFunction"]), None),
            Resource::Digests => (vec![format!("arn:{}:s3:::*/_digests/*", self.partition)], None),
        }
    }

    /// Returns the IAM policy for the commands of an access.
    #[must_use]
    pub fn policy(&self, access: Access) -> Policy {
        let mut statements: Vec<(Resource, Vec<&'static str>)> = Vec::new();
        for call in Call::iter() {
            let (action, resources, needed) = call.permission();
            if needed == Access::ReadWrite && access == Access::ReadOnly {
                continue;
            }
            for resource in resources {
                match statements.iter_mut().find(|(known, _)| known == resource) {
                    Some((_, actions)) => actions.push(action),
                    None => statements.push((*resource, vec![action])),
                }
            }
        }
        let statements = statements.into_iter().map(|(resource, action)| {
            let (arns, condition) = self.resource(resource);
            Statement { sid: format!("{resource:?}"), effect: "Allow", action, resource: arns, condition }
        });
        Policy { version: "2012-10-17", statement: statements.collect() }
    }
}

/// The values of condition keys, by operators and keys.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

/// An IAM policy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

const SOURCE_QUEUES: [&str; 8] = [
    "EventsQueue",
    "TopicEventsQueue",
    "RuleEventsQueue",
    "RunsQueue",
    "ManualRunsQueue",
    "ConversionQueue",
    "ManualConversionQueue",
    "WebhooksQueue",
];
const DEAD_LETTER_QUEUES: [&str; 8] = [
    "EventsDeadLetterQueue",
    "TopicEventsDeadLetterQueue",
    "RuleEventsDeadLetterQueue",
    "RunsDeadLetterQueue",
    "ManualRunsDeadLetterQueue",
    "ConversionDeadLetterQueue",
    "ManualConversionDeadLetterQueue",
    "WebhooksDeadLetterQueue",
];

/// Returns the condition that a read has only attributes of these projections.
fn only(projections: &[&str]) -> Condition {
    let mut attributes: Vec<String> = Vec::new();
    for name in projections.iter().flat_map(|projection| projection.split(", ")) {
        let name = name.trim_start_matches('#').to_owned();
        if !attributes.contains(&name) {
            attributes.push(name);
        }
    }
    [
        ("ForAllValues:StringEquals", [("dynamodb:Attributes", attributes)].into()),
        // ForAllValues is also true without any attribute.
        ("Null", [("dynamodb:Attributes", vec!["false".to_owned()])].into()),
        ("StringEquals", [("dynamodb:Select", vec!["SPECIFIC_ATTRIBUTES".to_owned()])].into()),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn scope() -> PolicyScope {
        let text = |text: &str| text.to_owned();
        PolicyScope { partition: text("aws"), region: text("*"), account: text("*"), stack: text("production") }
    }

    fn actions(access: Access) -> BTreeSet<&'static str> {
        scope().policy(access).statement.into_iter().flat_map(|statement| statement.action).collect()
    }

    #[test]
    fn the_policies_are_pinned() {
        insta::assert_snapshot!(
            "read_write",
            serde_json::to_string_pretty(&scope().policy(Access::ReadWrite)).unwrap()
        );
    }

    #[test]
    fn every_call_is_in_the_policy_of_its_access_and_nothing_else() {
        assert_eq!(actions(Access::ReadWrite), Call::iter().map(Call::action).collect());
        let reads = actions(Access::ReadOnly);
        let of_reads = Call::iter().filter(|call| call.permission().2 == Access::ReadOnly);
        assert_eq!(reads, of_reads.map(Call::action).collect());
        // What these are called in IAM changes nothing.
        let is_read =
            |action: &str| ["Describe", "Get", "List", "Query", "Scan"].iter().any(|verb| action.starts_with(verb));
        assert!(reads.iter().all(|action| action.split_once(':').is_some_and(|(_, name)| is_read(name))), "{reads:?}");
    }

    #[test]
    fn a_policy_fits_into_a_managed_policy() {
        // Characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
        let scope = PolicyScope {
            region: "ap-southeast-1".to_owned(),
            account: "111111111111".to_owned(),
            stack: "a-rather-long-name-of-a-stack-1".to_owned(),
            ..scope()
        };
        assert!(serde_json::to_string(&scope.policy(Access::ReadWrite)).unwrap().len() <= 6_144);
    }

    #[test]
    fn every_resource_of_a_policy_is_in_the_template() {
        let template = include_str!("../../../template.yaml");
        let policy = serde_json::to_string(&scope().policy(Access::ReadWrite)).unwrap();
        let names = policy.split("production-").skip(1).filter_map(|rest| rest.split_once("-*"));
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(template.contains(&format!("\n  {name}:\n")), "{name}");
        }
        let queues = SOURCE_QUEUES.len() + DEAD_LETTER_QUEUES.len() + 1;
        assert_eq!(template.matches("Type: AWS::SQS::Queue\n").count(), queues);
        for alias in ["digests", "secrets", "archive"] {
            assert!(template.contains(&format!("AliasName: !Sub alias/${{AWS::StackName}}/{alias}")), "{alias}");
        }
    }
}
