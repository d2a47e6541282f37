//! Buckets, the connections to them, and the key that signs digests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    configuration::{ConfigurationKey, Destination, ExportConfiguration},
    connection::ConnectionFailure,
    digest::Hex32,
    export_run::Checkpoint,
    object_key::MARKER_NAME,
    time::Timestamp,
};
use export_engine::ports::{
    Connected, Connector, ContentType, DigestSigner, ErrorKind, ObjectSink, PartOutcome, PortError, ProbeOutcome,
    ProbeWith, PutCondition, PutObject, PutOutcome, UploadId, UploadedPart,
};
use sha2::{Digest, Sha256};

use super::process::Ports;
use crate::bug::KnownBug;
use crate::world::{PendingUpload, Timestamp0, WorldState};

/// The lifetime of credentials. A process that was frozen meanwhile finds them expired.
const SESSION: Duration = Duration::from_mins(4);

/// The time after which a request without an answer fails.
const UNANSWERED: Duration = Duration::from_secs(10);

/// The fingerprint of the simulated signing key.
pub(crate) const FINGERPRINT: Hex32 = Hex32([7; 32]);
impl DigestSigner for Ports {
    async fn fingerprint(&self) -> Result<Hex32, PortError> {
        self.world.call("get public key", |_| Ok(FINGERPRINT)).await
    }

    /// Signs with a nonce: as with ECDSA, no two signatures are the same.
    async fn sign(&self, sha256: [u8; 32]) -> Result<Bytes, PortError> {
        let effect = move |state: &mut WorldState| {
            let nonce = state.chance.bits().to_be_bytes();
            Ok(Bytes::from([&sha256[..], &nonce[..]].concat()))
        };
        self.world.call("sign", effect).await
    }
}

/// A connection to a bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketSink {
    ports: Ports,
    bucket: String,
    /// The configuration that it was connected for, and the version that was read.
    configuration: (ConfigurationKey, u64),
    /// The true time at which its credentials expire.
    valid_until: Timestamp,
}

impl Connector for Ports {
    type Sink = BucketSink;

    async fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<BucketSink, PortError> {
        self.connect_new(configuration, destination).await.map(|connected| connected.sink)
    }

    async fn connect_new(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<Connected<BucketSink>, PortError> {
        let key = configuration.key.clone();
        let effect = move |state: &mut WorldState| {
            if state.untrusting.contains(&key) {
                return Err(PortError::customer("connect", ConnectionFailure::RoleNotAssumable, "403 AccessDenied"));
            }
            Ok(())
        };
        self.world.call("connect", effect).await?;
        let valid_until = self.world.now().saturating_add(SESSION);
        let bucket = destination.bucket_name.as_str().to_owned();
        let configuration = (edited_key(configuration), configuration.version);
        let sink = BucketSink { ports: self.clone(), bucket, configuration, valid_until };
        Ok(Connected { sink, user_arn: None })
    }

    async fn probe(
        &self,
        configuration: &ExportConfiguration,
        _with: ProbeWith,
    ) -> Result<Option<ProbeOutcome>, PortError> {
        let (key, version, world) = (edited_key(configuration), configuration.version, Arc::clone(&self.world));
        let effect = move |state: &mut WorldState| {
            if state.open_roles.get(&key).is_some_and(|until| world.now() < *until) {
                return Ok(Some(ProbeOutcome::Granted));
            }
            if let Some(connection) = state.connection_of(&key, version) {
                state.tested.insert((key.clone(), connection));
            }
            Ok(Some(ProbeOutcome::Refused))
        };
        self.world.call("probe", effect).await
    }
}

/// Returns the key of the configuration that people edit: that of a replay is its export's.
fn edited_key(configuration: &ExportConfiguration) -> ConfigurationKey {
    let ConfigurationKey { tenant_id, configuration_id } = configuration.key.clone();
    ConfigurationKey { tenant_id, configuration_id: configuration.replay_of.unwrap_or(configuration_id) }
}

impl BucketSink {
    fn write(&self, condition: PutCondition) -> ObjectWrite {
        let checkpoints = self.ports.has(KnownBug::CheckpointPerObject) && !self.ports.is_of_repair;
        ObjectWrite {
            configuration: self.configuration.clone(),
            is_of_repair: self.ports.is_of_repair,
            condition,
            checkpoints,
        }
    }

    /// Makes a request to S3. The bucket may be busy, deny access, or lose an upload.
    async fn request<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl Fn(&mut WorldState, &str) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (bucket, world, valid_until) = (self.bucket.clone(), Arc::clone(&self.ports.world), self.valid_until);
        let guarded = move |state: &mut WorldState| {
            let now = Timestamp0(world.now());
            if now.0 >= valid_until {
                return Err(PortError::transient(operation, "400 ExpiredToken"));
            }
            let status = state.bucket(&bucket);
            if now < status.busy_until {
                return Err(PortError::transient(operation, "503 SlowDown"));
            }
            if now < status.silent_until {
                return Err(PortError::customer(operation, ConnectionFailure::EndpointUnreachable, "no answer"));
            }
            if now < status.denied_until {
                return Err(PortError::customer(operation, ConnectionFailure::WriteDenied, "403 AccessDenied"));
            }
            effect(state, &bucket)
        };
        let latency = self.ports.world.lock().bucket_latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let answer = self.ports.world.call(operation, guarded).await;
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Customer(ConnectionFailure::EndpointUnreachable))
        {
            tokio::time::sleep(UNANSWERED).await;
        }
        answer
    }
}

/// A write of an object: its author and its condition.
#[derive(Clone, Debug)]
struct ObjectWrite {
    configuration: (ConfigurationKey, u64),
    is_of_repair: bool,
    condition: PutCondition,
    /// True if it stores the checkpoint as well, for [`KnownBug::CheckpointPerObject`].
    checkpoints: bool,
}

impl ObjectWrite {
    fn apply(&self, state: &mut WorldState, bucket: &str, key: &str, bytes: &Bytes) -> PutOutcome {
        let is_marker = key.ends_with(MARKER_NAME);
        let (configuration, read) = &self.configuration;
        if let Some(connection) = state.connection_of(configuration, *read)
            && !is_marker
            && !state.tested.contains(&(configuration.clone(), connection))
        {
            state.violations.push(format!("{bucket}/{key} was written over a connection that nobody has tested"));
        }
        match state.written.get(&(bucket.to_owned(), key.to_owned())) {
            Some(first) if first != bytes && !is_marker => {
                state.violations.push(format!("{bucket}/{key} was to be written with two contents"));
            }
            Some(_) => {}
            // The connection test of a repair may write the marker and its trial before any run does.
            None if self.is_of_repair && !is_marker => {
                state.violations.push(format!("a repair wrote {bucket}/{key}, which no export has delivered"));
            }
            None => {
                state.written.insert((bucket.to_owned(), key.to_owned()), bytes.clone());
            }
        }
        let objects = &mut state.bucket(bucket).objects;
        if self.condition == PutCondition::Absent && objects.contains_key(key) {
            return PutOutcome::Exists { was_repeated: false };
        }
        let before = objects.insert(key.to_owned(), bytes.clone());
        if self.checkpoints {
            store_checkpoint(state, &self.configuration.0, key);
        }
        state.repaired += u64::from(self.is_of_repair && before.as_ref() != Some(bytes));
        PutOutcome::Written
    }
}

/// Stores the checkpoint of the open window as if the object of this key were the only one of its blocks.
fn store_checkpoint(state: &mut WorldState, configuration: &ConfigurationKey, key: &str) {
    let Some(items) = state.runs.get_mut(configuration) else { return };
    let Some(window) = &mut items.state.window else { return };
    let announced = items.intents.iter().find(|((of, ..), object)| *of == window.id && object.key == key);
    let Some((_, object)) = announced.filter(|(_, object)| object.class.is_some()) else { return };
    let before = window.checkpoint;
    if before.last_block < Some(object.last_block) {
        window.checkpoint = Checkpoint {
            last_block: Some(object.last_block),
            objects: before.objects + 1,
            blocks: before.blocks + 1,
            events: before.events + object.events,
            raw_bytes: before.raw_bytes + object.raw_length,
            stored_bytes: before.stored_bytes + object.stored_length,
            ..before
        };
    }
}

impl ObjectSink for BucketSink {
    async fn put_object(&self, object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        let PutObject { key, bytes, sha256, condition, .. } = object;
        let (key, write) = (key.to_owned(), self.write(condition));
        let effect = move |state: &mut WorldState, bucket: &str| {
            if <[u8; 32]>::from(Sha256::digest(&bytes)) != sha256 {
                return Err(PortError::internal("put object", "BadDigest"));
            }
            if state.chance.happens(state.weather.upload_lost) {
                return Ok(PutOutcome::Lost);
            }
            Ok(write.apply(state, bucket, &key, &bytes))
        };
        self.request("put object", effect).await
    }

    async fn try_put(&self, _key: &str, _condition: PutCondition) -> Result<(), PortError> {
        self.request("try to put", |_, _| Ok(())).await
    }

    async fn create_multipart_upload(&self, key: &str, _type: ContentType) -> Result<UploadId, PortError> {
        let key = key.to_owned();
        let effect = move |state: &mut WorldState, bucket: &str| {
            let id = format!("upload-{}", state.number());
            let upload = PendingUpload { bucket: bucket.to_owned(), key: key.clone(), parts: BTreeMap::default() };
            state.uploads.insert(id.clone(), upload);
            Ok(UploadId(id))
        };
        self.request("create upload", effect).await
    }

    async fn upload_part(
        &self,
        _key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<PartOutcome, PortError> {
        let upload = upload.0.clone();
        let effect = move |state: &mut WorldState, _: &str| {
            if state.chance.happens(state.weather.upload_lost) {
                state.uploads.remove(&upload);
            }
            let Some(pending) = state.uploads.get_mut(&upload) else { return Ok(PartOutcome::Lost) };
            pending.parts.insert(number, bytes.clone());
            let part = UploadedPart { number, entity_tag: format!("{upload}-{number}"), sha256: String::new() };
            Ok(PartOutcome::Uploaded(part))
        };
        self.request("upload part", effect).await
    }

    async fn complete_multipart_upload(
        &self,
        _key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<PutOutcome, PortError> {
        let (upload, numbers) = (upload.0.clone(), parts.iter().map(|part| part.number).collect::<Vec<_>>());
        let write = self.write(PutCondition::Absent);
        let effect = move |state: &mut WorldState, _: &str| {
            let Some(pending) = state.uploads.get(&upload).cloned() else { return Ok(PutOutcome::Lost) };
            let chunks = numbers.iter().filter_map(|number| pending.parts.get(number));
            let bytes = Bytes::from(chunks.flat_map(|chunk| chunk.iter().copied()).collect::<Vec<u8>>());
            let answer = write.apply(state, &pending.bucket, &pending.key, &bytes);
            if answer == PutOutcome::Written {
                state.uploads.remove(&upload);
            }
            Ok(answer)
        };
        self.request("complete upload", effect).await
    }
}
