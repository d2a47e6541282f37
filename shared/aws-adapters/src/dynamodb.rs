//! The toolbox of everything that is stored in `DynamoDB`: items and their attributes, expressions, reads in pages,
//! conditional writes and transactions.

pub mod direct;
pub mod expression;
pub mod item;
pub mod read;
pub mod table;
pub mod transaction;
pub mod write;
