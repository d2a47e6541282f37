//! The notes of an erasure, so that it can be continued and its statement be read again.

use bytes::Bytes;
use domain::{erasure::Erasure, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    item::{attribute, key},
    table::RunTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, binary, extended, json, number, seconds, take_optional_bytes},
    write::{Write, WriteOutcome},
};

/// No tenant's ID has this prefix, so that no tenant's partition can be one of these.
const NOTES_PREFIX: &str = "#erasure#";
const NOTES_ITEM: &str = "notes";

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    pub bytes: Bytes,
    /// ASN.1 DER.
    pub signature: Bytes,
}

/// The stored notes of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredErasure {
    pub erasure: Erasure,
    /// `None`: the erasure is not complete.
    pub statement: Option<SignedStatement>,
    /// Raised with each write: of two concurrent erasures of a tenant one is refused.
    pub revision: u64,
}

/// The outcome of storing the notes of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotesOutcome {
    Stored,
    /// Another invocation has written them since they were read.
    ChangedSince,
}

impl RunTable {
    /// Returns the notes of the erasure of a tenant.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_erasure(&self, tenant: &TenantId) -> Result<Option<StoredErasure>, PortError> {
        let found = self.table.get("dynamodb:GetItem (erasure)", notes_key(tenant)).await?;
        Ok(found.map(read_notes).transpose()?)
    }

    /// Replaces the notes that were read before, until `expires_at`, and raises their revision.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn store_erasure(
        &self,
        stored: &mut StoredErasure,
        expires_at: Timestamp,
    ) -> Result<NotesOutcome, PortError> {
        let operation = "dynamodb:PutItem (erasure)";
        let next = stored.revision + 1;
        let erasure = json(operation, &stored.erasure)?;
        let mut notes = extended(
            notes_key(&stored.erasure.tenant_id),
            [
                (attribute::ERASURE, erasure.clone()),
                (attribute::REVISION, number(next)),
                (attribute::EXPIRES_AT, seconds(expires_at)),
            ],
        );
        if let Some(SignedStatement { bytes, signature }) = &stored.statement {
            let signed = [(attribute::STATEMENT, binary(bytes)), (attribute::SIGNATURE, binary(signature))];
            notes = extended(notes, signed);
        }
        // Equal notes are those of a request that was repeated.
        let is_current =
            Expression::new("attribute_not_exists(#revision) OR #revision = :current OR #erasure = :erasure")
                .with("current", number(stored.revision))
                .with("erasure", erasure);
        match self.table.write(operation, Write::put(notes).when(is_current)).await? {
            WriteOutcome::Done(_) => {
                stored.revision = next;
                Ok(NotesOutcome::Stored)
            }
            WriteOutcome::Refused(_) => Ok(NotesOutcome::ChangedSince),
        }
    }
}

fn notes_key(tenant: &TenantId) -> Item {
    key(format_args!("{NOTES_PREFIX}{tenant}"), NOTES_ITEM)
}

fn read_notes(mut found: Item) -> Result<StoredErasure, MalformedItem> {
    let erasure = Attributes(&found).json(attribute::ERASURE)?;
    let revision = Attributes(&found).number(attribute::REVISION)?;
    let bytes = take_optional_bytes(&mut found, attribute::STATEMENT)?;
    let signature = take_optional_bytes(&mut found, attribute::SIGNATURE)?;
    let statement = match (bytes, signature) {
        (Some(bytes), Some(signature)) => Some(SignedStatement { bytes, signature }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(MalformedItem { attribute: attribute::SIGNATURE }),
    };
    Ok(StoredErasure { erasure, statement, revision })
}
