use std::sync::Mutex;

use domain::{
    configuration::{arn::AccountId, test_support::on_server},
    connection::{AwsErrorCode, ConnectionError, ConnectionErrorCode, Refusal},
};

use super::*;
use crate::{
    alarms::RUN_FAILED,
    ports::PutOutcome,
    test_support::{
        Behavior::{Fails, Hangs},
        ConnectionWorld as World,
    },
};

/// Notes the steps of tests.
#[derive(Debug, Default)]
struct Watch(Mutex<Vec<Option<TestStep>>>);

impl TestWatch for Watch {
    fn started(&self, _configuration: &ExportConfiguration) {
        self.0.lock().unwrap().push(None);
    }

    fn reached(&self, step: TestStep) {
        self.0.lock().unwrap().push(Some(step));
    }
}

const BUDGET: Duration = Duration::from_secs(15);

impl World {
    fn test(&self) -> ConnectionTest<'_, Self, Self, Self> {
        ConnectionTest { configurations: self, connector: self, clock: self }
    }

    /// Tests the connection as the verifier does.
    async fn run(&self) -> Result<Connection, PortError> {
        self.test().run(&self.configuration.key, BUDGET, &()).await.map(Option::unwrap)
    }

    /// Tests the connection as a run does once a day.
    async fn check(&self) -> Result<(), PortError> {
        self.test().check(&self.configuration).await
    }
}

fn unreachable_endpoint() -> PortError {
    PortError::customer("sts:AssumeRole", ConnectionFailure::EndpointUnreachable, "no such host")
}

fn not_assumable() -> PortError {
    PortError::customer("sts:AssumeRole", ConnectionFailure::RoleNotAssumable, "AccessDenied")
}

fn throttled() -> PortError {
    PortError::transient("sts:AssumeRole (probe)", "Throttling: Rate exceeded")
}

fn success() -> Connection {
    Connection::Success { checked_at: Timestamp::EPOCH }
}

fn failed(code: ConnectionErrorCode) -> Connection {
    Connection::Failed {
        checked_at: Timestamp::EPOCH,
        error: ConnectionError { code, message: "Change it.".to_owned() },
    }
}

/// Returns a world for each place where AWS may not answer: STS, the probe, S3.
fn silences(connection: &Connection) -> [World; 4] {
    let world = || World::new(connection.clone());
    [
        World { connecting: Fails(unreachable_endpoint), ..world() },
        World { probing: Fails(unreachable_endpoint), ..world() },
        World { writing: Fails(unreachable_endpoint), ..world() },
        World { writing: Hangs, ..world() },
    ]
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_answered_before_is_out_of_order_and_the_status_stays() {
    for connection in [success(), failed(ConnectionErrorCode::WriteDenied)] {
        for world in silences(&connection) {
            let error = world.run().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unreachable, "{world:?}");
            assert_eq!(world.seen().stored, [], "{world:?}");
            if !matches!(world.writing, Hangs) {
                assert_eq!(world.check().await.unwrap_err().kind, ErrorKind::Unreachable, "{world:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_answered_is_the_customers_to_correct() {
    for connection in [Connection::Pending, failed(ConnectionErrorCode::EndpointUnreachable)] {
        for world in silences(&connection) {
            let outcome = world.run().await.unwrap();
            assert_eq!(outcome.error().unwrap().code, ConnectionErrorCode::EndpointUnreachable, "{world:?}");
            assert_eq!(world.seen().stored, [outcome], "{world:?}");
            if !matches!(world.writing, Hangs) {
                let error = world.check().await.unwrap_err();
                assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{world:?}");
            }
        }
    }
}

fn not_offered() -> PortError {
    PortError::customer("sts:AssumeRole", ConnectionFailure::RegionNotOffered, "InvalidClientTokenId")
}

#[tokio::test(start_paused = true)]
async fn a_region_that_the_service_never_offered_is_refused_and_raises_no_alarm() {
    let refused = failed(ConnectionErrorCode::RegionDisabled);
    for connection in [Connection::Pending, failed(ConnectionErrorCode::WriteDenied), refused] {
        let world = World { connecting: Fails(not_offered), ..World::new(connection) };
        let outcome = world.run().await.unwrap();
        let error = outcome.error().unwrap();
        assert_eq!(error.code, ConnectionErrorCode::RegionDisabled);
        assert!(error.message.contains("ask the operator of the service to enable eu-west-1"), "{}", error.message);
        // What a run makes of it.
        let error = world.check().await.unwrap_err();
        assert_eq!((error.alarm(), error), (None, not_offered()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_the_service_lost_is_the_operators() {
    let world = World { connecting: Fails(not_offered), ..World::new(success()) };
    assert_eq!(world.run().await.unwrap_err().kind, ErrorKind::Internal);
    let error = world.check().await.unwrap_err();
    assert_eq!((&error.kind, error.alarm()), (&ErrorKind::Internal, Some(RUN_FAILED)));
    assert_eq!(world.seen().stored, [], "the status stays");
}

#[tokio::test(start_paused = true)]
async fn another_failure_is_the_customers_whatever_was_before() {
    let refusal = || PortError::customer("s3:PutObject", ConnectionFailure::WriteDenied, "AccessDenied");
    for connection in [Connection::Pending, success()] {
        let world = World { writing: Fails(refusal), ..World::new(connection) };
        assert_eq!(world.check().await, Err(refusal()));
        let outcome = world.run().await.unwrap();
        assert_eq!(outcome.error().unwrap().code, ConnectionErrorCode::WriteDenied);
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_ends_with_its_budget() {
    let world = World { writing: Hangs, ..World::new(Connection::Pending) };
    world.run().await.unwrap();
    assert_eq!(world.start.elapsed(), BUDGET);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_can_not_be_assumed_yet_is_tried_again_for_ten_seconds() {
    let world = World { connecting: Fails(not_assumable), ..World::new(Connection::Pending) };
    let outcome = world.run().await.unwrap();
    assert_eq!(outcome.error().unwrap().code, ConnectionErrorCode::RoleNotAssumable);
    assert_eq!(world.seen().connected_at, [0, 2, 4, 6, 8, 10].map(Duration::from_secs));
    assert_eq!(world.seen().probes, 0, "a refused probe proves nothing before the role can be assumed");

    // The change in IAM arrives in between.
    let assumable_after = Some(Duration::from_secs(5));
    let world = World { connecting: Fails(not_assumable), assumable_after, ..World::new(Connection::Pending) };
    assert_eq!(world.run().await.unwrap(), Connection::Success { checked_at: world.now() });
    assert_eq!(world.seen().connected_at, [0, 2, 4, 6].map(Duration::from_secs));
    assert_eq!(world.seen().probes, 2);

    // No other error is retried.
    let world = World { connecting: Fails(throttled), ..World::new(Connection::Pending) };
    assert_eq!(world.run().await, Err(throttled()));
    assert_eq!(world.seen().connected_at, [Duration::ZERO]);
}

/// The marker is not replaced: Object Lock would keep every version, and a policy may demand conditional writes.
#[tokio::test(start_paused = true)]
async fn a_marker_that_is_there_passes() {
    let there = PutOutcome::Exists { was_repeated: false };
    let world = World { marker: there, ..World::new(Connection::Pending) };
    assert_eq!(world.run().await.unwrap(), Connection::Success { checked_at: world.now() });
    assert_eq!(world.check().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_aborts_each_write_is_the_customers_and_one_that_loses_them_is_not() {
    let refusal = Refusal { code: AwsErrorCode::parse("OperationAborted"), status: 409 };
    let aborted = PortError::customer("s3:PutObject", ConnectionFailure::BucketRefused(refusal), "OperationAborted");
    let world = World { marker: PutOutcome::Aborted(aborted), ..World::new(Connection::Pending) };
    let error = world.run().await.unwrap().error().unwrap().clone();
    assert_eq!(error.code, ConnectionErrorCode::BucketRefused);
    assert!(error.message.contains("`OperationAborted` (HTTP 409)"), "{}", error.message);

    let world = World { marker: PutOutcome::Lost, ..World::new(Connection::Pending) };
    assert_eq!(world.run().await.unwrap_err().kind, ErrorKind::Transient);
}

/// Across accounts, a write needs a permission that it does not need within one account.
#[tokio::test(start_paused = true)]
async fn the_permission_to_add_depends_on_the_owner_of_the_bucket() {
    let refusal = || PortError::customer("s3:PutObject", ConnectionFailure::WriteDenied, "AccessDenied");
    for (owner, names_acl) in [("222222222222", false), ("333333333333", true)] {
        let mut world = World { writing: Fails(refusal), ..World::new(Connection::Pending) };
        world.configuration.destination.expected_bucket_owner = AccountId::parse(owner).ok();
        let error = world.run().await.unwrap().error().unwrap().clone();
        assert_eq!(error.message.contains("s3:PutObjectAcl"), names_acl, "{}", error.message);
    }
}

/// Throttling is neither a refusal nor a grant.
#[tokio::test(start_paused = true)]
async fn a_probe_that_was_throttled_says_nothing() {
    for connection in [Connection::Pending, success()] {
        let world = World { probing: Fails(throttled), ..World::new(connection) };
        assert_eq!(world.run().await, Err(throttled()));
        assert_eq!(world.check().await, Err(throttled()));
        assert_eq!(world.seen().stored, []);
    }
}

/// A world with a bucket on another server than AWS's.
fn server_world(connection: Connection) -> World {
    let configuration = ExportConfiguration { connection: connection.clone(), ..on_server() };
    World { configuration, ..World::new(connection) }
}

/// AWS is known to have what other servers have to prove.
#[tokio::test(start_paused = true)]
async fn a_server_has_to_take_the_marker_and_to_refuse_a_second_one_and_wrong_bytes() {
    let marker = ("audit/log/.immuta.export.log".to_owned(), PutCondition::Replace);
    let trial = |world: &World| {
        let ExportConfiguration { key, destination, .. } = &world.configuration;
        (object_key::trials(destination, key.configuration_id).remove(0), PutCondition::Absent)
    };
    let world = server_world(Connection::Pending);
    assert_eq!(world.run().await.unwrap(), Connection::Success { checked_at: world.now() });
    assert_eq!(world.seen().trials, [marker.clone(), trial(&world)]);
    let world = World::new(Connection::Pending);
    world.run().await.unwrap();
    assert_eq!(world.seen().trials, [trial(&world)], "in AWS");

    let code = async |world: World| {
        let outcome = world.run().await.unwrap();
        (outcome.error().unwrap().code, world.seen().trials.len())
    };
    let world = World { marker_again: PutOutcome::Written, ..server_world(Connection::Pending) };
    assert_eq!(code(world).await, (ConnectionErrorCode::ConditionalWritesMissing, 0));
    let accepted = || PortError::customer("s3:PutObject (trial)", ConnectionFailure::ChecksumsMissing, "accepted");
    let world = World { replacing: Fails(accepted), ..server_world(Connection::Pending) };
    assert_eq!(code(world).await, (ConnectionErrorCode::ChecksumsMissing, 1));

    // Nothing that a full disk refuses counts as the refusal of wrong bytes.
    let full = || {
        let refusal = Refusal { code: AwsErrorCode::parse("InternalError"), status: 500 };
        PortError::customer("s3:PutObject", ConnectionFailure::BucketRefused(refusal), "InternalError")
    };
    let world = World { storing_marker: Fails(full), ..server_world(success()) };
    assert_eq!(code(world).await, (ConnectionErrorCode::BucketRefused, 0));

    let world = World { marker_again: PutOutcome::Lost, ..server_world(Connection::Pending) };
    assert_eq!(world.run().await.unwrap_err().kind, ErrorKind::Transient);
}

/// Only its owner can end the outage of a server.
#[tokio::test(start_paused = true)]
async fn the_outage_of_a_server_is_the_customers_even_if_it_answered_before() {
    for connection in [Connection::Pending, success()] {
        let world = World { writing: Fails(unreachable_endpoint), ..server_world(connection) };
        let outcome = world.run().await.unwrap();
        assert_eq!(outcome.error().unwrap().code, ConnectionErrorCode::EndpointUnreachable);
        let error = world.check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable));
    }
}

/// Returns the steps that a test of this world reached, after its start.
async fn steps(world: World) -> Vec<TestStep> {
    let watch = Watch::default();
    drop(world.test().run(&world.configuration.key, BUDGET, &watch).await);
    let seen = watch.0.into_inner().unwrap();
    let (first, steps) = seen.split_first().unwrap();
    assert_eq!(*first, None, "the start");
    steps.iter().map(|step| step.unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_each_step_that_succeeded_and_none_that_did_not() {
    use TestStep::{BucketAnswered, Connected, Probed};

    let world = || World::new(Connection::Pending);
    // Once for the trial and once for the marker.
    assert_eq!(steps(world()).await, [Connected, Probed, BucketAnswered, BucketAnswered]);
    assert_eq!(steps(server_world(Connection::Pending)).await, [Connected, Probed, BucketAnswered]);

    assert_eq!(steps(World { connecting: Fails(not_assumable), ..world() }).await, []);
    assert_eq!(steps(World { probing: Fails(throttled), ..world() }).await, [Connected]);
    let refusal = || PortError::customer("s3:PutObject", ConnectionFailure::WriteDenied, "AccessDenied");
    assert_eq!(steps(World { writing: Fails(refusal), ..world() }).await, [Connected, Probed]);
    assert_eq!(steps(World { writing: Hangs, ..world() }).await, [Connected, Probed]);
    let full = World { storing_marker: Fails(refusal), ..server_world(Connection::Pending) };
    assert_eq!(steps(full).await, [Connected, Probed]);
}
