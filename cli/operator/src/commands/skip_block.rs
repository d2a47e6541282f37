//! The command `skip-block`: approves that exports leave a corrupt block out.

use clap::Args;
use domain::{block::BlockId, operator_reason::OperatorReason, tenant::TenantId};
use serde_json::json;
use terminal::OutputFormat;

use crate::{
    aws::Aws,
    confirmation::{self, Ask, confirm},
    failure::Failure,
    ports::{Invocation, Invocations},
    stack::{Function, Stack, StackArguments},
};

/// Approve that a tenant's exports leave a corrupt block out
///
/// Only for a block that can't be restored: docs/RUNBOOKS.md, "A corrupt block". The digest of each of the tenant's exports
/// then has a gap of exactly this block. An approval can't be revoked; inform the customer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator skip-block acme 01M805D1C10000000000000007 \\
    --reason 'ticket 4711' --stack production
  audit-export-operator skip-block acme 01M805D1C10000000000000007 \\
    --reason 'ticket 4711' --stack production --yes")]
pub struct SkipBlockArguments {
    /// The tenant in the log line with the alarm `CORRUPT_BLOCK`
    #[arg(value_parser = TenantId::parse)]
    tenant: TenantId,

    /// The block in that line
    #[arg(value_parser = parse_block)]
    block: BlockId,

    /// Why, in 1 to 256 characters; stored with the approval, but not part of any digest
    #[arg(long, value_parser = parse_reason)]
    reason: OperatorReason,

    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    stack: StackArguments,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Parses the reason of an approval or of an erasure.
pub fn parse_reason(text: &str) -> Result<OperatorReason, String> {
    OperatorReason::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn parse_block(text: &str) -> Result<BlockId, String> {
    BlockId::parse(text).map_err(|error| error.to_string())
}

pub async fn run(arguments: &SkipBlockArguments) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.stack.connection).await?;
    let stack = aws.stack(&arguments.stack.stack).await?;
    let approval = approve(&aws, &stack, arguments, &mut confirmation::ask).await?;
    Ok(terminal::print_fields(&approval, arguments.output)?)
}

async fn approve(
    functions: &impl Invocations,
    stack: &Stack,
    arguments: &SkipBlockArguments,
    ask: Ask<'_>,
) -> Result<serde_json::Value, Failure> {
    let SkipBlockArguments { tenant, block, reason, yes, .. } = arguments;
    if !yes {
        confirm(&format!("Leave the block {block} out of all exports of {tenant}, for good?"), ask)?;
    }
    let payload = json!({
        "approveSkip": { "tenantId": tenant, "blockId": block.to_string(), "reason": reason.as_str() },
    });
    let function = Function::ExporterFunction;
    match functions.invoke(function, stack.id_of(function)?, &payload).await? {
        Invocation::Returned(approval) => Ok(approval),
        Invocation::Failed(message) => Err(Failure::Refused(message)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::{failure::CallFailure, stack::test_support::stack};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: SkipBlockArguments,
    }

    /// An exporter that answers this.
    struct Exporter(Invocation);

    impl Invocations for Exporter {
        async fn invoke(&self, function: Function, name: &str, payload: &Value) -> Result<Invocation, CallFailure> {
            assert_eq!((function, name), (Function::ExporterFunction, "ExporterFunction"));
            // What the exporter parses: functions/exporter/src/handler.rs.
            let block = "01M805D1C10000000000000007";
            let approval = json!({ "tenantId": "acme", "blockId": block, "reason": "ticket 4711" });
            assert_eq!(payload, &json!({ "approveSkip": approval }));
            Ok(self.0.clone())
        }
    }

    async fn approve_as(answer: Option<&str>, outcome: Invocation) -> Result<Value, Failure> {
        let line =
            ["skip-block", "acme", "01M805D1C10000000000000007", "--reason", "ticket 4711", "--stack", "production"];
        let Line { arguments } = Line::try_parse_from(line).unwrap();
        let mut ask = |_: &str| Ok(answer.map(ToOwned::to_owned));
        approve(&Exporter(outcome), &stack(), &arguments, &mut ask).await
    }

    #[tokio::test]
    async fn the_exporter_approves_after_a_yes() {
        let approval = json!({ "tenantId": "acme" });
        let returned = Invocation::Returned(approval.clone());
        assert_eq!(approve_as(Some("y"), returned.clone()).await.unwrap(), approval);
        assert_eq!(approve_as(Some("no"), returned).await.unwrap_err().exit_code(), 11);
        let refused = Invocation::Failed("blockId: no run of acme has found the block corrupt".to_owned());
        let failure = approve_as(Some("y"), refused).await.unwrap_err();
        assert_eq!(failure.exit_code(), 3);
        assert!(failure.to_string().contains("no run of acme"), "{failure}");
    }

    #[test]
    fn what_the_exporter_would_refuse_is_refused_before() {
        for (tenant, block, reason) in [
            ("a#b", "01M805D1C10000000000000007", "x"),
            ("acme", "7", "x"),
            ("acme", "01M805D1C10000000000000007", " "),
        ] {
            let line = ["skip-block", tenant, block, "--reason", reason, "--stack", "production"];
            assert!(Line::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
