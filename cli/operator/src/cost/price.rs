//! AWS's list prices in US East (N. Virginia). docs/COST.md shows them all.

use serde::Serialize;

use super::money::Dollars;

/// A list price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    pub name: &'static str,
    pub dollars: f64,
    /// The number of units that the price is for.
    pub units: f64,
    /// The name of the unit.
    pub unit: &'static str,
    /// AWS's page with the price.
    pub source: &'static str,
    /// The latest month or year for which the price is known.
    pub as_of: &'static str,
    pub evidence: Evidence,
}

/// The evidence for a price. AWS's pricing pages insert their figures by script, so stored copies often have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// A text of AWS without a date states it.
    StatedByAws,
    /// A text of another author of that month quotes AWS's page.
    QuotedByOthers,
    /// Known, but found in no dated text.
    NotReadAgain,
}

#[cfg(test)]
impl Evidence {
    pub fn name(self) -> &'static str {
        match self {
            Self::StatedByAws => "stated by AWS",
            Self::QuotedByOthers => "quoted",
            Self::NotReadAgain => "not read again",
        }
    }
}

impl Price {
    /// Returns the price of a quantity.
    #[must_use]
    pub fn of(&self, quantity: f64) -> Dollars {
        Dollars(quantity / self.units * self.dollars)
    }
}

const MILLION: f64 = 1e6;

const API_GATEWAY: &str = "https://aws.amazon.com/api-gateway/pricing/";
const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const SQS: &str = "https://aws.amazon.com/sqs/pricing/";
const EVENTBRIDGE: &str = "https://aws.amazon.com/eventbridge/pricing/";
const KMS: &str = "https://aws.amazon.com/kms/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const EC2: &str = "https://aws.amazon.com/ec2/pricing/on-demand/";
const S3: &str = "https://aws.amazon.com/s3/pricing/";
const FIREHOSE: &str = "https://aws.amazon.com/firehose/pricing/";

/// The first 333 million a month.
pub const API_GATEWAY_REQUEST: Price = Price {
    name: "API Gateway, REST",
    dollars: 3.5,
    units: MILLION,
    unit: "requests",
    source: API_GATEWAY,
    as_of: "2025-05",
    evidence: Evidence::StatedByAws,
};

/// The first 300 million a month; one for each 512 KB.
pub const API_GATEWAY_HTTP_REQUEST: Price = Price {
    name: "API Gateway, HTTP",
    dollars: 1.0,
    units: MILLION,
    unit: "requests",
    source: API_GATEWAY,
    as_of: "2025-05",
    evidence: Evidence::StatedByAws,
};

pub const LAMBDA_REQUEST: Price = Price {
    name: "Lambda, requests",
    dollars: 0.2,
    units: MILLION,
    unit: "requests",
    source: LAMBDA,
    as_of: "2026-05",
    evidence: Evidence::QuotedByOthers,
};

/// The first 7.5 billion a month.
pub const LAMBDA_ARM64: Price = Price {
    name: "Lambda, time on arm64",
    dollars: 0.000_013_333_4,
    units: 1.0,
    unit: "GB-seconds",
    source: LAMBDA,
    as_of: "2026-05",
    evidence: Evidence::QuotedByOthers,
};

/// The first 6 billion a month.
pub const LAMBDA_X86: Price = Price {
    name: "Lambda, time on x86_64",
    dollars: 0.000_016_666_7,
    units: 1.0,
    unit: "GB-seconds",
    source: LAMBDA,
    as_of: "2026-05",
    evidence: Evidence::QuotedByOthers,
};

/// Halved on 2024-11-01.
pub const DYNAMODB_WRITE: Price = Price {
    name: "DynamoDB on demand, writes",
    dollars: 0.625,
    units: MILLION,
    unit: "write request units",
    source: DYNAMODB,
    as_of: "2025-07",
    evidence: Evidence::QuotedByOthers,
};

/// Halved on 2024-11-01.
pub const DYNAMODB_READ: Price = Price {
    name: "DynamoDB on demand, reads",
    dollars: 0.125,
    units: MILLION,
    unit: "read request units",
    source: DYNAMODB,
    as_of: "2025-07",
    evidence: Evidence::QuotedByOthers,
};

pub const DYNAMODB_STORAGE: Price = Price {
    name: "DynamoDB, storage",
    dollars: 0.25,
    units: 1.0,
    unit: "GB-months",
    source: DYNAMODB,
    as_of: "2025",
    evidence: Evidence::StatedByAws,
};

pub const DYNAMODB_POINT_IN_TIME_RECOVERY: Price = Price {
    name: "DynamoDB, point-in-time recovery",
    dollars: 0.2,
    units: 1.0,
    unit: "GB-months",
    source: DYNAMODB,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// Each 64 KB of a request count as one.
pub const SQS_REQUEST: Price = Price {
    name: "SQS, standard queue",
    dollars: 0.4,
    units: MILLION,
    unit: "requests",
    source: SQS,
    as_of: "2026-03",
    evidence: Evidence::QuotedByOthers,
};

pub const SCHEDULER_INVOCATION: Price = Price {
    name: "EventBridge Scheduler",
    dollars: 1.0,
    units: MILLION,
    unit: "invocations",
    source: EVENTBRIDGE,
    as_of: "2026-03",
    evidence: Evidence::QuotedByOthers,
};

pub const KMS_KEY: Price = Price {
    name: "KMS, keys",
    dollars: 1.0,
    units: 1.0,
    unit: "keys for a month",
    source: KMS,
    as_of: "2026-06",
    evidence: Evidence::StatedByAws,
};

pub const KMS_SYMMETRIC: Price = Price {
    name: "KMS, symmetric requests",
    dollars: 0.03,
    units: 10_000.0,
    unit: "requests",
    source: KMS,
    as_of: "2026-06",
    evidence: Evidence::QuotedByOthers,
};

/// Of all asymmetric keys but RSA 2048.
pub const KMS_ASYMMETRIC: Price = Price {
    name: "KMS, requests with an ECC key",
    dollars: 0.15,
    units: 10_000.0,
    unit: "requests",
    source: KMS,
    as_of: "2026-06",
    evidence: Evidence::QuotedByOthers,
};

/// Lambda's logs have cheaper tiers from 10 TB a month on.
pub const LOG_INGESTION: Price = Price {
    name: "CloudWatch Logs, written",
    dollars: 0.5,
    units: 1.0,
    unit: "GB",
    source: CLOUDWATCH,
    as_of: "2026-06",
    evidence: Evidence::QuotedByOthers,
};

/// Of compressed bytes.
pub const LOG_STORAGE: Price = Price {
    name: "CloudWatch Logs, storage",
    dollars: 0.03,
    units: 1.0,
    unit: "GB-months",
    source: CLOUDWATCH,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

pub const CUSTOM_METRIC: Price = Price {
    name: "CloudWatch, custom and detailed metrics",
    dollars: 0.3,
    units: 1.0,
    unit: "metrics for a month",
    source: CLOUDWATCH,
    as_of: "2026-02",
    evidence: Evidence::QuotedByOthers,
};

pub const ALARM: Price = Price {
    name: "CloudWatch, alarms",
    dollars: 0.1,
    units: 1.0,
    unit: "alarms for a month",
    source: CLOUDWATCH,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// A dashboard with more than 50 metrics, which is never free.
pub const DASHBOARD: Price = Price {
    name: "CloudWatch, dashboards",
    dollars: 3.0,
    units: 1.0,
    unit: "dashboards for a month",
    source: CLOUDWATCH,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// The first 10 TB a month.
pub const TRANSFER_OUT: Price = Price {
    name: "Data transfer to the Internet",
    dollars: 0.09,
    units: 1.0,
    unit: "GB",
    source: EC2,
    as_of: "2025-05",
    evidence: Evidence::QuotedByOthers,
};

pub const S3_PUT: Price = Price {
    name: "S3 Standard, PUT and POST",
    dollars: 0.005,
    units: 1_000.0,
    unit: "requests",
    source: S3,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// The first 50 TB.
pub const S3_STORAGE: Price = Price {
    name: "S3 Standard, storage",
    dollars: 0.023,
    units: 1.0,
    unit: "GB-months",
    source: S3,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

pub const S3_GET: Price = Price {
    name: "S3 Standard, GET",
    dollars: 0.000_4,
    units: 1_000.0,
    unit: "requests",
    source: S3,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// An object counts for 90 days at least.
pub const S3_INSTANT_STORAGE: Price = Price {
    name: "S3 Glacier Instant Retrieval, storage",
    dollars: 0.004,
    units: 1.0,
    unit: "GB-months",
    source: S3,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

pub const S3_INSTANT_TRANSITION: Price = Price {
    name: "S3 Glacier Instant Retrieval, transitions",
    dollars: 0.02,
    units: 1_000.0,
    unit: "requests",
    source: S3,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// The first 500 TB a month. A record counts as the next multiple of 5 KB: that rule could be read at AWS's.
pub const FIREHOSE_INGESTION: Price = Price {
    name: "Data Firehose, Direct PUT",
    dollars: 0.029,
    units: 1.0,
    unit: "GB",
    source: FIREHOSE,
    as_of: "2025",
    evidence: Evidence::NotReadAgain,
};

/// Every price, in the order of the bill.
#[cfg(test)]
pub const ALL: [&Price; 26] = [
    &API_GATEWAY_REQUEST,
    &API_GATEWAY_HTTP_REQUEST,
    &LAMBDA_REQUEST,
    &LAMBDA_ARM64,
    &LAMBDA_X86,
    &DYNAMODB_WRITE,
    &DYNAMODB_READ,
    &DYNAMODB_STORAGE,
    &DYNAMODB_POINT_IN_TIME_RECOVERY,
    &SQS_REQUEST,
    &SCHEDULER_INVOCATION,
    &KMS_KEY,
    &KMS_SYMMETRIC,
    &KMS_ASYMMETRIC,
    &LOG_INGESTION,
    &LOG_STORAGE,
    &CUSTOM_METRIC,
    &ALARM,
    &DASHBOARD,
    &TRANSFER_OUT,
    &S3_PUT,
    &S3_STORAGE,
    &S3_GET,
    &S3_INSTANT_STORAGE,
    &S3_INSTANT_TRANSITION,
    &FIREHOSE_INGESTION,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_price_has_a_page_and_a_year() {
        let names: BTreeSet<&str> = ALL.iter().map(|price| price.name).collect();
        assert_eq!(names.len(), ALL.len(), "two prices share a name");
        for price in ALL {
            assert!(price.source.starts_with("https://aws.amazon.com/"), "{}", price.name);
            assert!(price.as_of.starts_with("20") && matches!(price.as_of.len(), 4 | 7), "{}", price.name);
            assert!(price.dollars > 0.0 && price.units >= 1.0, "{}", price.name);
        }
    }
}
