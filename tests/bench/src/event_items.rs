//! The obvious table: an item for every event. Only the Python exporter reads it.

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use domain::{block::BlockId, tenant::TenantId, time::Timestamp};
use serde_json::{Value, json};

use crate::corpus::{CorpusFile, TENANT};

/// DynamoDB's limit of a page.
const PAGE_LENGTH: usize = 1_024 * 1_024;

/// The pages of a query of the tenant's whole partition, in order.
#[derive(Clone, Debug, Default)]
pub struct EventItems {
    pages: Vec<Bytes>,
}

impl EventItems {
    /// Loads the events of the first `blocks` blocks.
    pub fn load(file: &CorpusFile, blocks: u64) -> Result<Self> {
        let tenant = TenantId::parse(TENANT)?;
        let mut pages = Pages::default();
        for block in file.blocks()?.take(usize::try_from(blocks)?) {
            let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
            for line in block.inflate()?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                pages.push(std::str::from_utf8(line)?)?;
            }
        }
        pages.end_page(true);
        Ok(Self { pages: pages.finished })
    }

    /// Returns the page after the one that ended with this key.
    pub fn page(&self, exclusive_start_key: &Value) -> Vec<Bytes> {
        let number = exclusive_start_key["eventKey"]["S"].as_str().and_then(|number| number.parse::<usize>().ok());
        let page = self.pages.get(number.map_or(0, |number| number + 1));
        vec![page.cloned().unwrap_or_else(|| Bytes::from_static(br#"{"Count":0,"Items":[],"ScannedCount":0}"#))]
    }
}

#[derive(Default)]
struct Pages {
    finished: Vec<Bytes>,
    items: BytesMut,
    count: u64,
    length: usize,
}

impl Pages {
    /// Adds an event as key, time and text. Reading it as a map would cost the exporter several times as much.
    fn push(&mut self, event: &str) -> Result<()> {
        // The event, and about 100 bytes of keys and names.
        let length = event.len() + 100;
        if self.count > 0 && self.length + length > PAGE_LENGTH {
            self.end_page(false);
        }
        if self.count > 0 {
            self.items.put_u8(b',');
        }
        let fields: Value = serde_json::from_str(event)?;
        let item = json!({
            "tenantId": {"S": TENANT}, "eventKey": {"S": fields["id"]}, "eventTimestamp": {"S": fields["eventTimestamp"]},
            "event": {"S": event},
        });
        self.items.put_slice(item.to_string().as_bytes());
        self.count += 1;
        self.length += length;
        Ok(())
    }

    fn end_page(&mut self, is_last: bool) {
        let items = std::mem::take(&mut self.items);
        let (count, number) = (std::mem::take(&mut self.count), self.finished.len());
        self.length = 0;
        let mut page = BytesMut::with_capacity(items.len() + 256);
        page.put_slice(format!(r#"{{"Count":{count},"ScannedCount":{count},"Items":["#).as_bytes());
        page.put_slice(&items);
        let next = json!({"tenantId": {"S": TENANT}, "eventKey": {"S": number.to_string()}});
        let end = if is_last { "]}".to_owned() } else { format!(r#"],"LastEvaluatedKey":{next}}}"#) };
        page.put_slice(end.as_bytes());
        self.finished.push(page.freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_an_item_of_one_page() {
        let directory = std::env::temp_dir().join(format!("bench-{}-items", std::process::id()));
        let file = CorpusFile::prepare(&directory, 3_000, 100).unwrap();
        let items = EventItems::load(&file, u64::MAX).unwrap();
        std::fs::remove_dir_all(directory).unwrap();
        assert!(items.pages.len() > 1);
        let (mut count, mut start) = (0, Value::Null);
        loop {
            let page: Value = serde_json::from_slice(&items.page(&start).concat()).unwrap();
            let found = page["Items"].as_array().unwrap();
            assert!(found.iter().all(|item| item["event"]["S"].as_str().unwrap().starts_with("{\"id\":")));
            count += found.len();
            start = page["LastEvaluatedKey"].clone();
            if start.is_null() {
                break;
            }
        }
        assert_eq!(count, 3_000);
    }
}
