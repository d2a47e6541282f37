//! A DynamoDB client without the SDK, to measure what the SDK costs: it reads pages directly, without a map of attributes for
//! every item. Requests are not signed: a signature takes some 10 µs, and a page of a megabyte 10 ms.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header::HOST,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::stub::dynamodb::EVENTS;

/// The fields of a block that the limit needs.
pub struct Block {
    pub deflate: Vec<u8>,
    pub crc32: u32,
    pub raw_length: u64,
}

/// A client with one connection, for one shard.
pub struct LeanClient {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    last_evaluated_key: Option<LastKey<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastKey<'a> {
    #[serde(borrow)]
    block_id: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    block: Binary<'a>,
    #[serde(borrow)]
    crc32: Number<'a>,
    #[serde(borrow)]
    raw_length: Number<'a>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(rename = "S")]
    text: &'a str,
}

#[derive(Deserialize)]
struct Number<'a> {
    #[serde(rename = "N")]
    digits: &'a str,
}

#[derive(Deserialize)]
struct Binary<'a> {
    #[serde(rename = "B")]
    base64: &'a str,
}

impl LeanClient {
    /// Connects to an endpoint, which is `http://` and an address.
    pub async fn connect(endpoint: &str) -> Result<Self> {
        let host = endpoint.strip_prefix("http://").context("plain HTTP only")?.to_owned();
        let connection = TcpStream::connect(&host).await?;
        connection.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(connection)).await?;
        tokio::spawn(connection);
        Ok(Self { host, sender })
    }

    /// Returns the blocks of a page, and the ID of its last block unless it is the last page.
    pub async fn page(&mut self, partition: &str, first: &str, last: &str) -> Result<(Vec<Block>, Option<String>)> {
        let body = json!({
            "TableName": EVENTS, "ConsistentRead": true,
            "KeyConditionExpression": "#partition = :partition AND blockId BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#partition": "partition"},
            "ExpressionAttributeValues": {":partition": {"S": partition}, ":first": {"S": first}, ":last": {"S": last}},
        });
        let request = Request::post("/")
            .header(HOST, &self.host)
            .header("x-amz-target", "DynamoDB_20120810.Query")
            .header("content-type", "application/x-amz-json-1.0")
            .body(Full::new(body.to_string().into()))?;
        self.sender.ready().await?;
        let body = self.sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        let page: Page<'_> = serde_json::from_slice(&body)?;
        let blocks = page.items.iter().map(|item| {
            Ok(Block {
                deflate: STANDARD.decode(item.block.base64)?,
                crc32: item.crc32.digits.parse()?,
                raw_length: item.raw_length.digits.parse()?,
            })
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        Ok((blocks, page.last_evaluated_key.map(|key| key.block_id.text.to_owned())))
    }
}
