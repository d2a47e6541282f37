//! Processes that may die or freeze at any await.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// The fault of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doom {
    None,
    /// It stops at the poll of this number.
    Dies {
        at_poll: u64,
    },
    /// It stops, including its heartbeats, and continues after a pause.
    Freezes {
        at_poll: u64,
        pause: Duration,
    },
}

/// A future under a [`Doom`]. It returns `None` if the process died.
pub(crate) struct Process<F> {
    work: Pin<Box<F>>,
    doom: Doom,
    polls: u64,
    frozen: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Process<F> {
    pub(crate) fn new(work: F, doom: Doom) -> Self {
        Self { work: Box::pin(work), doom, polls: 0, frozen: None }
    }
}

impl<F: Future> Future for Process<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(pause) = &mut self.frozen {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.frozen = None;
        }
        self.polls += 1;
        match self.doom {
            Doom::Dies { at_poll } if self.polls >= at_poll => return Poll::Ready(None),
            Doom::Freezes { at_poll, pause } if self.polls == at_poll => {
                let mut pause = Box::pin(sleep(pause));
                // Poll it once, so that its end wakes this task.
                if pause.as_mut().poll(context).is_pending() {
                    self.frozen = Some(pause);
                    return Poll::Pending;
                }
            }
            Doom::None | Doom::Dies { .. } | Doom::Freezes { .. } => {}
        }
        self.work.as_mut().poll(context).map(Some)
    }
}
