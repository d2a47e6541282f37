//! The command `tenant show`.

use std::io;

use aws_adapters::events::volume::StoredVolume;
use clap::Args;
use domain::{export_run::BlockRange, tenant::TenantId, time::Timestamp};
use host::Clock;
use serde_json::{Value, json};
use terminal::{OutputFormat, Style, grouped, text::printable};

use crate::{
    aws::Aws,
    commands::status::{Status, Survey, Totals, brief, tone},
    failure::Failure,
    output::OutputArguments,
    ports::{Overviews, Volumes},
    stack::{Stack, StackArguments},
};

/// The most pages of a shard that are read: 64 MB of all shards.
const MAX_PAGES_PER_SHARD: usize = 4;

/// Show a tenant's configurations with their health, and how much is stored of its events
///
/// Reads neither events nor secrets. Stored events are kept until their retention ends, also after they were exported. Of a
/// large tenant at most 64 MB are counted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator tenant show acme --stack production
  audit-export-operator tenant show acme --stack production --output json \\
    | jq .stored")]
pub struct ShowArguments {
    /// The tenant's ID
    #[arg(value_parser = TenantId::parse)]
    tenant: TenantId,

    #[command(flatten)]
    stack: StackArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub async fn run(arguments: &ShowArguments, clock: &impl Clock) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.stack.connection).await?;
    let stack = aws.stack(&arguments.stack.stack).await?;
    let holdings = Holdings::of(&aws, &stack, &arguments.tenant, clock).await?;
    let style = Style::of_standard_output(arguments.output.color);
    Ok(terminal::print_line(&holdings.show(arguments.output.output, &style)?)?)
}

/// What the stack holds of a tenant.
#[derive(Debug)]
struct Holdings {
    tenant: TenantId,
    stored: StoredVolume,
    configurations: Vec<Status>,
    totals: Totals,
}

impl Holdings {
    async fn of<A: Overviews + Volumes>(
        account: &A,
        stack: &Stack,
        tenant: &TenantId,
        clock: &impl Clock,
    ) -> Result<Self, Failure> {
        let (configurations, totals) = Survey::of_tenant(account, stack, tenant, clock).await?;
        let stored = account.volume(stack, tenant, BlockRange::all(), MAX_PAGES_PER_SHARD).await?;
        if configurations.is_empty() && totals.unreadable == 0 && stored.blocks + stored.unreadable == 0 {
            return Err(Failure::NotFound(format!("configuration or event of the tenant {tenant}")));
        }
        Ok(Self { tenant: tenant.clone(), stored, configurations, totals })
    }

    fn show(&self, format: OutputFormat, style: &Style) -> io::Result<String> {
        let Self { tenant, stored, configurations, totals } = self;
        if format == OutputFormat::Json {
            let configurations: Vec<Value> = configurations.iter().map(Status::json).collect();
            let document = json!({
                "tenantId": tenant, "stored": stored, "configurations": configurations, "totals": totals,
            });
            return Ok(serde_json::to_string(&document)?);
        }
        let at_least = if stored.is_complete { "" } else { "at least " };
        let count = |number: u64| Some(format!("{at_least}{}", grouped(&number.to_string())));
        let head = style.fields(&[
            ("tenant", Some(tenant.to_string())),
            ("configurations", Some(totals.configurations.to_string())),
            ("unreadable", (totals.unreadable > 0).then(|| totals.unreadable.to_string())),
            ("stored blocks", count(stored.blocks)),
            ("unreadable blocks", (stored.unreadable > 0).then(|| grouped(&stored.unreadable.to_string()))),
            ("stored events", count(stored.events)),
            ("bytes uncompressed", count(stored.raw_bytes)),
            ("oldest event", stored.oldest.map(|time| style.time(&time.to_string()))),
        ]);
        let configurations = configurations.iter().map(|status| fields(status, style));
        Ok(std::iter::once(head).chain(configurations).collect::<Vec<_>>().join("\n\n"))
    }
}

fn fields(status: &Status, style: &Style) -> String {
    let (overview, standing) = (&status.overview, &status.overview.standing);
    let time = |time: Option<Timestamp>| time.map(|time| style.time(&time.to_string()));
    let error = overview.connection_error.as_ref();
    style.fields(&[
        ("configuration", Some(overview.key.configuration_id.to_string())),
        ("health", Some(style.paint(tone(status.health), status.health.name()))),
        ("lag", Some(brief(status.lag_seconds))),
        ("retention used", Some(format!("{} %", status.retention_used_percent))),
        ("interval", Some(standing.interval.name().to_owned())),
        ("bucket", Some(overview.bucket_name.to_string())),
        ("connection", Some(standing.connection.name().to_owned())),
        ("connection error", error.map(|error| format!("{}: {}", error.code, printable(&error.message)))),
        ("exported through", time(standing.exported_through)),
        ("last export", time(overview.last_export_at)),
        ("last failure", time(standing.last_failure_at)),
        ("consecutive failures", Some(standing.consecutive_failures.to_string())),
        ("next export", time(status.next_export_at)),
    ])
}

#[cfg(test)]
mod tests {
    use aws_adapters::configurations::{OverviewPage, OverviewPosition};
    use domain::connection::{ConnectionError, ConnectionErrorCode, ConnectionStatus};

    use super::*;
    use crate::{
        commands::status::test_support::{Noon, OnePage, failing, overview},
        stack::test_support::stack,
    };

    struct Account(OnePage, StoredVolume);

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
        async fn volume(&self, _: &Stack, _: &TenantId, _: BlockRange, _: usize) -> Result<StoredVolume, Failure> {
            Ok(self.1)
        }
    }

    async fn holdings(tenant: &str, stored: StoredVolume) -> Result<Holdings, Failure> {
        let mut failing = failing("acme");
        failing.standing.connection = ConnectionStatus::Failed;
        let message =
            "The role can't write to the bucket: allow s3:PutObject on arn:aws:s3:::acme-audit/logs/*.".to_owned();
        failing.connection_error = Some(ConnectionError { code: ConnectionErrorCode::WriteDenied, message });
        let exports =
            vec![failing, overview("acme", "2026-11-28T10:00:00Z"), overview("other", "2026-11-28T10:00:00Z")];
        let account = Account(OnePage::new(exports), stored);
        Holdings::of(&account, &stack(), &TenantId::parse(tenant).unwrap(), &Noon).await
    }

    #[tokio::test]
    async fn a_tenant_is_shown_with_its_configurations_alone() {
        let stored = StoredVolume {
            blocks: 1_234,
            events: 98_765,
            raw_bytes: 63_000_000,
            oldest: Some(Timestamp::parse("2026-09-01T00:00:00Z").unwrap()),
            is_complete: false,
            ..StoredVolume::default()
        };
        let holdings = holdings("acme", stored).await.unwrap();
        for width in [80, 120] {
            let style = Style { width: Some(width), ..Style::for_tests() };
            let text = holdings.show(OutputFormat::Table, &style).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            insta::assert_snapshot!(format!("tenant_of_{width}_columns"), text);
        }
    }

    #[tokio::test]
    async fn an_unknown_tenant_is_not_found() {
        assert_eq!(holdings("unknown", StoredVolume::default()).await.unwrap_err().exit_code(), 8);
        // Events without a configuration are still a tenant's.
        let one = StoredVolume { blocks: 1, ..StoredVolume::default() };
        let text = holdings("unknown", one).await.unwrap().show(OutputFormat::Json, &Style::for_tests()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["stored"]["blocks"], &value["totals"]["configurations"]), (&json!(1), &json!(0)));
    }
}
