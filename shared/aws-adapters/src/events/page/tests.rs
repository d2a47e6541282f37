use domain::{block::encode_block, tenant::TenantId};

use super::*;

const STAMP: &str = "2026-11-22T01:02:03.004Z";

fn block(random: u128) -> StoredBlock {
    let stamp = Timestamp::parse(STAMP).unwrap();
    let tenant = TenantId::parse("acme").unwrap();
    encode_block(&tenant, BlockId::from_parts(stamp, random), b"{\"id\":\"1\"}\n", stamp, stamp).unwrap()
}

/// Returns the item of a block as `DynamoDB` writes it, with an attribute replaced by other text.
fn item(block: &StoredBlock, attribute: &str, replaced: Option<&str>) -> String {
    let members = [
        (PARTITION, r#"{"S":"acme#03"}"#.to_owned()),
        (BLOCK_ID, format!(r#"{{"S":"{}"}}"#, block.id)),
        (BLOCK, format!(r#"{{"B":"{}"}}"#, STANDARD.encode_to_string(&block.deflate))),
        (EVENT_COUNT, format!(r#"{{"N":"{}"}}"#, block.event_count)),
        (RAW_LENGTH, format!(r#"{{"N":"{}"}}"#, block.raw_length)),
        (CRC32, format!(r#"{{"N":"{}"}}"#, block.crc32)),
        (CRC32C, format!(r#"{{"N":"{}"}}"#, block.crc32c)),
        (OLDEST_EVENT_TIMESTAMP, format!(r#"{{"S":"{}"}}"#, block.oldest_event)),
        (NEWEST_EVENT_TIMESTAMP, format!(r#"{{"S":"{}"}}"#, block.newest_event)),
        (EXPIRES_AT, r#"{"N":"1796605323"}"#.to_owned()),
    ];
    let members = members.into_iter().filter_map(|(name, value)| {
        let value = if name == attribute { replaced? } else { &value };
        Some(format!(r#""{name}":{value}"#))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn page(items: &str) -> String {
    format!(r#"{{"Count":2,"Items":[{items}],"ScannedCount":2}}"#)
}

fn read(page: &str) -> Option<PageOfBlocks> {
    PageOfBlocks::read(page.as_bytes())
}

#[test]
fn the_blocks_of_a_page_are_read() {
    let blocks = vec![block(1), block(2)];
    let items = blocks.iter().map(|block| item(block, "", None)).collect::<Vec<_>>().join(",");
    let last = page(&items);
    assert_eq!(read(&last), Some(PageOfBlocks { blocks: blocks.clone(), is_last: true }));
    let key = r#""LastEvaluatedKey":{"blockId":{"S":"x"},"partition":{"S":"acme#03"}}"#;
    let other = last.replace("\"ScannedCount\"", &format!("{key},\"ScannedCount\""));
    assert_eq!(read(&other), Some(PageOfBlocks { blocks, is_last: false }));
    assert_eq!(
        read(r#"{"Count":0,"Items":[],"ScannedCount":0}"#),
        Some(PageOfBlocks { blocks: vec![], is_last: true })
    );
}

#[test]
fn a_page_that_ends_early_or_late_is_refused() {
    let page = page(&item(&block(1), "", None));
    for end in 0..page.len() {
        assert_eq!(read(&page[..end]), None, "{end}");
    }
    for rest in ["}", " ", "\n", "{}", "\0"] {
        assert_eq!(read(&format!("{page}{rest}")), None, "{rest:?}");
    }
}

#[test]
fn an_attribute_that_no_block_has_is_refused() {
    let block = block(1);
    let is_read = |attribute, value| read(&page(&item(&block, attribute, value))).is_some();
    for attribute in
        [BLOCK_ID, BLOCK, EVENT_COUNT, RAW_LENGTH, CRC32, CRC32C, OLDEST_EVENT_TIMESTAMP, NEWEST_EVENT_TIMESTAMP]
    {
        let bad = [None, Some(r#"{"N":"-1"}"#), Some(r#"{"S":"x"}"#), Some(r#"{"B":"-"}"#), Some("null"), Some("{}")];
        for value in bad {
            assert!(!is_read(attribute, value), "{attribute}: {value:?}");
        }
    }
    for attribute in [PARTITION, EXPIRES_AT] {
        assert!(is_read(attribute, None), "{attribute}");
        for value in [r#"{"B":"AA=="}"#, r#"{"M":{}}"#, r#"{"S":"x","N":"1"}"#, r#"{"S":"\u0061"}"#, r#"{"S":"ä"}"#] {
            assert!(!is_read(attribute, Some(value)), "{attribute}: {value}");
        }
    }
}

#[test]
fn another_spelling_is_refused() {
    let block = block(1);
    let page = page(&item(&block, "", None));
    let is_read = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        read(&page.replacen(from, to, 1)).is_some()
    };
    assert!(is_read("", ""));
    for (from, to) in [
        ("{", " {"),
        ("\":", "\": "),
        (",\"", ", \""),
        ("\"blockId\"", r#""block\u0049d""#),
        ("\"blockId\"", "\"blockID\""),
        ("\"crc32\":", "\"rcu\":{\"N\":\"1\"},\"crc32\":"),
        ("\"crc32\":", "\"crc32\":{\"N\":\"1\"},\"crc32\":"),
        ("\"partition\":", "\"partition\":{\"S\":\"a\"},\"partition\":"),
        ("\"Count\":2", "\"Count\":2,\"Count\":2"),
        ("\"Count\":2", "\"Count\":02"),
        ("\"Count\":2", "\"Count\":"),
        ("\"Count\":2", "\"Count\":-2"),
        ("\"Count\":2", "\"Count\":2.0"),
        ("\"Count\":2", "\"Count\":2147483648"),
        ("\"Count\":2", "\"Count\":null"),
        ("\"Count\":2", "\"Count\":2,"),
        ("\"Count\":2", "\"ConsumedCapacity\":{}"),
        ("\"Count\":2", "\"Items\":[]"),
        ("\"Count\":2", "\"LastEvaluatedKey\":{\"blockId\":{\"N\":\"1\"}}"),
        ("\"Count\":2", "\"LastEvaluatedKey\":{\"other\":{\"S\":\"1\"}}"),
        ("\"Items\"", "\"items\""),
        ("[{", "[,{"),
        ("}]", "},]"),
        ("[{", "[null,{"),
    ] {
        assert!(!is_read(from, to), "{from} as {to}");
    }
    assert_eq!(read(r#"{"Count":0,"ScannedCount":0}"#), None);
    assert_eq!(read("{}"), None);
    assert_eq!(read(""), None);
}
