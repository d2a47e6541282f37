//! Exporting the objects of a window.

use std::pin::pin;

use bytes::BytesMut;
use domain::{
    block::BlockId,
    digest::DigestObject,
    export_run::{Checkpoint, Window},
};
use futures::future::{Either, select};

use super::{engine::EnginePorts, leased_run::LeasedRun};
use crate::{
    merge::BlockMerge,
    object::{Assembled, Assembly, DataObject},
    ports::{
        BlockSource, ConfigurationStore, Connector, ContentType, Encoders, IntentOutcome, ObjectSink, PortError,
        RunStore,
    },
    upload::{Upload, UploadShape, upload},
};

/// The outcome of exporting the objects of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectsOutcome {
    /// The window's digest can cover everything before this block. `None`: nothing was delivered.
    Ended(Option<BlockId>),
    /// The slice is over, or a person has edited the configuration.
    Interrupted,
}

/// The outcome of delivering objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Done,
    /// The objects were not all written: a person has edited the configuration.
    Edited,
}

impl<P: EnginePorts> LeasedRun<'_, P> {
    /// Brings the rest of the window into the bucket, assembling each object while the previous one is uploaded.
    ///
    /// Of a stale window, and of one whose encoding was edited, only announced objects are completed, because they may be in
    /// the bucket already.
    pub(super) async fn export_objects(
        &mut self,
        window: &mut Window,
        expected: &[BlockId],
    ) -> Result<ObjectsOutcome, PortError> {
        let range = window.remaining();
        if range.is_empty() {
            return Ok(ObjectsOutcome::Ended(Some(window.to)));
        }
        let is_stale = window.is_stale(self.grace_floor());
        let is_reencoded = window.plan.encoding() != Some(self.configuration.encoding());
        let intended = if is_stale || is_reencoded {
            let mut intents = self.engine.runs.intents(self.lease, window.id).await?;
            intents.retain(|intent| !window.checkpoint.covers(intent));
            if intents.is_empty() || !self.counts_all(window, &intents) {
                return Ok(ObjectsOutcome::Ended(window.delivered_end()));
            }
            Some(intents)
        } else {
            None
        };
        let plan = window.plan.clone();
        let sink = self.engine.connector.connect(self.configuration, &plan.destination).await?;
        let skipped = window.skipped.clone();
        // In a stale window, a missing block may have been deleted by time to live.
        let expected = if is_stale { &[] } else { expected };
        let mut blocks = BlockMerge::new(self.engine.blocks, &self.lease.key.tenant_id, range)
            .with_corrupt_blocks(&skipped, expected);
        let assembly =
            Assembly { key: &self.lease.key, plan: &plan, encoders: self.engine.encoders, skipped: &skipped };
        let mut ready = assembly.next(&mut blocks, window.checkpoint, None).await?;
        let mut spare = None;
        while let Some(assembled) = ready {
            let Assembled { objects, checkpoint } = &assembled;
            // One announced object may be in the bucket, so those of its blocks that were not announced yet follow it. No block of
            // several is deleted: `counts_all`.
            let is_abandoned = intended.as_ref().is_some_and(|intended| {
                !objects.iter().any(|object: &DataObject| intended.contains(&object.description))
            });
            if window.is_full_before(objects.len() as u64) || is_abandoned {
                return Ok(ObjectsOutcome::Ended(window.delivered_end()));
            }
            if self.is_slice_over() {
                return Ok(ObjectsOutcome::Interrupted);
            }
            let delivering = self.deliver(window, &assembled, &sink);
            let (delivered, following) = if intended.is_some() {
                // Little follows, if anything: it is not read before it is known to be needed.
                (delivering.await, Ok(None))
            } else {
                overlap(delivering, &assembly, &mut blocks, *checkpoint, spare.take()).await
            };
            if delivered? == Delivery::Edited {
                return Ok(ObjectsOutcome::Interrupted);
            }
            self.has_advanced = true;
            self.has_moved |= !objects.is_empty();
            spare = assembled.into_buffer();
            ready = match &intended {
                None => following?,
                Some(intended) if has_further(intended, window) => {
                    assembly.next(&mut blocks, window.checkpoint, spare.take()).await?
                }
                Some(_) => return Ok(ObjectsOutcome::Ended(window.delivered_end())),
            };
        }
        Ok(ObjectsOutcome::Ended(if is_stale { window.delivered_end() } else { Some(window.to) }))
    }

    /// Returns whether every block of announced objects is sure to be stored. One that was deleted meanwhile does not show in the
    /// bytes of an object that has none of its events: with a filter, or of another class.
    fn counts_all(&self, window: &Window, announced: &[DigestObject]) -> bool {
        let grace_floor = self.grace_floor();
        let shows_every_block = window.plan.filter.is_none() && window.plan.ocsf.is_none();
        shows_every_block || announced.iter().all(|object| object.first_block.timestamp() >= grace_floor)
    }

    /// Returns whether the configuration was edited or deleted since the run read it.
    pub(super) async fn is_edited(&self) -> Result<bool, PortError> {
        let current = self.engine.configurations.load(&self.configuration.key).await?;
        Ok(current.is_none_or(|current| current.version != self.configuration.version))
    }

    /// Writes the objects and stores the checkpoint, unless the configuration was edited.
    async fn deliver(
        &self,
        window: &mut Window,
        assembled: &Assembled,
        sink: &impl ObjectSink,
    ) -> Result<Delivery, PortError> {
        for object in &assembled.objects {
            if self.is_edited().await? {
                return Ok(Delivery::Edited);
            }
            self.deliver_object(window, object, sink).await?;
        }
        window.checkpoint = assembled.checkpoint;
        self.engine.runs.store_window(self.lease, window).await?;
        Ok(Delivery::Done)
    }

    /// Stores the intent, then writes the object. So after a crash at any point, the object either has an intent or was never
    /// written.
    async fn deliver_object(
        &self,
        window: &Window,
        object: &DataObject,
        sink: &impl ObjectSink,
    ) -> Result<(), PortError> {
        let (runs, lease, description) = (self.engine.runs, self.lease, &object.description);
        let intended = runs.store_intent(lease, window.id, description).await?;
        if let IntentOutcome::Known(earlier) = &intended
            && **earlier != *description
        {
            let detail = format!("{} would get other bytes than its intent says", description.key);
            return Err(PortError::internal("object differs from its intent", detail));
        }
        let part_size = usize::try_from(window.plan.limits.part_size).unwrap_or(usize::MAX);
        let outcome = upload(
            sink,
            self.engine.clock,
            &Upload {
                key: &description.key,
                bytes: object.bytes.clone(),
                sha256: description.sha256.0,
                shape: UploadShape::for_length(object.bytes.len(), part_size),
                content_type: ContentType::of(object.format),
            },
        )
        .await?;
        if intended == IntentOutcome::New {
            outcome.alarm_if_foreign(&lease.key, &description.key);
        }
        Ok(())
    }
}

/// Returns whether objects were announced that are not delivered.
fn has_further(intended: &[DigestObject], window: &Window) -> bool {
    intended.iter().any(|intent| !window.checkpoint.covers(intent))
}

/// Delivers objects and assembles the next ones, unless the delivery fails: nothing may follow an object that was not
/// delivered. A third one has no memory, but some of its pages do: they are read until the delivery ends.
async fn overlap(
    delivering: impl Future<Output = Result<Delivery, PortError>>,
    assembly: &Assembly<'_, impl Encoders>,
    blocks: &mut BlockMerge<'_, impl BlockSource>,
    delivered: Checkpoint,
    spare: Option<BytesMut>,
) -> (Result<Delivery, PortError>, Result<Option<Assembled>, PortError>) {
    let mut delivering = pin!(delivering);
    let assembled = match select(delivering.as_mut(), pin!(assembly.next(blocks, delivered, spare))).await {
        Either::Left((Ok(Delivery::Done), assembling)) => return (Ok(Delivery::Done), assembling.await),
        Either::Left((undelivered, _)) => return (undelivered, Ok(None)),
        Either::Right((assembled, _)) => assembled,
    };
    match select(delivering, pin!(blocks.read_ahead())).await {
        Either::Left((delivered, _)) => (delivered, assembled),
        Either::Right(((), delivering)) => (delivering.await, assembled),
    }
}
