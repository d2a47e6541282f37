//! The bill of a month.

use serde::Serialize;

use super::{money::Dollars, price::Price};

/// The purpose of a line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// Receiving events.
    Ingest,
    /// Storing events until their retention ends, and the history of exports.
    Storage,
    /// Writing to the customers' buckets.
    Export,
    /// The costs of an idle stack.
    Standing,
    /// The costs of the customers.
    Delivered,
}

impl Part {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Storage => "storage",
            Self::Export => "export",
            Self::Standing => "standing",
            Self::Delivered => "delivered",
        }
    }
}

/// One line of a month's bill.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", into = "PricedLine")]
pub struct Line {
    pub part: Part,
    pub price: &'static Price,
    /// Units of the price per month.
    pub quantity: f64,
}

/// The JSON form of a line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PricedLine {
    part: Part,
    quantity_per_month: f64,
    dollars_per_month: Dollars,
    price: &'static Price,
}

impl From<Line> for PricedLine {
    fn from(line: Line) -> Self {
        Self {
            part: line.part,
            quantity_per_month: line.quantity,
            dollars_per_month: line.dollars(),
            price: line.price,
        }
    }
}

impl Line {
    #[must_use]
    pub fn dollars(&self) -> Dollars {
        self.price.of(self.quantity)
    }
}

/// The costs of one payer in a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    pub lines: Vec<Line>,
    pub dollars_per_month: Dollars,
}

impl Bill {
    pub fn new(lines: Vec<Line>) -> Self {
        let dollars_per_month = lines.iter().map(Line::dollars).sum();
        Self { lines, dollars_per_month }
    }

    #[must_use]
    pub fn of(&self, part: Part) -> Dollars {
        self.lines.iter().filter(|line| line.part == part).map(Line::dollars).sum()
    }

    #[must_use]
    pub fn of_price(&self, price: &Price) -> Dollars {
        self.lines.iter().filter(|line| line.price == price).map(Line::dollars).sum()
    }
}
