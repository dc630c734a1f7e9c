//! Requests of one worker that wait for a connection, counted over all workers.

use super::breakers::{Breakers, Kind};
use std::collections::VecDeque;
use std::sync::Arc;

/// An exchange: (slot, generation). It may have ended since.
pub(crate) type Waiting = (u32, u32);

pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    breakers: Arc<Breakers>,
}

impl Queue {
    pub(crate) fn new(breakers: Arc<Breakers>) -> Queue {
        Queue { waiting: VecDeque::new(), breakers }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn front(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// False: `most` wait already in this process.
    #[must_use]
    pub(crate) fn push_back(&mut self, waiting: Waiting, most: u32) -> bool {
        let counted = self.breakers.add(Kind::Pending, most);
        if counted {
            self.waiting.push_back(waiting);
        }
        counted
    }

    /// As `push_back`, before all others.
    #[must_use]
    pub(crate) fn push_front(&mut self, waiting: Waiting, most: u32) -> bool {
        let counted = self.breakers.add(Kind::Pending, most);
        if counted {
            self.waiting.push_front(waiting);
        }
        counted
    }

    pub(crate) fn pop_front(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front();
        self.breakers.give_back(Kind::Pending, u32::from(waiting.is_some()));
        waiting
    }

    /// All of them, in order; none waits any more.
    pub(crate) fn take(&mut self) -> VecDeque<Waiting> {
        self.breakers.give_back(Kind::Pending, self.waiting.len() as u32);
        std::mem::take(&mut self.waiting)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.take();
    }
}
