//! Scalars beyond those of GraphQL.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use domain::time::Timestamp;

#[derive(Clone, Copy, Debug)]
pub struct DateTime(pub Timestamp);

/// A time as in RFC 3339, in UTC with three decimals, for example 2026-01-31T00:00:00.000Z.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => {
                Timestamp::parse(text).map(Self).map_err(|error| InputValueError::custom(error.to_string()))
            }
            _ => Err(InputValueError::custom("not a text")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A number of events or bytes, which can exceed an `Int` of GraphQL. None comes near 2^53: a job has at most 400 files,
/// and S3 takes no file above 5 TiB.
#[derive(Clone, Copy, Debug)]
pub struct Long(pub u64);

/// A whole number from 0 to 2^53 - 1, which JSON parsers read exactly, also in JavaScript.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) if number.is_u64() => Ok(Self(number.as_u64().unwrap_or_default())),
            _ => Err(InputValueError::custom("not a whole number")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}
