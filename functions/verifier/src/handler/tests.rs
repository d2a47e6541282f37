use domain::{
    configuration::{
        access_key::{AccessKeyId, SealedSecret},
        test_support::with_role,
    },
    connection::ConnectionErrorCode,
    connection_test::{Candidate, CandidateIdentity},
};
use export_engine::test_support::{Behavior, ConnectionWorld};
use tokio::time::Instant;

use super::*;

/// Returns a verifier whose customer's Region accepts connections and never responds, and whose table is slow.
fn verifier(connection: Connection, storing: Duration) -> Verifier<ConnectionWorld, ConnectionWorld, ConnectionWorld> {
    let world = ConnectionWorld { writing: Behavior::Hangs, storing, ..ConnectionWorld::new(connection) };
    Verifier { configurations: world.clone(), connector: world.clone(), clock: world }
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
    let stored = verifier.configurations.seen().stored.clone();
    assert_eq!(stored.iter().map(code).collect::<Vec<_>>(), [ConnectionErrorCode::EndpointUnreachable]);
    assert!(start.elapsed() < WORK_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_answered_before_leaves_the_status_as_it_is() {
    let verifier = verifier(with_role().connection, Duration::ZERO);
    let start = Instant::now();
    let error = verifier.handle(ConnectionTestRequest::Stored(with_role().key)).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection could not be tested");
    assert_eq!(verifier.configurations.seen().stored.len(), 0);
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
        assert_eq!(verifier.configurations.seen().stored.len(), 0);
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
