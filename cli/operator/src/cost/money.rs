//! Amounts of money.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, Sub},
};

use serde::Serialize;
use terminal::grouped;

/// US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Dollars(pub f64);

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Dollars {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Dollars {
    /// Formats the amount to the cent, and less than ten cents to the hundredth of a cent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 != 0.0 && self.0 < 0.1 { 4 } else { 2 };
        formatter.pad(&format!("${}", grouped(&format!("{:.digits$}", self.0))))
    }
}
