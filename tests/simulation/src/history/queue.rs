//! The queues, and the event source mappings that take their messages.

use std::{sync::Arc, time::Duration};

use domain::time::Timestamp;
use tokio::{sync::Semaphore, time::sleep};

use crate::world::{Message, World, WorldState};

/// The time for which the queue hides a message whose process died before it set that time.
pub(super) const VISIBILITY: Duration = Duration::from_mins(36);

/// The wait of the event source mapping after it found no message.
const POLL: Duration = Duration::from_secs(30);

/// The concurrent processes.
const MAX_PROCESSES: usize = 3;

/// Starts a process for each message that `take` returns.
pub(super) async fn consume<R, F>(
    world: Arc<World>,
    take: impl Fn(&mut WorldState, Timestamp) -> Option<Message<R>>,
    invoke: impl Fn(Arc<World>, Message<R>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_PROCESSES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let now = world.now();
        let Some(message) = take(&mut world.lock(), now) else {
            drop(slot);
            sleep(POLL).await;
            continue;
        };
        let process = invoke(Arc::clone(&world), message);
        tokio::spawn(async move {
            process.await;
            drop(slot);
        });
    }
}

/// Takes a visible message and hides it. A standard queue has no order.
pub(super) fn take_message<R: Clone>(
    state: &mut WorldState,
    queue: impl Fn(&mut WorldState) -> &mut Vec<Message<R>>,
    now: Timestamp,
) -> Option<Message<R>> {
    let weather = state.weather;
    // Delivery is at least once: now and then, a hidden message is delivered again.
    let sees_hidden = state.chance.happens(weather.message_doubles);
    let is_visible = |message: &Message<R>| message.visible_at <= now || (sees_hidden && message.tries > 0);
    let count = queue(state).iter().filter(|message| is_visible(message)).count();
    let pick = usize::try_from(state.chance.below(count as u64)).unwrap_or(0);
    let message = queue(state).iter_mut().filter(|message| is_visible(message)).nth(pick)?;
    message.tries += 1;
    message.visible_at = now.saturating_add(VISIBILITY);
    Some(message.clone())
}
