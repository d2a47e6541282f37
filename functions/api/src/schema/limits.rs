//! Limits of a document. They are checked first, because later steps visit a fragment once for each time it is spread.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet};

use crate::error::ApiError;

/// The most nested brackets of any kind. They are counted before the document is parsed, because the parser is
/// recursive.
pub const MAX_NESTING: usize = 64;

/// The most operations of one document.
pub const MAX_OPERATIONS: usize = 10;

/// The most fragments of one document.
pub const MAX_FRAGMENTS: usize = 32;

/// The most fields. Those of a fragment count each time it is spread. The common introspection query has 150.
pub const MAX_FIELDS: usize = 400;

/// The most aliases, counted like fields.
pub const MAX_ALIASES: usize = 30;

/// The most nested fields. The common introspection query has 14.
pub const MAX_DEPTH: usize = 15;

/// The most fields of the query or mutation itself. Each may call AWS.
pub const MAX_ROOT_FIELDS: usize = 10;

/// The most directives of one field.
pub const MAX_DIRECTIVES: usize = 5;

/// The most mutations that wait for a connection test. Mutations run one after the other, and only one test fits into the
/// time that API Gateway gives a request.
pub const MAX_CONNECTION_TESTS: usize = 1;

const TESTING_MUTATIONS: [&str; 5] = [
    "createS3AccessKeyExportConfiguration",
    "testExportConfiguration",
    "testExportNotifications",
    "updateS3AccessKeyExportConfiguration",
    "updateS3AssumedRoleExportConfiguration",
];

/// Checks the nesting of brackets in a document that is not parsed yet.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED`.
pub fn check_nesting(document: &str) -> Result<(), ApiError> {
    if nesting(document) > MAX_NESTING { Err(too_large("nested brackets", MAX_NESTING)) } else { Ok(()) }
}

/// Checks the size of a document.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` or `TOO_MANY_VERIFICATIONS`.
pub fn check(document: &ExecutableDocument) -> Result<(), ApiError> {
    let within =
        |what: &str, size: usize, limit: usize| if size > limit { Err(too_large(what, limit)) } else { Ok(()) };
    within("operations", document.operations.iter().count(), MAX_OPERATIONS)?;
    within("fragments", document.fragments.len(), MAX_FRAGMENTS)?;

    let mut measure = Measure { document, fragments: HashMap::new() };
    let mut total = Size::default();
    for (_, operation) in document.operations.iter() {
        let size = measure.selection_set(&operation.node.selection_set.node)?;
        if size.direct_tests > MAX_CONNECTION_TESTS {
            return Err(ApiError::TooManyTestsInRequest);
        }
        within("fields at the root", size.direct_fields, MAX_ROOT_FIELDS)?;
        total = total.beside(size);
    }
    // Fragments that are never spread are validated too.
    for fragment in document.fragments.values() {
        measure.selection_set(&fragment.node.selection_set.node).map(|size| total = total.beside(size))?;
    }
    within("nested fields", total.depth, MAX_DEPTH)?;
    within("aliases", total.aliases, MAX_ALIASES)?;
    within("fields", total.fields, MAX_FIELDS)
}

fn too_large(what: &str, limit: usize) -> ApiError {
    ApiError::ValidationFailed(format!("The document is too large. The limit is {limit} {what}."))
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    fields: usize,
    aliases: usize,
    depth: usize,
    /// Fields that are not in another field.
    direct_fields: usize,
    direct_tests: usize,
}

impl Size {
    fn beside(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            direct_fields: self.direct_fields.saturating_add(other.direct_fields),
            direct_tests: self.direct_tests.saturating_add(other.direct_tests),
        }
    }
}

/// The measurement of a document. Each fragment is measured once, however often it is spread.
struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// The sizes of fragments. `None`: the fragment is being measured.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet) -> Result<Size, ApiError> {
        let mut total = Size::default();
        for selection in &set.items {
            let size = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.selection_set(&field.node.selection_set.node)?;
                    Size {
                        fields: inner.fields.saturating_add(1),
                        aliases: inner.aliases.saturating_add(usize::from(field.node.alias.is_some())),
                        depth: inner.depth.saturating_add(1),
                        direct_fields: 1,
                        direct_tests: usize::from(TESTING_MUTATIONS.contains(&field.node.name.node.as_str())),
                    }
                }
                Selection::InlineFragment(fragment) => self.selection_set(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    match self.document.fragments.get_key_value(&spread.node.fragment_name.node) {
                        Some((name, fragment)) => self.fragment(name, &fragment.node)?,
                        // Validation reports it.
                        None => Size::default(),
                    }
                }
            };
            total = total.beside(size);
        }
        Ok(total)
    }

    fn fragment(&mut self, name: &'a str, fragment: &'a FragmentDefinition) -> Result<Size, ApiError> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(ApiError::ValidationFailed("A fragment spreads itself.".to_owned())),
            None => {}
        }
        self.fragments.insert(name, None);
        let size = self.selection_set(&fragment.selection_set.node)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

/// Returns the depth of nested brackets outside of strings and comments.
fn nesting(document: &str) -> usize {
    let mut rest = document.as_bytes();
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    while let [first, behind @ ..] = rest {
        rest = behind;
        match first {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = behind_line(rest),
            b'"' => {
                rest = match behind.strip_prefix(b"\"\"") {
                    Some(block) => behind_block_string(block),
                    None => behind_string(behind),
                }
            }
            _ => {}
        }
    }
    deepest
}

fn behind_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

fn behind_string(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'"' | b'\n' | b'\r', behind @ ..] => return behind,
            [b'\\', _, behind @ ..] | [_, behind @ ..] => behind,
            [] => return &[],
        }
    }
}

fn behind_block_string(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'"', b'"', b'"', behind @ ..] => return behind,
            [b'\\', b'"', b'"', b'"', behind @ ..] | [_, behind @ ..] => behind,
            [] => return &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn code(document: &str) -> Option<&'static str> {
        check_nesting(document)
            .and_then(|()| check(&parse_query(document).unwrap()))
            .err()
            .map(|error| error.code().name())
    }

    #[test]
    fn brackets_in_texts_and_comments_do_not_count() {
        assert_eq!(nesting("{a(b:[{c:1}])}"), 4);
        assert_eq!(nesting("# {{{{\n{a(b:\"{{{\\\"{{\")}"), 2);
        assert_eq!(nesting("{a(b:\"\"\"{{{\\\"\"\"{{\"\"\")}"), 2);
        assert_eq!(nesting("{a(b:\"\")c(d:\"}}}\"){e}}"), 2);
        assert_eq!(nesting(&"{".repeat(60_000)), 60_000);
        assert_eq!(nesting("\"unterminated {{"), 0);
    }

    #[test]
    fn deep_documents_are_refused_before_they_are_parsed() {
        for opening in ["{a", "{a(b:[", "{a(b:{c:", "query($a:["] {
            let document = opening.repeat(10_000);
            assert_eq!(check_nesting(&document).unwrap_err().code().name(), "GRAPHQL_VALIDATION_FAILED");
        }
    }

    #[test]
    fn fragments_that_multiply_are_counted_without_walking_every_way() {
        use std::fmt::Write;

        let mut document = "{...f0}".to_owned();
        for index in 0..30 {
            write!(document, "fragment f{index} on Q{{...f{0} ...f{0}}}", index + 1).unwrap();
        }
        document.push_str("fragment f30 on Q{a}");
        assert_eq!(code(&document), Some("GRAPHQL_VALIDATION_FAILED"));
        assert_eq!(code("{...a} fragment a on Q{...b} fragment b on Q{...a}"), Some("GRAPHQL_VALIDATION_FAILED"));
    }

    #[test]
    fn every_bound_is_kept() {
        let many = |limit: usize, template: &str| {
            (0..=limit).fold(String::new(), |text, index| text + &template.replace('#', &index.to_string()))
        };
        let aliases = many(MAX_ALIASES, "a#:b ");
        let operations = many(MAX_OPERATIONS, "query q#{a}");
        let fragments = many(MAX_FRAGMENTS, "fragment f# on Q{a}");
        for too_large in [
            format!("{{a{{{aliases}}}}}"),
            format!("{{a{{{}}}}}", "b ".repeat(MAX_FIELDS)),
            format!("{{{}}}", "a ".repeat(MAX_ROOT_FIELDS + 1)),
            format!("{{{}b{}}}", "a{".repeat(MAX_DEPTH), "}".repeat(MAX_DEPTH)),
            operations,
            format!("{{a}}{fragments}"),
        ] {
            assert_eq!(code(&too_large), Some("GRAPHQL_VALIDATION_FAILED"), "{too_large}");
        }
        assert_eq!(code(&format!("{{{}b{}}}", "a{".repeat(MAX_DEPTH - 1), "}".repeat(MAX_DEPTH - 1))), None);
        assert_eq!(code(&format!("{{{}}}", "a ".repeat(MAX_ROOT_FIELDS))), None);
    }

    #[test]
    fn one_connection_test_fits_into_a_request() {
        let test = |alias: &str| format!("{alias}: testExportConfiguration(id: 1) {{ id }}");
        assert_eq!(code(&format!("mutation {{ {} }}", test("a"))), None);
        for name in TESTING_MUTATIONS {
            let twice = format!("mutation {{ a: {name}(x: 1) {{ id }} b: {name}(x: 2) {{ id }} }}");
            assert_eq!(code(&twice), Some("TOO_MANY_VERIFICATIONS"), "{name}");
        }
        let create = "createS3AccessKeyExportConfiguration(data: {}) { id }";
        for many in [
            format!("mutation {{ {} {} }}", test("a"), test("b")),
            format!("mutation {{ {} {create} }}", test("a")),
            format!("mutation {{ ...f }} fragment f on Mutation {{ {create} ... on Mutation {{ {} }} }}", test("a")),
        ] {
            assert_eq!(code(&many), Some("TOO_MANY_VERIFICATIONS"), "{many}");
        }
    }
}
