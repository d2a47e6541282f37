use std::sync::Mutex;

use bytes::Bytes;
use domain::{
    configuration::{
        ConfigurationKey, Destination, ExportConfiguration,
        access_key::{AccessKeyId, SealedSecret},
        arn::UserArn,
        test_support::with_role,
    },
    connection::ConnectionErrorCode,
    connection_test::{Candidate, CandidateIdentity},
    time::Timestamp,
};
use export_engine::ports::{
    Connected, ContentType, ObjectSink, PartOutcome, ProbeOutcome, ProbeWith, PutObject, PutOutcome, RunReport,
    UploadId, UploadedPart,
};
use tokio::time::Instant;

use super::*;

/// A Region that accepts connections and never responds.
#[derive(Clone, Copy, Debug)]
struct SilentRegion;

impl ObjectSink for SilentRegion {
    async fn put_object(&self, _object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        std::future::pending().await
    }

    async fn try_put(&self, _key: &str) -> Result<(), PortError> {
        std::future::pending().await
    }

    async fn create_multipart_upload(&self, _key: &str, _type: ContentType) -> Result<UploadId, PortError> {
        std::future::pending().await
    }

    async fn upload_part(
        &self,
        _key: &str,
        _upload: &UploadId,
        _number: u16,
        _bytes: Bytes,
    ) -> Result<PartOutcome, PortError> {
        std::future::pending().await
    }

    async fn complete_multipart_upload(
        &self,
        _key: &str,
        _upload: &UploadId,
        _parts: &[UploadedPart],
    ) -> Result<PutOutcome, PortError> {
        std::future::pending().await
    }
}

impl Connector for SilentRegion {
    type Sink = Self;

    async fn connect_new(
        &self,
        _configuration: &ExportConfiguration,
        _destination: &Destination,
    ) -> Result<Connected<Self>, PortError> {
        Ok(Connected { sink: *self, user_arn: None })
    }

    async fn connect(
        &self,
        _configuration: &ExportConfiguration,
        _destination: &Destination,
    ) -> Result<Self, PortError> {
        Ok(*self)
    }

    async fn probe(
        &self,
        _configuration: &ExportConfiguration,
        _with: ProbeWith,
    ) -> Result<Option<ProbeOutcome>, PortError> {
        Ok(Some(ProbeOutcome::Refused))
    }
}

/// A table with one configuration and a slow write.
#[derive(Debug)]
struct Table {
    configuration: ExportConfiguration,
    storing: Duration,
    stored: Mutex<Vec<Connection>>,
}

impl ConfigurationStore for Table {
    async fn load(&self, _key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        Ok(Some(self.configuration.clone()))
    }

    async fn store_connection(
        &self,
        _key: &ConfigurationKey,
        _version: u64,
        connection: &Connection,
        _user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        tokio::time::sleep(self.storing).await;
        self.stored.lock().unwrap().push(connection.clone());
        Ok(())
    }

    async fn store_run(&self, _key: &ConfigurationKey, _report: &RunReport) -> Result<(), PortError> {
        unreachable!("a test is no run")
    }

    async fn clear_run_request(
        &self,
        _key: &ConfigurationKey,
        _through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        unreachable!("a test is no run")
    }
}

#[derive(Clone, Copy, Debug)]
struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

impl Timer for TestClock {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn verifier(connection: Connection, storing: Duration) -> Verifier<Table, SilentRegion, TestClock> {
    let configuration = ExportConfiguration { connection, ..with_role() };
    Verifier {
        configurations: Table { configuration, storing, stored: Mutex::default() },
        connector: SilentRegion,
        clock: TestClock,
    }
}

fn code(connection: &Connection) -> ConnectionErrorCode {
    connection.error().unwrap().code
}

#[tokio::test(start_paused = true)]
async fn a_region_that_never_answered_is_stored_as_unreachable_in_time() {
    let storing = WORK_BUDGET.saturating_sub(TEST_BUDGET + Duration::from_millis(1));
    let verifier = verifier(Connection::Pending, storing);
    let start = Instant::now();
    let response = verifier.handle(ConnectionTestRequest::Stored(with_role().key)).await.unwrap().unwrap();
    assert_eq!(code(&Connection::from(response)), ConnectionErrorCode::EndpointUnreachable);
    let stored = verifier.configurations.stored.lock().unwrap().clone();
    assert_eq!(stored.iter().map(code).collect::<Vec<_>>(), [ConnectionErrorCode::EndpointUnreachable]);
    assert!(start.elapsed() < WORK_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_answered_before_leaves_the_status_as_it_is() {
    let verifier = verifier(with_role().connection, Duration::ZERO);
    let start = Instant::now();
    let error = verifier.handle(ConnectionTestRequest::Stored(with_role().key)).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection could not be tested");
    assert_eq!(verifier.configurations.stored.lock().unwrap().len(), 0);
    assert_eq!(start.elapsed(), TEST_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_for_a_region_that_never_answered_is_refused_and_not_stored() {
    let access_key = CandidateIdentity::AccessKey {
        access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
        sealed_secret: SealedSecret::from_ciphertext(b"sealed".to_vec()),
    };
    for identity in [access_key, CandidateIdentity::Kept] {
        let verifier = verifier(Connection::Pending, Duration::ZERO);
        let stored = with_role();
        let candidate =
            Candidate { key: stored.key, version: stored.version, destination: stored.destination, identity };
        let request = ConnectionTestRequest::Candidate { candidate: Box::new(candidate) };
        let response = verifier.handle(request).await.unwrap().unwrap();
        assert_eq!(code(&Connection::from(response)), ConnectionErrorCode::EndpointUnreachable);
        assert_eq!(verifier.configurations.stored.lock().unwrap().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_ends_the_work_before_the_function_ends() {
    let verifier = verifier(Connection::Pending, Duration::from_mins(1));
    let start = Instant::now();
    let error = verifier.handle(ConnectionTestRequest::Stored(with_role().key)).await.unwrap_err();
    assert_eq!(error.to_string(), "the test took too long");
    assert_eq!(start.elapsed(), WORK_BUDGET);
}
