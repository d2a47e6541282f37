//! The ports: the operations that the engine needs from stores, queues, keys and buckets, and the errors that they return.

mod archive;
mod blocks;
mod bucket;
mod configurations;
mod encoders;
mod erasure;
mod error;
mod notices;
mod repair;
mod replays;
mod runs;
mod schedule;
mod shared;
mod signer;

pub use self::{
    archive::{AdvanceOutcome, ArchiveRecords, ArchiveRowPage, BlockExpiry, RowPosition, SegmentStore},
    blocks::{BlockPage, BlockSource, StoredItem},
    bucket::{
        Connected, Connector, ContentType, ObjectSink, PartOutcome, ProbeOutcome, ProbeWith, PutCondition, PutObject,
        PutOutcome, UploadId, UploadedPart,
    },
    configurations::{ConfigurationStore, RunReport, TestProgressStore},
    encoders::{Encoders, ObjectEncoder},
    erasure::{ArchiveReset, EventPartition, ItemEraser, SegmentEraser},
    error::{ErrorKind, PortError, READ_BLOCK},
    notices::{
        NoticeBus, NoticeOutbox, NoticeRecords, QueuedNotice, QueuedNoticeKey, QueuedPage, RecordOutcome,
        WebhookDeliveries,
    },
    repair::{CompletedWindows, RepairStore},
    replays::{ReplayChange, ReplayStore},
    runs::{Completion, IntentOutcome, Lease, LeaseOutcome, LeaseRequest, ReleaseOutcome, RunStore, SealedDigest},
    schedule::{EnabledConfigurations, ObservedExports, RunQueue},
    shared::{
        CorruptBlocks, KnownCorruptBlock, RegionCircuits, SeenRetentions, ShareRequest, TenantShare, TenantShares,
    },
    signer::DigestSigner,
};
