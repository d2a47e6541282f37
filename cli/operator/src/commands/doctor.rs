//! The command `doctor`: checks of a stack, each with what to do.

mod checks;
mod probes;

use std::{io, time::Duration};

use clap::Args;
use futures::stream::{self, StreamExt};
use host::Clock;
use serde::Serialize;
use terminal::{OutputFormat, Style, Tone};

use self::{
    checks::{Check, checks},
    probes::{Finding, Probes},
};
use crate::{
    aws::Aws,
    failure::Failure,
    output::OutputArguments,
    ports::{Archives, Inspection, Overviews},
    stack::{Stack, StackArguments},
};

/// The longest duration of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// Columns before the detail and the advice of a check.
const INDENT: usize = 4;

/// The checks that run at a time.
const CONCURRENT_CHECKS: usize = 8;

/// Check a stack: exports, queues, schedules, alarms, tables, keys, the archive, concurrency, and this machine's clock
///
/// Each check is a line with a tick or a cross; a cross comes with what to do. A check that can't be made, because a permission
/// is missing or AWS does not answer, is a cross as well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator doctor --stack production
  audit-export-operator doctor --stack production --output json \\
    | jq '.[] | select(.isGood | not)'

The exit code is 0 if every check has a tick, and 6 otherwise.")]
pub struct DoctorArguments {
    #[command(flatten)]
    stack: StackArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: &DoctorArguments, clock: &impl Clock) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.stack.connection).await?;
    let stack = aws.stack(&arguments.stack.stack).await?;
    let results = examine(&aws, &stack, clock).await;
    let style = Style::of_standard_output(arguments.output.color);
    terminal::print_line(&show(&results, arguments.output.output, &style)?)?;
    let crosses = results.iter().filter(|result| !result.is_good).count();
    if crosses == 0 { Ok(()) } else { Err(Failure::Unhealthy(format!("{crosses} of {} checks failed", results.len()))) }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckResult {
    check: String,
    is_good: bool,
    detail: String,
    /// `None`: nothing has to be done.
    advice: Option<&'static str>,
}

/// Makes all checks, in their order.
async fn examine<A: Inspection + Overviews + Archives>(
    account: &A,
    stack: &Stack,
    clock: &impl Clock,
) -> Vec<CheckResult> {
    let probes = Probes { account, stack, clock };
    stream::iter(checks()).map(|check| make(check, &probes)).buffered(CONCURRENT_CHECKS).collect().await
}

async fn make<A: Inspection + Overviews + Archives, K: Clock>(check: Check, probes: &Probes<'_, A, K>) -> CheckResult {
    let Check { name, probe, advice } = check;
    let (is_good, detail, advice) = match tokio::time::timeout(CHECK_TIMEOUT, probes.run(probe)).await {
        Ok(Ok(Finding { is_good, detail })) => (is_good, detail, (!is_good).then_some(advice)),
        // The failure says what to do itself.
        Ok(Err(failure)) => (false, failure.to_string(), None),
        Err(_) => (false, format!("no result within {} s", CHECK_TIMEOUT.as_secs()), Some("Repeat the command.")),
    };
    CheckResult { check: name, is_good, detail, advice }
}

fn show(results: &[CheckResult], format: OutputFormat, style: &Style) -> io::Result<String> {
    if format == OutputFormat::Json {
        return Ok(serde_json::to_string(results)?);
    }
    let width = results.iter().map(|result| result.check.len()).max().unwrap_or_default();
    let lines = results.iter().map(|CheckResult { check, is_good, detail, advice }| {
        let sign = if *is_good { style.paint(Tone::Good, "✓") } else { style.paint(Tone::Bad, "✗") };
        // A failure may be longer than the rest of the line.
        let rest = style.width.map(|columns| columns.saturating_sub(width + INDENT));
        let is_long = rest.is_some_and(|rest| detail.lines().next().is_some_and(|line| line.chars().count() > rest));
        let detail = if is_long { format!("\n    {detail}") } else { format!("  {detail}") };
        let check = if is_long { check.clone() } else { format!("{check:width$}") };
        let advice = advice.map(|advice| format!("\n  → {}", advice.replace('\n', "\n    ")));
        let text = format!("{sign} {check}{detail}{}", advice.unwrap_or_default());
        text.lines().map(|line| style.wrapped(line, INDENT)).collect::<Vec<_>>().join("\n")
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
