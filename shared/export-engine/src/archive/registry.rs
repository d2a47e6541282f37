//! Reading the whole registry.

use domain::archive::{ArchiveRow, RegistryShard};

use crate::ports::{ArchiveRecords, PortError};

/// The most pages of a shard of the registry. A page has 500 rows, so that a million tenants have room in each shard.
pub const MAX_ROW_PAGES: usize = 2_000;

/// Passes every row of the registry to `each`. It begins with a random shard. A row that can't be read stops no other.
///
/// # Errors
/// Those of reading a page, and an internal one if a shard has more than [`MAX_ROW_PAGES`].
pub async fn for_each_row(
    records: &impl ArchiveRecords,
    random: u128,
    mut each: impl FnMut(Result<ArchiveRow, PortError>),
) -> Result<(), PortError> {
    let mut shards: Vec<_> = RegistryShard::all().collect();
    let start = usize::try_from(random % shards.len().max(1) as u128).unwrap_or(0);
    shards.rotate_left(start);
    for shard in shards {
        read_shard(records, shard, &mut each).await?;
    }
    Ok(())
}

async fn read_shard(
    records: &impl ArchiveRecords,
    shard: RegistryShard,
    each: &mut impl FnMut(Result<ArchiveRow, PortError>),
) -> Result<(), PortError> {
    let mut after = None;
    for _ in 0..MAX_ROW_PAGES {
        let page = records.archive_rows(shard, after.as_ref()).await?;
        page.rows.into_iter().for_each(&mut *each);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
    Err(PortError::internal("read registry", format!("{shard} has more than {MAX_ROW_PAGES} pages of rows")))
}
