//! A table and the client that asks for it.

use aws_sdk_dynamodb::Client;

#[derive(Clone, Debug)]
pub struct Table {
    pub client: Client,
    pub name: String,
}
