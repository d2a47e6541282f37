use proptest::prelude::*;

use super::*;

fn scanned(json: &str) -> Result<Value<'_>, Malformed> {
    let mut scanner = Scanner::new(json.as_bytes());
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

#[test]
fn what_json_is_and_what_not() {
    for valid in [
        "0",
        "-0.5e+10",
        "1E5",
        "true",
        "null",
        "\"\"",
        "\"a\\\"\\u00e9\\ud800\"",
        "{}",
        "[]",
        "[[],{}]",
        "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"\"}",
        " [ 1 , { \"a\" : 2 } ] ",
        "\"\u{7f}é😀\"",
        "123456789012345678901234567890",
    ] {
        assert!(scanned(valid).is_ok(), "{valid}");
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(valid).is_ok(), "{valid}");
    }
    for malformed in [
        "",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "nul",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "{",
        "{}}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{a:1}",
        "{\"a\":1]",
        "[1}",
        "1 1",
        "\u{feff}1",
        "\"\\",
        "\"\\u",
        "NaN",
        "[\"a\" \"b\"]",
        "'a'",
        "\0",
        "1\0",
    ] {
        assert!(scanned(malformed).is_err(), "{malformed}");
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn a_text_is_unescaped() {
    let mut scratch = Vec::new();
    let value = scanned(r#""\"\\\/\b\f\n\r\té\u00E9\ud83d\ude00\u0000""#).unwrap();
    assert_eq!(value.text(&mut scratch), Some("\"\\/\u{8}\u{c}\n\r\téé😀\0".as_bytes()));
    for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx""#, r#""\ude00\ud83d""#] {
        assert_eq!(scanned(half).unwrap().text(&mut scratch), None, "{half}");
    }
    assert_eq!(scanned("17").unwrap().text(&mut scratch), None);
    assert_eq!(scanned("-1.50").unwrap().text_or_digits(&mut scratch), Some(b"-1.50".as_slice()));
    assert_eq!(scanned("true").unwrap().text_or_digits(&mut scratch), None);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scanned(&nested(MAX_NESTING_DEPTH)).is_ok());
    assert!(scanned(&nested(MAX_NESTING_DEPTH + 2)).is_err());
}

proptest! {
    #[test]
    fn the_first_special_byte_is_found(text in prop::collection::vec(prop_oneof![0x1E..0x24_u8, 0x5B..0x5E_u8, any::<u8>()], 0..40)) {
        let expected = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(text.len());
        prop_assert_eq!(plain_length(&text), expected);
    }

    #[test]
    fn serde_agrees_on_what_json_is(json in r#"[\[\]{}:,"\\aunl0-9e.+\- ]{0,14}"#) {
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
        prop_assert_eq!(scanned(&json).is_ok(), is_json, "{}", json);
    }
}
