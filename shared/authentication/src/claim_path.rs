//! Paths to claims.

use serde_json::{Map, Value};

/// The most steps of a [`ClaimPath`].
pub const MAX_CLAIM_DEPTH: usize = 8;

/// The longest text of a [`ClaimPath`], in bytes.
pub const MAX_CLAIM_PATH_LENGTH: usize = 256;

/// The place of a claim in a token.
///
/// A text that begins with `/` is a JSON Pointer (RFC 6901): `/realm_access/roles`, where `~1` stands for `/` and `~0`
/// for `~` in a name. Any other text is the exact name of a top-level claim, such as `https://acme.example/tenant`.
///
/// A pointer leads through objects only. An index of an array would let the order of a list, which may be the caller's,
/// choose a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    /// One or more names, none of them empty.
    names: Vec<String>,
}

/// The error of a text that is not a [`ClaimPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of a claim, or a JSON Pointer such as /realm_access/roles (`~1` for `/` and `~0` for `~` in a name), \
     of at most 256 bytes and 8 names without an empty one"
)]
pub struct InvalidClaimPath;

impl ClaimPath {
    /// # Errors
    /// [`InvalidClaimPath`] if the text breaks the rules above.
    pub fn parse(text: &str) -> Result<Self, InvalidClaimPath> {
        if text.is_empty() || text.len() > MAX_CLAIM_PATH_LENGTH {
            return Err(InvalidClaimPath);
        }
        let names = match text.strip_prefix('/') {
            None => vec![text.to_owned()],
            Some(pointer) => pointer.split('/').map(unescaped).collect::<Option<_>>().ok_or(InvalidClaimPath)?,
        };
        if names.len() > MAX_CLAIM_DEPTH || names.iter().any(String::is_empty) {
            return Err(InvalidClaimPath);
        }
        Ok(Self { names })
    }

    /// Returns whether it is the top-level claim of this name.
    pub(crate) fn is_name(&self, name: &str) -> bool {
        self.names == [name]
    }

    /// Returns the claim, if it is there.
    pub(crate) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.names.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
    }
}

/// Replaces `~1` and `~0`. Any other `~` is an error (RFC 6901 section 3).
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match part.split_at_checked(1)? {
            ("0", rest) => ('~', rest),
            ("1", rest) => ('/', rest),
            _ => return None,
        };
        text.push(escaped);
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(path: &str, claims: &Value) -> Option<Value> {
        ClaimPath::parse(path).unwrap().find(claims.as_object().unwrap()).cloned()
    }

    #[test]
    fn a_name_is_exact_and_a_pointer_leads_through_objects() {
        let claims = json!({
            "tenant": "by name", "/tenant": "hidden", "a.b": "dots", "https://acme.example/tenant": "address",
            "a": {"b": {"c": "deep", "d~/": "escaped", "~1": "tilde one"}, "list": ["first", {"x": "in a list"}]},
        });
        for (path, expected) in [
            ("tenant", Some("by name")),
            ("/tenant", Some("by name")),
            ("/~1tenant", Some("hidden")),
            ("a.b", Some("dots")),
            ("https://acme.example/tenant", Some("address")),
            ("/https:~1~1acme.example~1tenant", Some("address")),
            ("/a/b/c", Some("deep")),
            ("/a/b/d~0~1", Some("escaped")),
            ("/a/b/~01", Some("tilde one")),
            ("a/b/c", None),
            ("/a/b/c/d", None),
            ("/a/list/0", None),
            ("/a/list/1/x", None),
            ("/a/list/-", None),
            ("/A/b/c", None),
        ] {
            assert_eq!(find(path, &claims), expected.map(Value::from), "{path}");
        }
        assert_eq!(find("/a/list", &claims), Some(json!(["first", {"x": "in a list"}])));
    }

    #[test]
    fn a_path_is_bounded_and_has_no_empty_name() {
        for bad in ["", "/", "/a/", "//a", "/a//b", "/~", "/a~2", "/~a", "/a/b~", &"a".repeat(257), &"/a".repeat(9)] {
            assert_eq!(ClaimPath::parse(bad), Err(InvalidClaimPath), "{bad}");
        }
        for good in ["~", "a~2", "a/", &"a".repeat(256), &"/a".repeat(8), "/\u{e4}/b"] {
            assert!(ClaimPath::parse(good).is_ok(), "{good}");
        }
    }
}
