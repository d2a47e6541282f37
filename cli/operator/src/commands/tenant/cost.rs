//! The command `tenant cost`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use aws_adapters::configurations::OverviewPosition;
use clap::Args;
use domain::{export_run::BlockRange, interval::ExportInterval, tenant::TenantId, time::Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use host::Clock;
use serde_json::{Value, json};
use terminal::{Column, OutputFormat, Style, Tone, grouped};

use crate::{
    aws::Aws,
    cost::{
        Architecture, Dollars, ImpossibleTraffic,
        tenant::{TenantCost, TenantUsage},
    },
    failure::Failure,
    output::OutputArguments,
    ports::{Overviews, Volumes},
    stack::{Stack, StackArguments},
};

const DAY: Duration = Duration::from_hours(24);

/// The most pages of a shard that are read: 1 GB of all shards of a tenant.
const MAX_COUNTED_PAGES_PER_SHARD: usize = 64;

/// The most pages of the table of configurations that are read.
const MAX_PAGES: usize = 10_000;

/// The most tenants of one command.
const MAX_LISTED_TENANTS: usize = 1_000;

/// The tenants whose events are counted concurrently.
const CONCURRENT_TENANTS: usize = 4;

/// Estimate what tenants cost in a month, from what was really stored
///
/// Counts the events of the last full UTC days in the stack's table and the enabled exports, and multiplies them by list prices
/// as the command cost does: docs/COST.md. A block counts as a request over HTTP, and every export as one with a role. What an
/// idle stack costs is not included. Reads neither events nor secrets, but DynamoDB bills the reads: a few cents for each
/// gigabyte of stored events.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator tenant cost --stack production
  audit-export-operator tenant cost acme globex --stack production --days 1
  audit-export-operator tenant cost --stack production --output json \\
    | jq '.tenants[0]'")]
pub struct CostArguments {
    /// The tenants' IDs [default: all tenants with a configuration]
    #[arg(value_name = "TENANT", value_parser = TenantId::parse)]
    tenants: Vec<TenantId>,

    /// The number of full days before today whose events are counted: fewer than `TableDays`, because older events are archived
    #[arg(long, default_value_t = 6, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=31))]
    days: u32,

    /// Processor of the functions: the stack's parameter Architecture
    #[arg(long, value_enum, default_value_t)]
    architecture: Architecture,

    #[command(flatten)]
    stack: StackArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: &CostArguments, clock: &impl Clock) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.stack.connection).await?;
    let stack = aws.stack(&arguments.stack.stack).await?;
    let costs = Costs::of(&aws, &stack, arguments, clock).await?;
    let style = Style::of_standard_output(arguments.output.color);
    Ok(terminal::print_line(&costs.show(arguments.output.output, &style)?)?)
}

type Exports = BTreeMap<ExportInterval, u32>;

/// The costs of tenants, the largest first.
#[derive(Debug)]
struct Costs {
    from: Timestamp,
    to: Timestamp,
    tenants: Vec<PricedTenant>,
}

type PricedTenant = (TenantId, TenantUsage, TenantCost);

impl Costs {
    async fn of<A: Overviews + Volumes>(
        account: &A,
        stack: &Stack,
        arguments: &CostArguments,
        clock: &impl Clock,
    ) -> Result<Self, Failure> {
        if let Some(period) = stack.table_period.filter(|period| DAY * (arguments.days + 1) > *period) {
            let most = period.as_secs() / DAY.as_secs() - 1;
            let detail = format!("--days: the table holds all events of {most} full days; older ones are archived");
            return Err(Failure::Refused(detail));
        }
        let to = clock.now().floor_to(DAY);
        let from = to.saturating_sub(DAY * arguments.days);
        let range = BlockRange::between(from, to);
        let tenants = if arguments.tenants.is_empty() {
            exports(account, stack, None).await?
        } else {
            let mut tenants = BTreeMap::new();
            for tenant in BTreeSet::from_iter(&arguments.tenants) {
                let mut found = exports(account, stack, Some(tenant)).await?;
                tenants.insert(tenant.clone(), found.remove(tenant).unwrap_or_default());
            }
            tenants
        };
        let retention_days = u32::try_from(stack.retention.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX);
        let usages = stream::iter(tenants).map(|(tenant, exports)| async {
            let stored = account.volume(stack, &tenant, range, MAX_COUNTED_PAGES_PER_SHARD).await?;
            let (days, architecture) = (arguments.days, arguments.architecture);
            let usage = TenantUsage { stored, days, exports, retention_days, architecture };
            let impossible = |error: ImpossibleTraffic| Failure::Refused(format!("{tenant}: {error}"));
            let cost = usage.cost().map_err(impossible)?;
            Ok::<_, Failure>((tenant, usage, cost))
        });
        let mut tenants: Vec<_> = usages.buffered(CONCURRENT_TENANTS).try_collect().await?;
        tenants.sort_by(|(_, _, one), (_, _, other)| other.dollars_per_month.0.total_cmp(&one.dollars_per_month.0));
        Ok(Self { from, to, tenants })
    }

    fn show(&self, format: OutputFormat, style: &Style) -> io::Result<String> {
        let total = self.tenants.iter().map(|(_, _, cost)| cost.dollars_per_month).sum::<Dollars>();
        let Self { from, to, tenants } = self;
        if format == OutputFormat::Json {
            let tenants: Vec<Value> = tenants.iter().map(json).collect();
            let document = json!({ "from": from, "to": to, "tenants": tenants, "dollarsPerMonth": total });
            return Ok(serde_json::to_string(&document)?);
        }
        let table = style.fitted(COLUMNS, NARROW_COLUMNS, tenants);
        let bounded = if tenants.iter().all(|(_, usage, _)| usage.stored.is_complete) {
            ""
        } else {
            "\n* More events are stored than were counted: repeat it with fewer --days."
        };
        let remarks = format!(
            "{total} a month for {} tenants, at list prices. BATCH: events in a block.\nBy the events of {from} to {to}.{bounded}",
            grouped(&tenants.len().to_string())
        );
        Ok(format!("{table}\n\n{}", style.paragraphs(&remarks)))
    }
}

/// Returns the enabled exports of each tenant.
async fn exports(
    source: &impl Overviews,
    stack: &Stack,
    tenant: Option<&TenantId>,
) -> Result<BTreeMap<TenantId, Exports>, Failure> {
    let mut tenants: BTreeMap<TenantId, Exports> = BTreeMap::new();
    let mut after: Option<OverviewPosition> = None;
    for _ in 0..MAX_PAGES {
        let page = source.overviews(stack, tenant, after).await?;
        // `status` reports items that can't be read.
        for overview in page.overviews.into_iter().flatten() {
            let exports = tenants.entry(overview.key.tenant_id).or_default();
            if overview.standing.enabled {
                *exports.entry(overview.standing.interval).or_default() += 1;
            }
            if tenants.len() > MAX_LISTED_TENANTS {
                return Err(Failure::Unfinished(format!(
                    "there are more than {MAX_LISTED_TENANTS} tenants; name some"
                )));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(tenants);
        }
    }
    Err(Failure::Unfinished(format!("the table has more than {MAX_PAGES} pages; name tenants")))
}

fn json((tenant, usage, cost): &PricedTenant) -> Value {
    let exports: BTreeMap<&str, u32> =
        usage.exports.iter().map(|(interval, count)| (interval.name(), *count)).collect();
    json!({
        "tenantId": tenant,
        "eventsPerDay": usage.events_per_day(),
        "eventBytes": usage.event_bytes(),
        "eventsPerBlock": usage.events_per_block(),
        "isComplete": usage.stored.is_complete,
        "enabledExports": exports,
        "dollars": cost,
    })
}

/// The most important columns first: those that don't fit the terminal are left out.
const COLUMNS: &[Column<PricedTenant>] = &[
    Column { heading: "TENANT", cell: |(tenant, _, _), _| (Tone::Plain, tenant.to_string()) },
    Column { heading: "MONTH", cell: |(_, _, cost), _| (Tone::Strong, cost.dollars_per_month.to_string()) },
    Column { heading: "EVENTS/DAY", cell: |(_, usage, _), _| (Tone::Plain, events_per_day(usage)) },
    Column { heading: "INGEST", cell: |(_, _, cost), _| (Tone::Plain, cost.ingest.to_string()) },
    Column { heading: "STORAGE", cell: |(_, _, cost), _| (Tone::Plain, cost.storage.to_string()) },
    Column { heading: "EXPORT", cell: |(_, _, cost), _| (Tone::Plain, cost.export.to_string()) },
    Column { heading: "EXPORTS", cell: |(_, usage, _), _| (Tone::Plain, exports_of(usage)) },
    Column { heading: "BATCH", cell: |(_, usage, _), _| (Tone::Faint, grouped(&usage.events_per_block().to_string())) },
];

/// The columns that fit into 80 characters beside a long ID.
const NARROW_COLUMNS: usize = 3;

fn events_per_day(usage: &TenantUsage) -> String {
    let at_least = if usage.stored.is_complete { "" } else { "*" };
    format!("{}{at_least}", grouped(&usage.events_per_day().to_string()))
}

fn exports_of(usage: &TenantUsage) -> String {
    grouped(&usage.exports.values().sum::<u32>().to_string())
}

#[cfg(test)]
mod tests {
    use aws_adapters::{configurations::OverviewPage, events::volume::StoredVolume};
    use clap::Parser;

    use super::*;
    use crate::{
        commands::status::test_support::{Noon, OnePage, overview},
        stack::test_support::stack,
    };

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: CostArguments,
    }

    /// Tenants with configurations, of which `acme` sends a lot.
    struct Account(OnePage);

    impl Overviews for Account {
        async fn overviews(
            &self,
            stack: &Stack,
            tenant: Option<&TenantId>,
            after: Option<OverviewPosition>,
        ) -> Result<OverviewPage, Failure> {
            self.0.overviews(stack, tenant, after).await
        }
    }

    impl Volumes for Account {
        async fn volume(
            &self,
            _: &Stack,
            tenant: &TenantId,
            range: BlockRange,
            _: usize,
        ) -> Result<StoredVolume, Failure> {
            // Noon of the 28th: two full days are before it.
            let expected = ["2026-11-26T00:00:00.000Z", "2026-11-28T00:00:00.000Z"];
            assert_eq!([range.first, range.end].map(|block| block.timestamp().to_string()), expected);
            let events = if tenant.as_str() == "acme" { 2_000_000 } else { 0 };
            let (blocks, raw_bytes, is_complete) = (events / 50, events * 648, events == 0);
            Ok(StoredVolume { blocks, events, raw_bytes, is_complete, ..StoredVolume::default() })
        }
    }

    async fn costs(line: &str) -> Costs {
        let words = "cost --stack production --days 2".split(' ').chain(line.split_whitespace());
        let arguments = Line::try_parse_from(words).unwrap().arguments;
        let mut disabled = overview("acme", "2026-11-28T10:00:00Z");
        disabled.standing.enabled = false;
        let through = "2026-11-28T10:00:00Z";
        let long = overview("a-tenant-with-a-rather-long-name", through);
        let exports =
            vec![overview("idle", through), disabled, overview("acme", through), overview("acme", through), long];
        Costs::of(&Account(OnePage::new(exports)), &stack(), &arguments, &Noon).await.unwrap()
    }

    #[tokio::test]
    async fn the_most_expensive_tenant_comes_first() {
        let costs = costs("").await;
        for width in [80, 120] {
            let text = costs.show(OutputFormat::Table, &Style { width: Some(width), ..Style::for_tests() }).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            insta::assert_snapshot!(format!("costs_of_{width}_columns"), text);
        }
    }

    #[tokio::test]
    async fn named_tenants_are_shown_alone_even_without_a_configuration() {
        let text = costs("unknown idle idle").await.show(OutputFormat::Json, &Style::for_tests()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let tenants: Vec<_> = value["tenants"].as_array().unwrap().iter().map(|tenant| &tenant["tenantId"]).collect();
        assert_eq!(tenants, ["idle", "unknown"]);
        assert_eq!(value["tenants"][0]["enabledExports"].as_object().unwrap().len(), 1);
        assert_eq!(value["tenants"][1]["dollars"]["dollarsPerMonth"], 0.0);
    }
}
