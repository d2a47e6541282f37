//! Stacks, from `CloudFormation`.

use super::{
    Aws,
    answer::{call, incomplete},
};
use crate::{
    call::Call,
    failure::Failure,
    stack::{Stack, StackDescription},
};

/// The most pages of a stack's resources: `CloudFormation` allows 500 resources, in pages of at least 10.
const MAX_RESOURCE_PAGES: usize = 50;

const ALARM: &str = "AWS::CloudWatch::Alarm";

impl Aws {
    /// Returns a deployed stack.
    ///
    /// # Errors
    /// There is no such stack, or it is not one of this service.
    pub async fn stack(&self, name: &str) -> Result<Stack, Failure> {
        let stacks = call(Call::DescribeStacks, self.cloudformation.describe_stacks().stack_name(name).send()).await?;
        let stack = stacks.stacks.unwrap_or_default().into_iter().next();
        let stack = stack.ok_or_else(|| incomplete(Call::DescribeStacks, "stack"))?;
        let parameters = stack.parameters.unwrap_or_default();
        let mut description = StackDescription {
            parameters: parameters
                .into_iter()
                .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
                .collect(),
            ..StackDescription::default()
        };
        let mut token = None;
        for _ in 0..MAX_RESOURCE_PAGES {
            let request = self.cloudformation.list_stack_resources().stack_name(name).set_next_token(token);
            let page = call(Call::ListStackResources, request.send()).await?;
            for resource in page.stack_resource_summaries.unwrap_or_default() {
                let (Some(logical_id), Some(id)) = (resource.logical_resource_id, resource.physical_resource_id) else {
                    continue;
                };
                if resource.resource_type.as_deref() == Some(ALARM) {
                    description.alarms.push(id);
                } else {
                    description.resources.insert(logical_id, id);
                }
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        Stack::new(name.to_owned(), description)
    }
}
