//! The services that the housekeeper uses.

use aws_adapters::{
    archive::{records::ArchiveTable, segments::SegmentBucket},
    configurations::ConfigurationTable,
    digest_signer::KmsDigestSigner,
    events::eraser::EventEraser,
    notice_bus::NoticeBusClient,
    runs::RunTable,
    webhook_queue::WebhookQueueClient,
};
use function_runtime::lazy::Lazy;
use host::Machine;

use crate::settings::Settings;

/// The housekeeper with all services that it uses.
pub(crate) struct Housekeeper {
    pub(crate) configurations: ConfigurationTable,
    pub(crate) runs: RunTable,
    pub(crate) events: EventEraser,
    pub(crate) archive: ArchiveTable,
    pub(crate) segments: SegmentBucket,
    pub(crate) signer: Lazy<KmsDigestSigner>,
    pub(crate) bus: Lazy<NoticeBusClient>,
    pub(crate) webhooks: Lazy<WebhookQueueClient>,
    pub(crate) clock: Machine,
    pub(crate) settings: Settings,
}
