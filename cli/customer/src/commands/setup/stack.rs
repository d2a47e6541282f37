//! The CloudFormation stack with the customer's role: created or updated, however often it is repeated.
//!
//! `aws cloudformation deploy` looks at a stack only every 30 s, so the stack is created and watched here.

use std::{io::Write, time::Duration};

use domain::configuration::region::Region;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use terminal::text::printable;
use tokio::time::{Instant, sleep};

use super::{account::parse, documents};
use crate::{
    aws_cli::{Aws, AwsError},
    model::Parameter,
};

/// The longest time of one change. A stack with a role, a bucket and a key takes about a minute.
const CHANGE_TIMEOUT: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_secs(2);
/// Changes of one deployment: the removal of a failed stack and the creation, after a change that was under way.
const MAX_CHANGES: usize = 4;
/// Reasons of a failed change that are shown.
const MAX_REASONS: usize = 3;
/// The error text of an update without a change.
const NO_UPDATES: &str = "No updates are to be performed";
/// The error code of a creation of a stack that exists.
const ALREADY_EXISTS: &str = "AlreadyExistsException";
const DOES_NOT_EXIST: &str = "does not exist";
const CREATE_BUCKET: &str = "CreateBucket";
const CREATE_KEY: &str = "CreateKmsKey";

/// A stack to deploy.
#[derive(Debug)]
pub struct Stack<'a> {
    pub name: &'a str,
    pub region: &'a Region,
    /// The template's parameters, as the service fills them in.
    pub parameters: &'a [Parameter],
    /// Whether the stack has to create the bucket.
    pub creates_bucket: bool,
}

/// A change of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Create,
    Update,
}

/// The status of a stack, by what can be done.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    Absent,
    Changing(String),
    Ready(String),
    /// Its creation was undone: it has no resources, and can only be deleted.
    Undone(String),
    /// It can't be updated, and may have resources, or belong to a deployment of somebody else.
    Blocked(String),
}

/// The progress of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The stack is being changed.
    Changing(&'a str),
    /// A stack without resources is deleted.
    Deleting(&'a str),
}

/// Why a stack could not be deployed, for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Undeployed {
    pub reason: String,
    /// Whether there is a stack with resources. `None`: AWS did not say.
    pub exists: Option<bool>,
}

impl Stack<'_> {
    /// Creates or updates the stack, and waits until that has ended. `show` gets the progress.
    pub async fn deploy(&self, aws: &impl Aws, show: impl Fn(Progress<'_>)) -> Result<(), Undeployed> {
        let mut exists = None;
        self.try_deploy(aws, show, &mut exists).await.map_err(|reason| Undeployed { reason, exists })
    }

    async fn try_deploy(
        &self,
        aws: &impl Aws,
        show: impl Fn(Progress<'_>),
        exists: &mut Option<bool>,
    ) -> Result<(), String> {
        let template = template_file().map_err(|error| format!("the template can't be written to a file: {error}"))?;
        let mut is_deleted = false;
        for _ in 0..MAX_CHANGES {
            let change = match self.wait(aws, &show, exists).await? {
                Status::Absent => Change::Create,
                Status::Undone(status) if is_deleted => return Err(self.failure(aws, &status).await),
                Status::Undone(status) => {
                    show(Progress::Deleting(&status));
                    self.run(aws, "delete-stack", &[]).await.map_err(|error| error.to_string())?;
                    is_deleted = true;
                    continue;
                }
                Status::Blocked(status) => return Err(self.blocked(aws, &status).await),
                Status::Ready(_) | Status::Changing(_) => Change::Update,
            };
            return match self.change(aws, change, &template).await {
                Ok(()) => self.settle(aws, &show, exists).await,
                Err(error) if change == Change::Update && error.says(NO_UPDATES) => Ok(()),
                // An earlier call's request arrived meanwhile.
                Err(error) if error.code() == Some(ALREADY_EXISTS) => continue,
                Err(error) => {
                    // Without AWS's answer, the request may have taken effect.
                    *exists = exists.filter(|exists| *exists || error.code().is_some()).or(Some(true));
                    Err(error.to_string())
                }
            };
        }
        Err(format!("the stack {} is still being changed", self.name))
    }

    async fn change(&self, aws: &impl Aws, change: Change, template: &NamedTempFile) -> Result<(), AwsError> {
        let operation = match change {
            Change::Create => "create-stack",
            Change::Update => "update-stack",
        };
        let body = format!("file://{}", template.path().display());
        let parameters = self.parameters(change).to_string();
        let options = ["--template-body", &body, "--parameters", &parameters, "--capabilities", "CAPABILITY_NAMED_IAM"];
        self.run(aws, operation, &options).await.map(|_| ())
    }

    /// Returns the parameters for a request. What a stack has created stays in it.
    fn parameters(&self, change: Change) -> Value {
        let parameter = |Parameter { name, value }: &Parameter| match &**name {
            CREATE_BUCKET if self.creates_bucket => Some(json!({ "ParameterKey": &**name, "ParameterValue": "true" })),
            CREATE_BUCKET | CREATE_KEY => {
                (change == Change::Update).then(|| json!({ "ParameterKey": &**name, "UsePreviousValue": true }))
            }
            _ => Some(json!({ "ParameterKey": &**name, "ParameterValue": &**value })),
        };
        self.parameters.iter().filter_map(parameter).collect()
    }

    /// Waits for the end of a change, and checks its result.
    async fn settle(
        &self,
        aws: &impl Aws,
        show: &impl Fn(Progress<'_>),
        exists: &mut Option<bool>,
    ) -> Result<(), String> {
        // If its end is not seen.
        *exists = Some(true);
        match self.wait(aws, show, exists).await? {
            Status::Ready(status) if matches!(&*status, "CREATE_COMPLETE" | "UPDATE_COMPLETE") => Ok(()),
            Status::Absent => Err(format!("the stack {} was deleted meanwhile", self.name)),
            Status::Ready(status) | Status::Undone(status) | Status::Changing(status) => {
                Err(self.failure(aws, &status).await)
            }
            Status::Blocked(status) => Err(self.blocked(aws, &status).await),
        }
    }

    /// Describes a stack that setup does not touch: a deployment of somebody else may be in progress, or a person has to decide
    /// about its resources.
    async fn blocked(&self, aws: &impl Aws, status: &str) -> String {
        format!(
            "{}\n  Setup does not change a stack in this state. If nobody is deploying it, delete it, and run setup again:\n    \
             aws cloudformation delete-stack --region {} --stack-name {}",
            self.failure(aws, status).await,
            self.region,
            self.name
        )
    }

    async fn failure(&self, aws: &impl Aws, status: &str) -> String {
        format!("the stack {} is {status}{}", self.name, self.reasons(aws).await)
    }

    /// Waits until the stack is not being changed.
    async fn wait(
        &self,
        aws: &impl Aws,
        show: &impl Fn(Progress<'_>),
        exists: &mut Option<bool>,
    ) -> Result<Status, String> {
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        loop {
            let status = self.status(aws).await?;
            *exists = Some(!matches!(status, Status::Absent | Status::Undone(_)));
            match status {
                Status::Changing(status) if Instant::now() >= deadline => {
                    let minutes = CHANGE_TIMEOUT.as_secs() / 60;
                    return Err(format!("the stack {} is still {status} after {minutes} minutes", self.name));
                }
                Status::Changing(status) => show(Progress::Changing(&status)),
                settled => return Ok(settled),
            }
            sleep(PAUSE).await;
        }
    }

    async fn status(&self, aws: &impl Aws) -> Result<Status, String> {
        let query = ["--query", "Stacks[0].StackStatus", "--output", "json"];
        let status: String = match self.run(aws, "describe-stacks", &query).await {
            Ok(output) => parse(&output)?,
            Err(error) if error.says(DOES_NOT_EXIST) => return Ok(Status::Absent),
            Err(error) => return Err(error.to_string()),
        };
        Ok(match &*status {
            "DELETE_COMPLETE" => Status::Absent,
            "ROLLBACK_COMPLETE" => Status::Undone(status),
            // The first never ends by itself: it waits for a person.
            "REVIEW_IN_PROGRESS" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => Status::Blocked(status),
            _ if status.ends_with("_IN_PROGRESS") => Status::Changing(status),
            _ => Status::Ready(status),
        })
    }

    /// Formats the reasons of a failed change, the newest first.
    async fn reasons(&self, aws: &impl Aws) -> String {
        #[derive(Deserialize)]
        struct Event(String, Option<String>);

        let query = "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]";
        let output = self.run(aws, "describe-stack-events", &["--query", query, "--output", "json"]).await;
        let events: Vec<Event> = output.ok().and_then(|output| parse(&output).ok()).unwrap_or_default();
        let reasons = events.iter().filter_map(|Event(resource, reason)| Some((resource, reason.as_ref()?)));
        let lines: Vec<String> = reasons
            // Of the resources that waited for the failed one.
            .filter(|(_, reason)| !reason.contains("cancelled"))
            .take(MAX_REASONS)
            .map(|(resource, reason)| format!("\n  {}: {}", printable(resource), printable(reason)))
            .collect();
        lines.concat()
    }

    async fn run(&self, aws: &impl Aws, operation: &str, options: &[&str]) -> Result<String, AwsError> {
        let command = ["cloudformation", operation, "--region", self.region.as_str(), "--stack-name", self.name];
        aws.run(&[&command[..], options].concat()).await
    }
}

/// Writes the template to a file for the AWS command line. It is removed on drop.
fn template_file() -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(documents::TEMPLATE.as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_cli::tests::{Output, Script};

    const DESCRIBE: &str =
        "cloudformation describe-stacks --region eu-west-1 --stack-name export --query Stacks[0].StackStatus";
    const EVENTS: &str = "cloudformation describe-stack-events --region eu-west-1 --stack-name export";
    const CREATE: &str = "cloudformation create-stack --region eu-west-1 --stack-name export --template-body file://";
    const UPDATE: &str = "cloudformation update-stack --region eu-west-1 --stack-name export --template-body file://";
    const DELETE: &str = "cloudformation delete-stack --region eu-west-1 --stack-name export";
    const ABSENT: Output = Err(
        "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id export does not exist",
    );

    fn parameters() -> Vec<Parameter> {
        let parameters = [
            ("RoleName", "audit-export"),
            ("BucketPath", "it's"),
            ("CreateBucket", "false"),
            ("CreateKmsKey", "false"),
        ];
        let parameters = parameters.map(|(name, value)| json!({ "name": name, "value": value }));
        serde_json::from_value(json!(parameters)).unwrap()
    }

    async fn deploy(steps: &[(&str, Output<'_>)]) -> Result<(), String> {
        deployed(steps).await.map_err(|undeployed| undeployed.reason)
    }

    async fn deployed(steps: &[(&str, Output<'_>)]) -> Result<(), Undeployed> {
        let region = Region::parse("eu-west-1").unwrap();
        let parameters = parameters();
        let stack = Stack { name: "export", region: &region, parameters: &parameters, creates_bucket: false };
        let aws = Script::new(steps);
        let outcome = stack.deploy(&aws, |_| ()).await;
        aws.assert_finished();
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn a_stack_is_created_once() {
        let created = [
            (DESCRIBE, ABSENT),
            (CREATE, Ok("{}")),
            (DESCRIBE, Ok("\"CREATE_IN_PROGRESS\"")),
            (DESCRIBE, Ok("\"CREATE_COMPLETE\"")),
        ];
        assert_eq!(deploy(&created).await, Ok(()));
        let unchanged = Err("An error occurred (ValidationError): No updates are to be performed.");
        assert_eq!(deploy(&[(DESCRIBE, Ok("\"CREATE_COMPLETE\"")), (UPDATE, unchanged)]).await, Ok(()));
        let updated = [
            (DESCRIBE, Ok("\"UPDATE_ROLLBACK_COMPLETE\"")),
            (UPDATE, Ok("{}")),
            (DESCRIBE, Ok("\"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS\"")),
            (DESCRIBE, Ok("\"UPDATE_COMPLETE\"")),
        ];
        assert_eq!(deploy(&updated).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupted_deployment_goes_on() {
        let unchanged = Err("No updates are to be performed.");
        let under_way =
            [(DESCRIBE, Ok("\"CREATE_IN_PROGRESS\"")), (DESCRIBE, Ok("\"CREATE_COMPLETE\"")), (UPDATE, unchanged)];
        assert_eq!(deploy(&under_way).await, Ok(()));
        let crossed = [
            (DESCRIBE, ABSENT),
            (CREATE, Err("An error occurred (AlreadyExistsException) when calling the CreateStack operation")),
            (DESCRIBE, Ok("\"CREATE_COMPLETE\"")),
            (UPDATE, unchanged),
        ];
        assert_eq!(deploy(&crossed).await, Ok(()));
        let again = [
            (DESCRIBE, Ok("\"ROLLBACK_COMPLETE\"")),
            (DELETE, Ok("")),
            (DESCRIBE, Ok("\"DELETE_IN_PROGRESS\"")),
            (DESCRIBE, ABSENT),
            (CREATE, Ok("{}")),
            (DESCRIBE, Ok("\"CREATE_COMPLETE\"")),
        ];
        assert_eq!(deploy(&again).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stack_that_a_person_has_to_decide_about_is_left_alone() {
        for status in ["REVIEW_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"] {
            let answer = format!("\"{status}\"");
            let left = deployed(&[(DESCRIBE, Ok(&answer)), (EVENTS, Ok("[]"))]).await.unwrap_err();
            assert_eq!(left.exists, Some(true));
            let (first, command) = (left.reason.lines().next(), left.reason.lines().last());
            assert_eq!(first, Some(&*format!("the stack export is {status}")));
            assert_eq!(command.map(str::trim), Some(&*format!("aws {DELETE}")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_says_whether_there_is_a_stack() {
        let denied: Output<'_> = Err("An error occurred (AccessDenied)");
        let undone =
            [(DESCRIBE, ABSENT), (CREATE, Ok("{}")), (DESCRIBE, Ok("\"ROLLBACK_COMPLETE\"")), (EVENTS, denied)];
        for (steps, expected) in [
            (&[(DESCRIBE, denied)][..], None),
            (&[(DESCRIBE, ABSENT), (CREATE, denied)], Some(false)),
            (&undone, Some(false)),
            (&[(DESCRIBE, ABSENT), (CREATE, Ok("{}")), (DESCRIBE, denied)], Some(true)),
            (&[(DESCRIBE, Ok("\"CREATE_COMPLETE\"")), (UPDATE, denied)], Some(true)),
        ] {
            assert_eq!(deployed(steps).await.unwrap_err().exists, expected, "{steps:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_says_which_resource_and_why() {
        let events =
            r#"[["Role", "audit-export already exists"], ["Bucket", "Resource creation cancelled"], ["export", null]]"#;
        let failed =
            [(DESCRIBE, ABSENT), (CREATE, Ok("{}")), (DESCRIBE, Ok("\"ROLLBACK_COMPLETE\"")), (EVENTS, Ok(events))];
        assert_eq!(
            deploy(&failed).await.unwrap_err(),
            "the stack export is ROLLBACK_COMPLETE\n  Role: audit-export already exists"
        );
        let rolled_back = [
            (DESCRIBE, Ok("\"CREATE_COMPLETE\"")),
            (UPDATE, Ok("{}")),
            (DESCRIBE, Ok("\"UPDATE_ROLLBACK_COMPLETE\"")),
            (EVENTS, Err("An error occurred (AccessDenied)")),
        ];
        assert_eq!(deploy(&rolled_back).await.unwrap_err(), "the stack export is UPDATE_ROLLBACK_COMPLETE");
        let stuck = [
            (DESCRIBE, Ok("\"ROLLBACK_COMPLETE\"")),
            (DELETE, Ok("")),
            (DESCRIBE, Ok("\"DELETE_FAILED\"")),
            (EVENTS, Ok(r#"[["Role", "No permission"]]"#)),
        ];
        let reason = deploy(&stuck).await.unwrap_err();
        assert!(
            reason.starts_with("the stack export is DELETE_FAILED\n  Role: No permission\n  Setup does not"),
            "{reason}"
        );
        let denied = Err("An error occurred (AccessDenied) when calling the CreateStack operation: No.");
        let refused = deploy(&[(DESCRIBE, ABSENT), (CREATE, denied)]).await.unwrap_err();
        assert!(refused.starts_with("aws cloudformation create-stack: An error occurred (AccessDenied)"), "{refused}");
        let changing = vec![(DESCRIBE, Ok("\"CREATE_IN_PROGRESS\"")); 301];
        assert!(deploy(&changing).await.unwrap_err().contains("still CREATE_IN_PROGRESS after 10 minutes"));
    }

    #[test]
    fn what_a_stack_created_stays_in_it() {
        let region = Region::parse("eu-west-1").unwrap();
        let parameters = parameters();
        let sent = |creates_bucket: bool, change: Change| {
            let stack = Stack { name: "export", region: &region, parameters: &parameters, creates_bucket };
            stack.parameters(change)
        };
        let given = |name: &str, value: &str| json!({ "ParameterKey": name, "ParameterValue": value });
        let kept = |name: &str| json!({ "ParameterKey": name, "UsePreviousValue": true });
        let (role, path) = (given("RoleName", "audit-export"), given("BucketPath", "it's"));
        assert_eq!(sent(false, Change::Create), json!([role, path]));
        assert_eq!(sent(true, Change::Create), json!([role, path, given("CreateBucket", "true")]));
        assert_eq!(sent(false, Change::Update), json!([role, path, kept("CreateBucket"), kept("CreateKmsKey")]));
        assert_eq!(
            sent(true, Change::Update),
            json!([role, path, given("CreateBucket", "true"), kept("CreateKmsKey")])
        );
    }
}
