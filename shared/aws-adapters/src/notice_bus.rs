//! The bus of the stack: notices as events of `EventBridge`.

use aws_sdk_eventbridge::{Client, types::PutEventsRequestEntry};
use export_engine::ports::{NoticeBus, PortError, QueuedNotice};

use crate::error::port_error;

/// The `source` of the events.
pub const NOTICE_SOURCE: &str = "audit-export";

/// Sends notices to the bus: `detail-type` is the kind, `detail` the notice.
#[derive(Clone, Debug)]
pub struct NoticeBusClient {
    client: Client,
    bus_name: String,
}

impl NoticeBusClient {
    #[must_use]
    pub fn new(client: Client, bus_name: String) -> Self {
        Self { client, bus_name }
    }
}

impl NoticeBus for NoticeBusClient {
    /// The limit of one `PutEvents`. Ten notices have at most 160 KiB, and a request may have 1 MB:
    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.
    const MAX_BATCH: usize = 10;

    async fn send(&self, batch: &[&QueuedNotice]) -> Result<Vec<bool>, PortError> {
        let operation = "events:PutEvents";
        let entries = batch.iter().map(|notice| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus_name)
                .source(NOTICE_SOURCE)
                .detail_type(notice.kind.name())
                .detail(notice.body.as_str())
                .build()
        });
        let answer = self.client.put_events().set_entries(Some(entries.collect())).send().await;
        let answer = answer.map_err(|error| port_error(operation, error))?;
        let results = answer.entries();
        if let Some(refused) = results.iter().find(|result| result.event_id().is_none()) {
            let (code, message) =
                (refused.error_code().unwrap_or_default(), refused.error_message().unwrap_or_default());
            tracing::error!(failed = answer.failed_entry_count(), code, message, "the bus refused notices");
        }
        Ok(results.iter().map(|result| result.event_id().is_some()).collect())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::{operation::put_events::PutEventsOutput, types::PutEventsResultEntry};
    use aws_smithy_mocks::{mock, mock_client};
    use domain::{
        configuration::{ConfigurationId, ConfigurationKey},
        notice::NoticeKind,
        notice_id::NoticeId,
        tenant::TenantId,
        webhook::delivery::WebhookBody,
    };
    use export_engine::ports::QueuedNoticeKey;

    use super::*;

    #[tokio::test]
    async fn each_notice_is_an_event_and_each_refusal_is_known() {
        let tenant_id = TenantId::parse("acme").unwrap();
        let notice = QueuedNotice {
            key: QueuedNoticeKey {
                notice_id: NoticeId::parse("1").unwrap(),
                tenant_id: tenant_id.clone(),
                item: "notice#acme#1".to_owned(),
            },
            kind: NoticeKind::ExportFailing,
            configuration: ConfigurationKey { tenant_id, configuration_id: ConfigurationId::from_bytes([1; 16]) },
            body: WebhookBody::new("{\"version\":1}".to_owned()).unwrap(),
            receivers: Vec::new(),
            is_last_export: false,
            is_on_bus: false,
        };
        let rule = mock!(Client::put_events)
            .match_requests(|request| {
                request.entries().len() == 2
                    && request.entries().iter().all(|entry| {
                        entry.event_bus_name() == Some("bus")
                            && entry.source() == Some("audit-export")
                            && entry.detail_type() == Some("EXPORT_FAILING")
                            && entry.detail() == Some("{\"version\":1}")
                    })
            })
            .then_output(|| {
                let refused = PutEventsResultEntry::builder().error_code("ThrottlingException").build();
                let taken = PutEventsResultEntry::builder().event_id("event").build();
                PutEventsOutput::builder().failed_entry_count(1).entries(refused).entries(taken).build()
            });
        let bus = NoticeBusClient::new(mock_client!(aws_sdk_eventbridge, [&rule]), "bus".to_owned());
        assert_eq!(bus.send(&[&notice, &notice]).await, Ok(vec![false, true]));
    }
}
