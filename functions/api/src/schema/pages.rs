//! Pages of lists, by the specification of cursor connections: <https://relay.dev/graphql/connections.htm>.

use std::{fmt::Display, str::FromStr};

use async_graphql::{
    OutputType,
    connection::{Connection, CursorType, Edge, EmptyFields},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{error::ApiError, service::Page};

/// The most items of a page or plain list.
pub const MAX_PAGE: u16 = 100;

/// The number of items of a page if the request gives none.
const DEFAULT_PAGE: u16 = 20;

/// The most bytes of a cursor. The longest are those of configurations, with 84.
const MAX_CURSOR_LENGTH: usize = 128;

/// The position of an item in its list. The list itself follows from the caller's token and the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl CursorType for Cursor {
    type Error = ApiError;

    fn decode_cursor(text: &str) -> Result<Self, ApiError> {
        let decoded = Some(text).filter(|text| text.len() <= MAX_CURSOR_LENGTH);
        let bytes = decoded.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Self).ok_or(ApiError::CursorInvalid)
    }

    fn encode_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

/// Parses the position that a cursor encodes.
///
/// # Errors
/// `CURSOR_INVALID` unless the cursor has the form that the API returns.
pub fn position<T: FromStr + Display>(after: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(after) = after else { return Ok(None) };
    let Cursor(text) = Cursor::decode_cursor(after)?;
    let position = text.parse::<T>().ok().filter(|position| position.to_string() == text);
    position.map(Some).ok_or(ApiError::CursorInvalid)
}

/// Returns the number of items of a page.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` unless it is from 1 to [`MAX_PAGE`].
pub fn limit(first: Option<i32>) -> Result<u16, ApiError> {
    let Some(first) = first else { return Ok(DEFAULT_PAGE) };
    let limit = u16::try_from(first).ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| ApiError::ValidationFailed(format!("The argument `first` must be from 1 to {MAX_PAGE}.")))
}

/// Makes the connection of a page. `position` returns the position of an item.
pub fn connection<T, N, P>(page: Page<T>, is_first: bool, position: impl Fn(&T) -> P) -> Connection<Cursor, N>
where
    N: OutputType + From<T>,
    P: Display,
{
    let mut connection = Connection::new(!is_first, page.has_next);
    connection.edges.extend(page.items.into_iter().map(|item| {
        let cursor = Cursor(position(&item).to_string());
        Edge::<Cursor, N, EmptyFields>::new(cursor, N::from(item))
    }));
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        let cursor = Cursor("17".to_owned()).encode_cursor();
        assert_eq!(position::<u64>(Some(&cursor)), Ok(Some(17)));
        assert_eq!(position::<u64>(None), Ok(None));
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for bad in [
            String::new(),
            "17".to_owned(),
            format!("{cursor}="),
            format!("{cursor} "),
            encode("017"),
            encode("+17"),
            encode("-1"),
            encode("17#acme"),
            encode("acme#17"),
            encode("18446744073709551616"),
            URL_SAFE_NO_PAD.encode([0xFF, 0xFE]),
            "A".repeat(60_000),
        ] {
            assert_eq!(position::<u64>(Some(&bad)), Err(ApiError::CursorInvalid), "{bad}");
        }
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(limit(None), Ok(DEFAULT_PAGE));
        assert_eq!((limit(Some(1)).unwrap(), limit(Some(100)).unwrap()), (1, 100));
        for bad in [0, -1, 101, i32::MAX, i32::MIN] {
            let error = limit(Some(bad)).unwrap_err();
            assert!(error.to_string().contains("1 to 100"), "{error}");
        }
    }
}
