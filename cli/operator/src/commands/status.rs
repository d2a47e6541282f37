//! The command `status`: the health of all exports.

use std::{cmp::Reverse, collections::BTreeMap, io};

use aws_adapters::configurations::ConfigurationOverview;
use clap::Args;
use domain::{configuration::ConfigurationKey, export_health::ExportHealth, tenant::TenantId, time::Timestamp};
use host::Clock;
use serde::Serialize;
use serde_json::{Value, json};
use terminal::{Column, OutputFormat, Style, Tone, grouped};

use crate::{
    aws::Aws,
    failure::Failure,
    output::OutputArguments,
    ports::{ArchiveStanding, Archives, Overviews},
    stack::{Stack, StackArguments},
};

/// The most configurations that are listed.
const MAX_LISTED: i64 = 10_000;

/// The most pages of the table that are read: of 1 MB, with some thousand configurations each.
const MAX_PAGES: usize = 10_000;

/// Show the health of all tenants' exports, the worst first
///
/// Reads all configurations from the stack's table, page by page. The health is the one that customers see:
/// docs/OPERATIONS.md has the rule.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator status --stack production
  audit-export-operator status --stack production --unhealthy --limit 20
  audit-export-operator status --stack production --tenant acme --output json \\
    | jq .configurations")]
pub struct StatusArguments {
    #[command(flatten)]
    stack: StackArguments,

    #[command(flatten)]
    filter: StatusFilter,

    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
struct StatusFilter {
    /// Only this tenant's configurations
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,

    /// List only failing and delayed configurations; the totals count all
    #[arg(long)]
    unhealthy: bool,

    /// The most configurations to list
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=MAX_LISTED))]
    limit: u16,
}

pub async fn run(arguments: &StatusArguments, clock: &impl Clock) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.stack.connection).await?;
    let stack = aws.stack(&arguments.stack.stack).await?;
    let mut survey = Survey::of(&aws, &stack, &arguments.filter, clock).await?;
    if arguments.filter.tenant.is_none() && stack.table_period.is_some() {
        survey.archive = Some(aws.archive(&stack, clock.now()).await?);
    }
    let style = Style::of_standard_output(arguments.output.color);
    Ok(terminal::print_line(&survey.show(arguments.output.output, &style)?)?)
}

/// The status of a configuration.
#[derive(Clone, Debug)]
pub struct Status {
    pub overview: ConfigurationOverview,
    pub health: ExportHealth,
    pub lag_seconds: u64,
    pub retention_used_percent: u64,
    pub next_export_at: Option<Timestamp>,
}

impl Status {
    pub fn of(overview: ConfigurationOverview, stack: &Stack, now: Timestamp) -> Self {
        let standing = &overview.standing;
        let done_through = standing.exported_through.map_or(standing.start_from, |time| time.max(standing.start_from));
        Self {
            health: standing.health(stack.schedule, stack.retention, now),
            lag_seconds: standing.lag(stack.schedule, now).as_secs(),
            retention_used_percent: standing.retention_used_percent(stack.retention, now),
            next_export_at: standing.enabled.then(|| stack.schedule.next_export(standing.interval, done_through, now)),
            overview,
        }
    }

    /// Returns the rank by which the worst configuration is the least.
    fn rank(&self) -> Rank {
        let severity = match self.health {
            ExportHealth::Failing => 0,
            ExportHealth::Delayed => 1,
            ExportHealth::NeverRun => 2,
            ExportHealth::Ok => 3,
            ExportHealth::Disabled => 4,
        };
        Rank {
            severity,
            lag_seconds: Reverse(self.lag_seconds),
            retention_used_percent: Reverse(self.retention_used_percent),
            key: self.overview.key.clone(),
        }
    }

    pub fn is_unhealthy(&self) -> bool {
        matches!(self.health, ExportHealth::Failing | ExportHealth::Delayed)
    }

    pub fn json(&self) -> Value {
        let ConfigurationOverview { key, bucket_name, connection_error, last_export_at, standing } = &self.overview;
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        json!({
            "tenantId": key.tenant_id,
            "configurationId": key.configuration_id.to_string(),
            "health": self.health,
            "lagSeconds": self.lag_seconds,
            "retentionUsedPercent": self.retention_used_percent,
            "enabled": standing.enabled,
            "interval": standing.interval.name(),
            "bucketName": bucket_name.as_str(),
            "connectionStatus": standing.connection.name(),
            "connectionError": connection_error.as_ref().map(|error| {
                json!({ "code": error.code.to_string(), "message": error.message })
            }),
            "exportedThrough": time(standing.exported_through),
            "lastExportAt": time(*last_export_at),
            "lastFailureAt": time(standing.last_failure_at),
            "consecutiveFailures": standing.consecutive_failures,
            "nextExportAt": time(self.next_export_at),
        })
    }
}

/// The order of configurations, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    severity: u8,
    lag_seconds: Reverse<u64>,
    retention_used_percent: Reverse<u64>,
    key: ConfigurationKey,
}

/// The numbers of all configurations that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub tenants: u64,
    pub configurations: u64,
    pub failing: u64,
    pub delayed: u64,
    pub never_run: u64,
    pub ok: u64,
    pub disabled: u64,
    /// Items that can't be read.
    pub unreadable: u64,
    /// Of enabled configurations.
    pub largest_lag_seconds: u64,
    /// Of enabled configurations, in percent.
    pub largest_retention_used: u64,
}

impl Totals {
    fn add(&mut self, status: &Status) {
        *match status.health {
            ExportHealth::Failing => &mut self.failing,
            ExportHealth::Delayed => &mut self.delayed,
            ExportHealth::NeverRun => &mut self.never_run,
            ExportHealth::Ok => &mut self.ok,
            ExportHealth::Disabled => &mut self.disabled,
        } += 1;
        self.configurations += 1;
        if status.health != ExportHealth::Disabled {
            self.largest_lag_seconds = self.largest_lag_seconds.max(status.lag_seconds);
            self.largest_retention_used = self.largest_retention_used.max(status.retention_used_percent);
        }
    }
}

/// The worst configurations, and the totals of all.
#[derive(Debug)]
pub struct Survey {
    worst: Vec<Status>,
    pub totals: Totals,
    /// `None`: it was not asked for, or there is none.
    archive: Option<ArchiveStanding>,
}

impl Survey {
    /// Reads all configurations. Memory is bounded by one page and the limit.
    async fn of(
        source: &impl Overviews,
        stack: &Stack,
        filter: &StatusFilter,
        clock: &impl Clock,
    ) -> Result<Self, Failure> {
        let now = clock.now();
        let (mut worst, mut totals) = (BTreeMap::new(), Totals::default());
        let mut last_tenant = None;
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page = source.overviews(stack, filter.tenant.as_ref(), after).await?;
            for overview in page.overviews {
                let Ok(overview) = overview else {
                    totals.unreadable += 1;
                    continue;
                };
                // A tenant's configurations are next to each other: they share a partition.
                if last_tenant.as_ref() != Some(&overview.key.tenant_id) {
                    totals.tenants += 1;
                    last_tenant = Some(overview.key.tenant_id.clone());
                }
                let status = Status::of(overview, stack, now);
                totals.add(&status);
                if filter.unhealthy && !status.is_unhealthy() {
                    continue;
                }
                worst.insert(status.rank(), status);
                if worst.len() > filter.limit.into() {
                    worst.pop_last();
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(Self { worst: worst.into_values().collect(), totals, archive: None });
            }
        }
        Err(Failure::Unfinished(format!("the table has more than {MAX_PAGES} pages; give --tenant")))
    }

    /// Returns the totals of all tenants.
    pub async fn totals(source: &impl Overviews, stack: &Stack, clock: &impl Clock) -> Result<Totals, Failure> {
        let filter = StatusFilter { tenant: None, unhealthy: true, limit: 1 };
        Ok(Self::of(source, stack, &filter, clock).await?.totals)
    }

    /// Returns the statuses of a tenant, the worst first.
    pub async fn of_tenant(
        source: &impl Overviews,
        stack: &Stack,
        tenant: &TenantId,
        clock: &impl Clock,
    ) -> Result<(Vec<Status>, Totals), Failure> {
        let filter = StatusFilter { tenant: Some(tenant.clone()), unhealthy: false, limit: u16::MAX };
        let Self { worst, totals, archive: _ } = Self::of(source, stack, &filter, clock).await?;
        Ok((worst, totals))
    }

    fn show(&self, format: OutputFormat, style: &Style) -> io::Result<String> {
        if format == OutputFormat::Json {
            let configurations: Vec<Value> = self.worst.iter().map(Status::json).collect();
            let document = json!({ "configurations": configurations, "totals": self.totals, "archive": self.archive });
            return Ok(serde_json::to_string(&document)?);
        }
        let mut text = String::new();
        if !self.worst.is_empty() {
            text = format!("{}\n\n", style.fitted_with_line(COLUMNS, NARROW_COLUMNS, &self.worst));
        }
        let archive = self.archive.as_ref().map(|archive| archive_line(archive, style)).unwrap_or_default();
        Ok(text + &style.paragraphs(&(totals_line(&self.totals, style) + &archive)))
    }
}

const COLUMNS: &[Column<Status>] = &[
    Column { heading: "HEALTH", cell: |status, _| (tone(status.health), status.health.name().to_owned()) },
    Column { heading: "TENANT", cell: |status, _| (Tone::Plain, status.overview.key.tenant_id.to_string()) },
    Column { heading: "LAG", cell: |status, _| (Tone::Plain, brief(status.lag_seconds)) },
    Column { heading: "USED", cell: |status, _| (Tone::Plain, format!("{}%", status.retention_used_percent)) },
    Column {
        heading: "CONFIGURATION",
        cell: |status, _| (Tone::Plain, status.overview.key.configuration_id.to_string()),
    },
];

/// The columns before the configuration's ID, which is below on a narrow terminal.
const NARROW_COLUMNS: usize = 4;

pub fn tone(health: ExportHealth) -> Tone {
    match health {
        ExportHealth::Ok => Tone::Good,
        ExportHealth::Failing => Tone::Bad,
        ExportHealth::Delayed => Tone::Warning,
        ExportHealth::Disabled | ExportHealth::NeverRun => Tone::Faint,
    }
}

/// Formats a duration in at most four characters up to 999 days.
pub fn brief(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn totals_line(totals: &Totals, style: &Style) -> String {
    let number = |number: u64| grouped(&number.to_string());
    let mut text = format!("{} configurations of {} tenants:", number(totals.configurations), number(totals.tenants));
    let counts = [
        (ExportHealth::Failing, totals.failing),
        (ExportHealth::Delayed, totals.delayed),
        (ExportHealth::NeverRun, totals.never_run),
        (ExportHealth::Ok, totals.ok),
        (ExportHealth::Disabled, totals.disabled),
    ];
    let shown = counts.map(|(health, count)| {
        let tone = if count > 0 { tone(health) } else { Tone::Faint };
        style.paint(tone, &format!("{} {}", number(count), health.name()))
    });
    text.push('\n');
    text.push_str(&shown.join(", "));
    if totals.unreadable > 0 {
        let warning = format!("\n{} items can't be read: repair them from recovery", number(totals.unreadable));
        text.push_str(&style.paint(Tone::Bad, &warning));
    }
    text
}

/// The time from which on the alarm `ArchiveLagAlarm` rings.
pub const ARCHIVE_ALARM_SECONDS: u64 = 24 * 3_600;

fn archive_line(archive: &ArchiveStanding, style: &Style) -> String {
    let Some(furthest) = &archive.furthest else { return "\nThe archive has no tenant yet".to_owned() };
    let tone = if archive.lag_seconds > ARCHIVE_ALARM_SECONDS { Tone::Bad } else { Tone::Plain };
    let lag = style.paint(tone, &format!("{} behind", brief(archive.lag_seconds)));
    let mut text =
        format!("\nThe archive of {} tenants is at most {lag}: {furthest}", grouped(&archive.tenants.to_string()));
    if let Some(bucket) = &archive.foreign_bucket {
        let warning = format!("\nThe segments of {} tenants are in another bucket: {bucket}", archive.foreign);
        text.push_str(&style.paint(Tone::Bad, &warning));
    }
    if archive.unreadable > 0 {
        let warning = format!("\nregistry rows that can't be read: {}", archive.unreadable);
        text.push_str(&style.paint(Tone::Bad, &warning));
    }
    text
}

#[cfg(test)]
pub mod test_support;
#[cfg(test)]
mod tests;
