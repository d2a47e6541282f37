//! The figures of docs/COST.md, from the model of the command.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use domain::interval::ExportInterval;
use golden_documents::{assert_current, with_sections};
use terminal::grouped;

use super::{
    Endpoint, Estimate, Parameters, Part, Traffic,
    firehose::Comparison,
    money::Dollars,
    price, queued,
    service::RequestShape,
    tests::USUAL,
    traffic::{DAYS_PER_MONTH, float},
};

/// So many events per day that fixed costs are negligible.
const MANY_EVENTS: u64 = 100_000_000;

fn estimate(change: impl FnOnce(&mut Parameters)) -> Estimate {
    let mut parameters = USUAL;
    change(&mut parameters);
    Estimate::of(Traffic::new(parameters).unwrap_or_else(|error| unreachable!("{error}")))
}

struct Table(String);

impl Table {
    fn new(headings: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.add(&headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>());
        table.0.push_str(&"|---".repeat(headings.len()));
        table.0.push_str("|\n");
        table
    }

    fn add(&mut self, cells: &[String]) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }
}

fn firehose_cells(comparisons: &[Comparison], amount: impl Fn(&Comparison) -> Dollars) -> Vec<String> {
    comparisons.iter().map(|comparison| amount(comparison).to_string()).collect()
}

fn prices() -> String {
    let mut table = Table::new(&["Price", "Dollars", "for", "As of", "How known", "Source"]);
    for price in price::ALL {
        let units = if price.units > 1.0 { format!("{} ", grouped(&price.units.to_string())) } else { String::new() };
        table.add(&[
            price.name.to_owned(),
            format!("{}", price.dollars),
            format!("{units}{}", price.unit),
            price.as_of.to_owned(),
            price.evidence.name().to_owned(),
            format!("<{}>", price.source),
        ]);
    }
    table.0
}

fn examples() -> String {
    let example = |events_per_day, configurations, interval, events_per_request| {
        estimate(|parameters| {
            parameters.events_per_day = events_per_day;
            parameters.tenants = configurations;
            parameters.configurations = configurations;
            parameters.interval = interval;
            parameters.events_per_request = events_per_request;
        })
    };
    let mut table = Table::new(&[
        "Events a day",
        "Configurations",
        "Every",
        "To a request",
        "Ingest",
        "Storage",
        "Export",
        "Standing",
        "**A month**",
        "A million events",
        "Customers (S3)",
        "Firehose: one to a record",
        "packed",
        "packed and compressed",
    ]);
    let daily = ExportInterval::Every24Hours;
    for estimate in [
        example(100_000, 5, daily, 100),
        example(1_000_000, 10, daily, 100),
        example(1_000_000, 10, daily, 1),
        example(10_000_000, 100, daily, 100),
        example(10_000_000, 100, ExportInterval::Every2Hours, 100),
        example(100_000_000, 1_000, daily, 400),
    ] {
        let parameters = estimate.traffic.parameters();
        let service = &estimate.service;
        let mut cells = vec![
            grouped(&parameters.events_per_day.to_string()),
            grouped(&parameters.configurations.to_string()),
            hours(parameters.interval),
            parameters.events_per_request.to_string(),
        ];
        cells.extend(
            [Part::Ingest, Part::Storage, Part::Export, Part::Standing].map(|part| service.of(part).to_string()),
        );
        cells.push(format!("**{}**", service.dollars_per_month));
        cells.push(estimate.dollars_per_million_events.map(|dollars| dollars.to_string()).unwrap_or_default());
        cells.push(estimate.customers.dollars_per_month.to_string());
        cells.extend(firehose_cells(&estimate.firehose, |comparison| comparison.dollars_per_month));
        table.add(&cells);
    }
    table.0
}

fn hours(interval: ExportInterval) -> String {
    format!("{} h", interval.duration().as_secs() / 3_600)
}

/// Returns the costs of a million additional events in the parts, and with Firehose.
fn for_a_million(change: impl Fn(&mut Parameters)) -> ([Dollars; 3], Vec<Comparison>) {
    let of = |events_per_day| {
        estimate(|parameters| {
            change(parameters);
            parameters.events_per_day = events_per_day;
        })
    };
    let (many, none) = (of(MANY_EVENTS), of(0));
    let millions = float(MANY_EVENTS) * DAYS_PER_MONTH / 1e6;
    let parts = [Part::Ingest, Part::Storage, Part::Export]
        .map(|part| Dollars((many.service.of(part).0 - none.service.of(part).0) / millions));
    let firehose = many.firehose.into_iter().map(|comparison| Comparison {
        dollars_per_month: Dollars(comparison.dollars_per_month.0 / millions),
        ..comparison
    });
    (parts, firehose.collect())
}

fn batches() -> String {
    let mut table = Table::new(&[
        "Events to a request",
        "Write units",
        "Ingest",
        "Storage",
        "Export",
        "**A million events**",
        "over the HTTP API",
        "Firehose: one to a record",
        "packed",
        "packed and compressed",
    ]);
    for (events_per_request, idempotency_keys) in
        [(1, false), (10, false), (50, false), (100, false), (100, true), (200, false), (400, false), (1_000, false)]
    {
        let change = |parameters: &mut Parameters| {
            parameters.events_per_request = events_per_request;
            parameters.idempotency_keys = idempotency_keys;
        };
        let units = RequestShape::of(&estimate(change).traffic).write_units / f64::from(events_per_request) * 1e6;
        let (parts, firehose) = for_a_million(change);
        let mut cells = vec![
            format!("{events_per_request}{}", if idempotency_keys { ", with `Idempotency-Key`" } else { "" }),
            grouped(&format!("{units:.0}")),
        ];
        cells.extend(parts.iter().map(ToString::to_string));
        cells.push(format!("**{}**", parts.into_iter().sum::<Dollars>()));
        let over_http = for_a_million(|parameters| {
            change(parameters);
            parameters.endpoint = Endpoint::HttpApi;
        });
        cells.push(over_http.0.into_iter().sum::<Dollars>().to_string());
        cells.extend(firehose_cells(&firehose, |comparison| comparison.dollars_per_month));
        table.add(&cells);
    }
    table.0
}

/// Returns the costs of receiving a million single events over the queue, without a function in between.
fn single_events() -> String {
    let mut table = Table::new(&["A million events, one to a request", "Receiving them"]);
    let service = for_a_million(|parameters| parameters.events_per_request = 1).0[0];
    table.add(&["over the service's API".to_owned(), service.to_string()]);
    let over_http = for_a_million(|parameters| {
        parameters.events_per_request = 1;
        parameters.endpoint = Endpoint::HttpApi;
    });
    table.add(&["over an HTTP API in front of ingest".to_owned(), over_http.0[0].to_string()]);
    for messages in [1, 10, queued::MAX_MESSAGES_OF_A_WRITE] {
        let traffic = estimate(|parameters| parameters.events_per_request = messages).traffic;
        let together =
            if messages == 1 { "each alone".to_owned() } else { format!("{messages} of a tenant arrive together") };
        table.add(&[format!("into the queue, {together}"), queued::ingest(&traffic).dollars_per_month.to_string()]);
    }
    table.0
}

/// The targets of the archive's issue: at 100 and 400 events to a request and 90 days, and at 100 and 365 days.
#[test]
fn a_million_events_cost_what_they_were_to_cost_over_the_http_api() {
    let dollars = |endpoint, events_per_request, retention_days| {
        let (parts, _) = for_a_million(|parameters| {
            parameters.endpoint = endpoint;
            parameters.events_per_request = events_per_request;
            parameters.retention_days = retention_days;
        });
        parts.into_iter().sum::<Dollars>().0
    };
    assert!(dollars(Endpoint::HttpApi, 100, 90) <= 0.13);
    assert!(dollars(Endpoint::HttpApi, 400, 90) <= 0.09);
    assert!(dollars(Endpoint::Rest, 100, 365) <= 0.15);
}

fn retentions() -> String {
    let mut table = Table::new(&["`RetentionDays`", "Storage", "**A million events**"]);
    for retention_days in [7, 30, 90, 365] {
        let (parts, _) = for_a_million(|parameters| parameters.retention_days = retention_days);
        let total: Dollars = parts.into_iter().sum();
        table.add(&[retention_days.to_string(), parts[1].to_string(), format!("**{total}**")]);
    }
    table.0
}

fn configurations() -> String {
    let mut table = Table::new(&[
        "Every",
        "Runs a month",
        "Export",
        "Storage",
        "**A thousand configurations**",
        "with access keys",
        "Customers (S3)",
    ]);
    for interval in ExportInterval::ALL {
        let of = |configurations, authentication| {
            estimate(|parameters| {
                parameters.events_per_day = 0;
                parameters.tenants = 1_000;
                parameters.configurations = configurations;
                parameters.interval = interval;
                parameters.authentication = authentication;
            })
        };
        let [role, key] = [super::Authentication::Role, super::Authentication::AccessKey].map(|kind| of(1_000, kind));
        let none = of(0, super::Authentication::Role);
        let more = |part| Dollars(role.service.of(part).0 - none.service.of(part).0);
        let total = |estimate: &Estimate| {
            Dollars(estimate.service.dollars_per_month.0 - none.service.dollars_per_month.0).to_string()
        };
        let runs = role.traffic.runs_per_day() * DAYS_PER_MONTH * 1_000.0;
        table.add(&[
            hours(interval),
            grouped(&format!("{runs:.0}")),
            more(Part::Export).to_string(),
            more(Part::Storage).to_string(),
            format!("**{}**", total(&role)),
            total(&key),
            role.customers.dollars_per_month.to_string(),
        ]);
    }
    table.0
}

/// Returns the number of configurations of one tenant from which Firehose costs more than the service.
fn break_even() -> String {
    let mut table = Table::new(&[
        "Events to a request",
        "One more configuration, a million events",
        "Firehose: one to a record",
        "packed",
        "packed and compressed",
    ]);
    for events_per_request in [1, 10, 100, 400] {
        let with = |configurations| {
            estimate(|parameters| {
                parameters.events_per_day = 10_000_000;
                parameters.events_per_request = events_per_request;
                parameters.configurations = configurations;
            })
        };
        let more = with(2).service.dollars_per_month.0 - with(1).service.dollars_per_month.0;
        let mut cells = vec![events_per_request.to_string(), Dollars(more / 300.0).to_string()];
        for index in 0..with(1).firehose.len() {
            let is_dearer = |configurations: &u32| {
                let estimate = with(*configurations);
                let firehose = estimate.firehose.get(index);
                firehose.is_some_and(|firehose| firehose.dollars_per_month >= estimate.service.dollars_per_month)
            };
            let first = (1..=super::traffic::MAX_CONFIGURATIONS_PER_TENANT).find(is_dearer);
            cells.push(first.map_or_else(|| "never".to_owned(), |first| format!("from {first} on")));
        }
        table.add(&cells);
    }
    table.0
}

#[test]
fn the_page_has_the_figures_of_the_model() {
    let sections = BTreeMap::from([
        ("prices", prices()),
        ("examples", examples()),
        ("batches", batches()),
        ("retentions", retentions()),
        ("single-events", single_events()),
        ("configurations", configurations()),
        ("break-even", break_even()),
    ]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/COST.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    let mut shown = Vec::new();
    let made = with_sections(&page, |name| {
        shown.push(name.to_owned());
        sections.get(name).unwrap_or_else(|| unreachable!("no figures have the name {name:?}")).clone()
    });
    let made = made.unwrap_or_else(|error| unreachable!("docs/COST.md: {error}"));
    for name in sections.keys() {
        assert!(shown.iter().any(|shown| shown == name), "docs/COST.md lacks {name}");
    }
    assert_current(&path, &made, "cargo test -p audit-export-operator cost");
}
