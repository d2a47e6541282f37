//! A bucket that does not answer the runs of two tenants, and a third tenant whose bucket in the Region of that name does.

use std::time::Duration;

use domain::{
    configuration::{
        S3Server, Site,
        bucket::BucketName,
        endpoint::EndpointUrl,
        region::{Region, SigningRegion},
    },
    connection::Connection,
    customer_server::CustomerServers,
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
    time::Timestamp,
};
use export_engine::{ports::PortError, run::RunOutcome};
use tokio::time::sleep;

use crate::{
    invocation::{RELEASE, invoke},
    ports::Ports,
    setup::{INTERVAL, create_calm_world, create_configurations, in_simulated_time, store_blocks},
};

/// The Region of AWS, and the region that requests to the server are signed for.
const REGION: &str = "us-east-1";

const SILENT_BUCKET: &str = "silent-bucket";

/// The place of the silent bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilentPlace {
    Region,
    Server,
}

/// What became of the runs.
#[derive(Clone, Debug)]
pub struct SilentOutcome {
    /// Those of the two tenants with the silent bucket.
    pub silent: Vec<Result<RunOutcome, PortError>>,
    /// That of the third tenant, afterwards.
    pub other: Result<RunOutcome, PortError>,
    /// The Regions that have a circuit.
    pub circuits: usize,
}

/// Runs the exports of the three tenants one after the other. `None`: the simulation could not start.
#[must_use]
pub fn run_silent(place: SilentPlace) -> Option<SilentOutcome> {
    in_simulated_time(play(place)).flatten()
}

async fn play(place: SilentPlace) -> Option<SilentOutcome> {
    let site = match place {
        SilentPlace::Region => Site::from(Region::parse(REGION).ok()?),
        SilentPlace::Server => Site::Server(S3Server {
            endpoint: EndpointUrl::parse_for(CustomerServers::Public, "https://s3.example.com:9000").ok()?,
            region: SigningRegion::parse(REGION).ok()?,
        }),
    };
    let world = create_calm_world(None);
    let keys = create_configurations(&world, 3);
    let [first, second, other] = &keys[..] else { return None };
    {
        let mut state = world.lock();
        let now = world.now();
        for configuration in state.configurations.values_mut() {
            configuration.start_from = now;
            configuration.connection = Connection::Success { checked_at: now };
            if configuration.key != *other {
                configuration.destination.bucket_name = BucketName::parse(SILENT_BUCKET).ok()?;
                configuration.destination.site = site.clone();
            }
        }
        state.bucket(SILENT_BUCKET).silent_until.0 = Timestamp::MAX;
    }
    for key in &keys {
        store_blocks(&world, key, 1);
    }
    sleep(INTERVAL.duration() + MIN_SETTLE).await;

    let through = world.now().saturating_sub(MIN_SETTLE);
    let ports = Ports::new(&world, Duration::ZERO, RELEASE);
    let run = async |key: &_, number| {
        invoke(&ports, &RunRequest::new(Clone::clone(key), through, RunTrigger::Schedule), number).await
    };
    let silent = vec![run(first, 1).await, run(second, 2).await];
    let other = run(other, 3).await;
    let circuits = world.lock().circuits.len();
    Some(SilentOutcome { silent, other, circuits })
}
