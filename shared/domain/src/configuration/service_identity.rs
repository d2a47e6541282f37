//! The AWS account that the service runs in.

use super::{
    arn::AccountId,
    region::{Partition, Region},
};

/// The account, partition and Region of the service. Customers' trust policies name the account, and no customer's role
/// may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    pub account: AccountId,
    pub partition: Partition,
    pub region: Region,
}
