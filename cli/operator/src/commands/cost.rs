//! The command `cost`: an estimate from list prices, made offline.

use std::{fmt::Display, io, ops::RangeInclusive};

use clap::Args;
use domain::interval::ExportInterval;
use terminal::{ColorChoice, Column, OutputFormat, Style, Tone, grouped};

use crate::{
    cost::{
        Architecture, Authentication, Dollars, Endpoint, Estimate, Parameters, Part, Traffic, measured::EVENT_BYTES,
        price, queued, service::HISTORY_MONTHS,
    },
    failure::Failure,
};

/// Far more than one stack accepts: its API serves at most 10,000 requests per second.
const MAX_EVENTS_PER_DAY: u64 = 100_000_000_000;
const MAX_TENANTS: u32 = 1_000_000;
const MAX_CONFIGURATIONS: u32 = 1_000_000;

/// Estimate the monthly cost of the service, compared with Amazon Data Firehose
///
/// Multiplies the service's usage for the traffic by AWS's list prices in US East (N. Virginia), without free tiers and
/// discounts. Events are archived (`TableDays` = 7). docs/COST.md has the prices with their sources, the method, and what is
/// left out. Works offline.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator cost --events-per-day 1m --configurations 10
  audit-export-operator cost --events-per-day 1e6 --configurations 10 \\
    --tenants 5 --interval 2h --batch 20
  audit-export-operator cost --events-per-day 50m --configurations 1k \\
    --output json | jq .service.dollarsPerMonth")]
pub struct CostArguments {
    /// Events of all tenants together: 1000000, 1e6, 10k, 1m
    #[arg(long, value_name = "NUMBER", value_parser = parse_events)]
    events_per_day: u64,

    /// Enabled export configurations of all tenants together; each delivers all events of its tenant
    #[arg(long, value_name = "NUMBER", value_parser = parse_configurations)]
    configurations: u32,

    /// Tenants, each with an equal share of events and configurations [default: one per configuration]
    #[arg(long, value_name = "NUMBER", value_parser = parse_tenants)]
    tenants: Option<u32>,

    /// Hours between two exports: 2, 4, 6, 12 or 24
    #[arg(long, default_value = "24", value_name = "HOURS", value_parser = parse_interval)]
    interval: ExportInterval,

    /// Events per request of a producer
    #[arg(long, default_value_t = 100, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,

    /// Average size of an event as it is sent; the default is that of generated events
    #[arg(long, default_value_t = EVENT_BYTES, value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(2..=262_144))]
    event_bytes: u32,

    /// Count an Idempotency-Key with every request
    #[arg(long)]
    idempotency_keys: bool,

    /// The authentication of the exports to AWS
    #[arg(long, value_enum, default_value_t)]
    authentication: Authentication,

    /// Days that events can be exported: the stack's parameter `RetentionDays`
    #[arg(long, default_value_t = 90, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(7..=3_650))]
    retention_days: u32,

    /// Processor of the functions: the stack's parameter Architecture
    #[arg(long, value_enum, default_value_t)]
    architecture: Architecture,

    /// What producers send requests to
    #[arg(long, value_enum, default_value_t)]
    endpoint: Endpoint,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub fn run(arguments: &CostArguments) -> Result<(), Failure> {
    let style = Style::of_standard_output(ColorChoice::Auto);
    Ok(terminal::print_line(&show(&estimate(arguments)?, arguments.output, &style)?)?)
}

fn estimate(arguments: &CostArguments) -> Result<Estimate, Failure> {
    let traffic = Traffic::new(Parameters {
        events_per_day: arguments.events_per_day,
        event_bytes: arguments.event_bytes,
        events_per_request: arguments.batch,
        idempotency_keys: arguments.idempotency_keys,
        tenants: arguments.tenants.unwrap_or(arguments.configurations.max(1)),
        configurations: arguments.configurations,
        interval: arguments.interval,
        authentication: arguments.authentication,
        retention_days: arguments.retention_days,
        architecture: arguments.architecture,
        endpoint: arguments.endpoint,
    })
    .map_err(|error| Failure::InvalidArgument { what: "the traffic", reason: error.to_string() })?;
    Ok(Estimate::of(traffic))
}

fn parse_events(text: &str) -> Result<u64, String> {
    parse_within(text, 0..=MAX_EVENTS_PER_DAY)
}

fn parse_configurations(text: &str) -> Result<u32, String> {
    parse_within(text, 0..=MAX_CONFIGURATIONS)
}

fn parse_tenants(text: &str) -> Result<u32, String> {
    parse_within(text, 1..=MAX_TENANTS)
}

fn parse_within<T: TryFrom<u64> + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    let number = T::try_from(terminal::parse_count(text)?).ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("the number must be from {} to {}", range.start(), range.end()))
}

fn parse_interval(text: &str) -> Result<ExportInterval, &'static str> {
    let hours = text.strip_suffix('h').unwrap_or(text);
    ExportInterval::parse(&format!("EVERY_{hours}_HOURS"))
        .or_else(|| ExportInterval::parse(text))
        .ok_or("the interval must be 2, 4, 6, 12 or 24 hours")
}

fn show(estimate: &Estimate, format: OutputFormat, style: &Style) -> io::Result<String> {
    match format {
        OutputFormat::Json => Ok(serde_json::to_string(estimate)?),
        OutputFormat::Table => Ok(table(estimate, style)),
    }
}

fn table(estimate: &Estimate, style: &Style) -> String {
    let remarks = style.paragraphs(&format!(
        "List prices in US East (N. Virginia) without free tiers and discounts, 30 days a month; storage once the retention \
         is full and runs have {HISTORY_MONTHS} months of history.\n\
         What Firehose leaves out, and what this does: docs/COST.md"
    ));
    let sections =
        [traffic(estimate, style), bill(estimate, style), totals(estimate, style), firehose(estimate, style), remarks];
    sections.join("\n\n")
}

fn traffic(estimate: &Estimate, style: &Style) -> String {
    let parameters = estimate.traffic.parameters();
    let number = |number: u64| grouped(&number.to_string());
    style.fields(&[
        ("Events a day", Some(number(parameters.events_per_day))),
        ("Bytes of one", Some(number(parameters.event_bytes.into()))),
        ("Events to a request", Some(number(parameters.events_per_request.into()))),
        ("Tenants", Some(number(parameters.tenants.into()))),
        (
            "Configurations",
            Some(format!("{}, every {}", number(parameters.configurations.into()), hours(parameters.interval))),
        ),
        ("Retention", Some(format!("{} days", number(parameters.retention_days.into())))),
    ])
}

/// A line of the bill. The numbers of all lines are padded to the same width.
struct BillLine {
    part: &'static str,
    what: &'static str,
    dollars: String,
    quantity: String,
}

/// The most important columns first: those that don't fit the terminal are left out.
const BILL: &[Column<BillLine>] = &[
    Column { heading: "FOR", cell: |line, _| (Tone::Faint, line.part.to_owned()) },
    Column { heading: "WHAT", cell: |line, _| (Tone::Plain, line.what.to_owned()) },
    Column { heading: "DOLLARS", cell: |line, _| (Tone::Plain, line.dollars.clone()) },
    Column { heading: "A MONTH", cell: |line, _| (Tone::Plain, line.quantity.clone()) },
];

/// The columns of the bill that fit into 80 characters.
const NARROW_BILL: usize = 3;

fn bill(estimate: &Estimate, style: &Style) -> String {
    let lines = estimate.service.lines.iter().chain(&estimate.customers.lines);
    let lines: Vec<_> = lines.filter(|line| line.quantity > 0.0).collect();
    let quantities: Vec<String> = lines.iter().map(|line| quantity(line.quantity)).collect();
    // The same number of decimals everywhere, so that the points are aligned.
    let dollars: Vec<String> =
        lines.iter().map(|line| format!("${}", grouped(&format!("{:.4}", line.dollars().0)))).collect();
    let (quantity_width, dollars_width) = (width(&quantities), width(&dollars));
    let numbers = quantities.iter().zip(&dollars);
    let lines = lines.iter().zip(numbers).map(|(line, (quantity, dollars))| BillLine {
        part: line.part.name(),
        what: line.price.name,
        dollars: format!("{dollars:>dollars_width$}"),
        quantity: format!("{quantity:>quantity_width$} {}", line.price.unit),
    });
    style.fitted(BILL, NARROW_BILL, &lines.collect::<Vec<_>>())
}

fn totals(estimate: &Estimate, style: &Style) -> String {
    let service = &estimate.service;
    let parts = [Part::Ingest, Part::Storage, Part::Export, Part::Standing];
    let parts: Vec<String> = parts.iter().map(|part| format!("{} {}", part.name(), service.of(*part))).collect();
    let total = style.paint(Tone::Strong, &format!("{} a month", service.dollars_per_month));
    let per_million = estimate
        .dollars_per_million_events
        .map(|dollars| format!("; {dollars} for a million events"))
        .unwrap_or_default();
    let mut fields = vec![
        ("The service's account", Some(format!("{total} ({}){per_million}", parts.join(", ")))),
        (
            "The customers' accounts",
            Some(format!("{} a month, with one month's files", estimate.customers.dollars_per_month)),
        ),
    ];
    if let Some(dollars) = queued::ingest_of_single_events(&estimate.traffic) {
        let messages = queued::MAX_MESSAGES_OF_A_WRITE;
        let received =
            format!("{dollars} to receive a million, if {messages} of a tenant arrive together (docs/PRODUCERS.md)");
        fields.push(("Single events into the queue", Some(received)));
    }
    style.fields(&fields)
}

/// A way to deliver the same events, with its costs in a month.
struct Route {
    tone: Tone,
    name: String,
    dollars: Dollars,
    customers_puts: Dollars,
    streams: String,
    billed_gigabytes: String,
}

/// The most important columns first: those that don't fit the terminal are left out.
const ROUTES: &[Column<Route>] = &[
    Column { heading: "THE SAME OVER", cell: |route, _| (route.tone, route.name.clone()) },
    Column { heading: "DOLLARS", cell: |route, _| (route.tone, route.dollars.to_string()) },
    Column { heading: "CUSTOMERS' PUTS", cell: |route, _| (Tone::Plain, route.customers_puts.to_string()) },
    Column { heading: "STREAMS", cell: |route, _| (Tone::Plain, route.streams.clone()) },
    Column { heading: "BILLED GB", cell: |route, _| (Tone::Plain, route.billed_gigabytes.clone()) },
];

/// The columns of the comparison that fit into 80 characters.
const NARROW_ROUTES: usize = 3;

/// Compares the costs, the service's own first.
fn firehose(estimate: &Estimate, style: &Style) -> String {
    let of_service = Route {
        tone: Tone::Strong,
        name: "this service".to_owned(),
        dollars: estimate.service.dollars_per_month,
        customers_puts: estimate.customers.of_price(&price::S3_PUT),
        streams: "-".to_owned(),
        billed_gigabytes: "-".to_owned(),
    };
    let of_firehose = estimate.firehose.iter().map(|comparison| Route {
        tone: Tone::Plain,
        name: format!("Data Firehose, {}", comparison.producer.name()),
        dollars: comparison.dollars_per_month,
        customers_puts: comparison.customers_dollars_per_month,
        streams: grouped(&comparison.streams.to_string()),
        billed_gigabytes: quantity(comparison.billed_gigabytes_per_month),
    });
    style.fitted(ROUTES, NARROW_ROUTES, &std::iter::once(of_service).chain(of_firehose).collect::<Vec<_>>())
}

fn width(texts: &[String]) -> usize {
    texts.iter().map(String::len).max().unwrap_or(0)
}

fn hours(interval: ExportInterval) -> String {
    format!("{} hours", interval.duration().as_secs() / 3_600)
}

/// Formats small quantities with decimals.
fn quantity(quantity: f64) -> String {
    let digits = if quantity.fract() == 0.0 || quantity >= 100.0 { 0 } else { 3 };
    grouped(&format!("{quantity:.digits$}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: CostArguments,
    }

    fn arguments(line: &str) -> Result<CostArguments, clap::Error> {
        let words = ["cost"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments)
    }

    fn shown(line: &str, format: OutputFormat, width: Option<usize>) -> String {
        let style = Style { width, ..Style::for_tests() };
        show(&estimate(&arguments(line).unwrap()).unwrap(), format, &style).unwrap()
    }

    #[test]
    fn a_bill_and_what_firehose_would_cost() {
        let line = "--events-per-day 1000000 --configurations 10 --tenants 5 --interval 6 --authentication access-key";
        for width in [80, 120] {
            let text = shown(line, OutputFormat::Table, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            insta::assert_snapshot!(format!("bill_of_{width}_columns"), text);
        }
        let of_nothing = shown("--events-per-day 0 --configurations 0", OutputFormat::Table, None);
        insta::assert_snapshot!("bill_of_nothing", of_nothing);
    }

    #[test]
    fn single_events_are_compared_with_the_queue() {
        let of_single = shown("--events-per-day 1000000 --configurations 10 --batch 1", OutputFormat::Table, None);
        assert!(of_single.contains("$3.03 to receive a million, if 64 of a tenant"), "{of_single}");
        let of_batches = shown("--events-per-day 1000000 --configurations 10 --batch 10", OutputFormat::Table, None);
        assert!(!of_batches.contains("to receive a million"), "{of_batches}");
    }

    #[test]
    fn programs_get_every_line_with_its_price() {
        let json = shown("--events-per-day 1000000 --configurations 10", OutputFormat::Json, None);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["traffic"]["tenants"], 10);
        assert_eq!(value["traffic"]["interval"], "EVERY_24_HOURS");
        assert_eq!(value["traffic"]["architecture"], "arm64");
        let lines = value["service"]["lines"].as_array().unwrap();
        let total: f64 = lines.iter().map(|line| line["dollarsPerMonth"].as_f64().unwrap()).sum();
        assert!((total - value["service"]["dollarsPerMonth"].as_f64().unwrap()).abs() < 1e-9);
        assert!((total / 30.0 - value["dollarsPerMillionEvents"].as_f64().unwrap()).abs() < 1e-9);
        for line in lines {
            let (price, quantity) = (&line["price"], line["quantityPerMonth"].as_f64().unwrap());
            assert!(line["part"].is_string() && price["source"].is_string() && price["asOf"].is_string(), "{line}");
            let dollars = quantity / price["units"].as_f64().unwrap() * price["dollars"].as_f64().unwrap();
            assert!((dollars - line["dollarsPerMonth"].as_f64().unwrap()).abs() < 1e-9, "{line}");
        }
        let producers: Vec<&str> =
            value["firehose"].as_array().unwrap().iter().map(|entry| entry["producer"].as_str().unwrap()).collect();
        assert_eq!(producers, ["oneEventPerRecord", "packedRecords", "packedAndCompressedRecords"]);
        assert!(value["customers"]["dollarsPerMonth"].is_f64());
    }

    #[test]
    fn an_interval_is_given_in_hours() {
        for (text, interval) in [
            ("2", ExportInterval::Every2Hours),
            ("24h", ExportInterval::Every24Hours),
            ("EVERY_6_HOURS", ExportInterval::Every6Hours),
        ] {
            assert_eq!(parse_interval(text), Ok(interval));
        }
        for text in ["", "3", "1h", "every day"] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_given_as_people_write_them() {
        let given = arguments("--events-per-day 2.5m --configurations 1e3 --tenants 1k").unwrap();
        assert_eq!((given.events_per_day, given.configurations, given.tenants), (2_500_000, 1_000, Some(1_000)));
        for (line, reason) in [
            ("--events-per-day 1e12 --configurations 1", "from 0 to 100000000000"),
            ("--events-per-day 1 --configurations 5b", "from 0 to 1000000"),
            ("--events-per-day 1 --configurations 1 --tenants 0", "from 1 to 1000000"),
            ("--events-per-day many --configurations 1", "1e6, 10k or 1m"),
        ] {
            let error = arguments(line).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn impossible_traffic_is_refused() {
        let fault = |line| {
            let failure = estimate(&arguments(line).unwrap()).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            failure.to_string()
        };
        assert_eq!(
            fault("--events-per-day 1 --configurations 101 --tenants 1"),
            "the traffic: 101 configurations are more than 100 for each of 1 tenants"
        );
        assert_eq!(
            fault("--events-per-day 1 --configurations 1 --batch 10000"),
            "the traffic: 6420000 bytes in one request are more than the limit of 3670016"
        );
        for line in [
            "--configurations 1",
            "--events-per-day 1",
            "--events-per-day -1 --configurations 1",
            "--events-per-day 1 --configurations 1 --tenants 0",
            "--events-per-day 1 --configurations 1 --retention-days 6",
            "--events-per-day 1 --configurations 1 --batch 10001",
        ] {
            assert!(arguments(line).is_err(), "{line}");
        }
    }
}
