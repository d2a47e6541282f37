use domain::{
    configuration::{
        ConfigurationId, ExportConfiguration,
        access_key::{AccessKeyId, SealedSecret},
        test_support::with_role,
    },
    connection::{ConnectionErrorCode, ConnectionFailure},
    connection_test::{Candidate, CandidateIdentity, progress::ConnectionTestProgress},
};
use export_engine::test_support::{Behavior, ConnectionWorld};
use tokio::time::Instant;

use super::{progress::STORE_TIMEOUT, *};

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

/// Returns the times at which states were stored, and what they say: one letter for each check, and `.` at the end.
fn published(world: &ConnectionWorld) -> Vec<(Duration, String)> {
    let state = |progress: &ConnectionTestProgress| {
        let letters = progress.checks().map(|(_, has_passed)| if has_passed { 'P' } else { '-' });
        letters.chain(progress.has_ended().then_some('.')).collect()
    };
    world.seen().progress.iter().map(|(at, progress)| (*at, state(progress))).collect()
}

fn of(world: &ConnectionWorld) -> Verifier<ConnectionWorld, ConnectionWorld, ConnectionWorld> {
    Verifier { configurations: world.clone(), connector: world.clone(), clock: world.clone() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn each_state_is_published_while_the_test_runs_and_the_end_after_its_outcome() {
    let slow = ConnectionWorld { trying: seconds(4), storing: seconds(1), ..ConnectionWorld::new(Connection::Pending) };
    let outcome = of(&slow).handle(ConnectionTestRequest::Stored(slow.configuration.key.clone())).await.unwrap();
    assert!(matches!(outcome, Some(ConnectionTestOutcome::Success { .. })));
    let expected = [(0, "-PP----"), (4, "PPPPP--"), (5, "PPPPP--.")];
    assert_eq!(published(&slow), expected.map(|(at, state)| (seconds(at), state.to_owned())));
    assert_eq!(slow.start.elapsed(), seconds(5), "no step waits");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_published_as_what_it_would_become() {
    let world = ConnectionWorld { trying: seconds(1), ..ConnectionWorld::new(Connection::Pending) };
    let ExportConfiguration { key, version, destination, .. } = world.configuration.clone();
    let identity = CandidateIdentity::AccessKey {
        access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
        sealed_secret: SealedSecret::from_ciphertext(b"sealed".to_vec()),
    };
    let candidate = Box::new(Candidate { key, version, destination, identity });
    of(&world).handle(ConnectionTestRequest::Candidate { candidate }).await.unwrap();
    let [(_, first), .., (_, last)] = &published(&world)[..] else { unreachable!() };
    assert_eq!((first.as_str(), last.as_str()), ("-P----", "PPPP--."));
}

#[tokio::test(start_paused = true)]
async fn a_test_that_fails_or_can_not_be_made_is_published_as_ended() {
    let refused = || PortError::customer("s3:PutObject", ConnectionFailure::WriteDenied, "AccessDenied");
    let throttled = || PortError::transient("sts:AssumeRole", "Throttling");
    for (writing, connecting, last) in [
        (Behavior::Fails(refused), Behavior::Succeeds, "-PP----."),
        (Behavior::Hangs, Behavior::Succeeds, "-PP----."),
        (Behavior::Succeeds, Behavior::Fails(throttled), "-------."),
    ] {
        let world = ConnectionWorld { writing, connecting, ..ConnectionWorld::new(Connection::Pending) };
        drop(of(&world).handle(ConnectionTestRequest::Stored(world.configuration.key.clone())).await);
        assert_eq!(published(&world).pop().unwrap().1, last);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_is_published_as_ended_and_the_stored_connection_stays() {
    let refused = || PortError::customer("s3:PutObject", ConnectionFailure::WriteDenied, "AccessDenied");
    let works = with_role().connection;
    let world = ConnectionWorld { writing: Behavior::Fails(refused), ..ConnectionWorld::new(works) };
    let ExportConfiguration { key, version, destination, .. } = world.configuration.clone();
    let candidate = Box::new(Candidate { key, version, destination, identity: CandidateIdentity::Kept });
    let outcome = of(&world).handle(ConnectionTestRequest::Candidate { candidate }).await.unwrap();
    assert!(matches!(outcome, Some(ConnectionTestOutcome::Failed { .. })));
    assert_eq!(published(&world).pop().unwrap().1, "-PP----.");
    assert_eq!(world.seen().stored, []);
}

#[tokio::test(start_paused = true)]
async fn progress_that_can_not_be_stored_changes_nothing_and_delays_little() {
    let down = || PortError::transient("store progress", "InternalServerError");
    for (storing_progress, delay) in [
        ((Behavior::Fails(down), Duration::ZERO), Duration::ZERO),
        // The state that is being stored, and the end.
        ((Behavior::Hangs, Duration::ZERO), STORE_TIMEOUT * 2),
        ((Behavior::Succeeds, Duration::from_mins(1)), STORE_TIMEOUT * 2),
    ] {
        let world = ConnectionWorld { storing_progress, ..ConnectionWorld::new(Connection::Pending) };
        let outcome = of(&world).handle(ConnectionTestRequest::Stored(world.configuration.key.clone())).await.unwrap();
        assert!(matches!(outcome, Some(ConnectionTestOutcome::Success { .. })));
        assert_eq!(world.seen().stored.len(), 1);
        assert_eq!(published(&world), []);
        assert!(world.start.elapsed() <= delay, "{:?}", world.start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_progress_is_published_of_a_configuration_that_does_not_exist() {
    let world = ConnectionWorld::new(Connection::Pending);
    let mut key = with_role().key;
    key.configuration_id = ConfigurationId::parse("ffffffff-ffff-4fff-bfff-ffffffffffff").unwrap();
    assert_eq!(of(&world).handle(ConnectionTestRequest::Stored(key)).await.unwrap(), None);
    assert_eq!(published(&world), []);
}
