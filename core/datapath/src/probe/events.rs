//! What has been found and not been taken yet, in bounded room.

use super::observation::Observation;
use std::collections::HashSet;

/// So many wait before older findings of a server give way to its newest.
const LIMIT: usize = 65_536;

/// What the thread has to say of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The one given to `set`.
    pub id: u64,
    pub observation: Observation,
    /// How many times in a row the server has passed, or not passed for whatever reason.
    pub streak: u32,
    /// `Watch` said so, and will say so only once.
    pub watched: bool,
}

/// The oldest first. Nobody may be there to take them for long, so once there are many, each server keeps only its last.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Vec<Event>,
    /// What is left after that, at the least: it is not worth doing again before there are twice as many.
    kept: usize,
}

impl Events {
    /// Leaves `told` empty.
    pub(super) fn append(&mut self, told: &mut Vec<Event>) {
        self.waiting.append(told);
        if self.waiting.len() > LIMIT.max(2 * self.kept) {
            self.thin();
        }
    }

    pub(super) fn take(&mut self) -> Vec<Event> {
        self.kept = 0;
        std::mem::take(&mut self.waiting)
    }

    fn thin(&mut self) {
        let mut seen = HashSet::new();
        let mut newest: Vec<Event> = std::mem::take(&mut self.waiting);
        newest.reverse();
        newest.retain(|event| seen.insert(event.id));
        newest.reverse();
        self.kept = newest.len();
        self.waiting = newest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::observation::{Finding, Outcome, Times};

    fn event(id: u64, streak: u32) -> Event {
        let observation = Observation::new("a", Finding::new(Outcome::Serving, "ok"), None, Times::default());
        Event { id, observation, streak, watched: false }
    }

    #[test]
    fn few_are_all_told_in_order() {
        let mut events = Events::default();
        events.append(&mut vec![event(1, 1), event(2, 1)]);
        events.append(&mut vec![event(1, 2)]);
        let order: Vec<_> = events.take().iter().map(|event| (event.id, event.streak)).collect();
        assert_eq!(order, [(1, 1), (2, 1), (1, 2)]);
        assert!(events.take().is_empty());
    }

    #[test]
    fn when_nobody_takes_them_each_server_keeps_its_last() {
        let mut events = Events::default();
        for streak in 0..50_000 {
            events.append(&mut (0..3).map(|id| event(id, streak)).collect());
            assert!(events.waiting.len() <= LIMIT + 3);
        }
        let left = events.take();
        for id in 0..3 {
            assert_eq!(left.iter().rfind(|event| event.id == id).map(|event| event.streak), Some(49_999));
        }
    }

    #[test]
    fn more_servers_than_the_limit_keep_one_each() {
        let mut events = Events::default();
        let servers = LIMIT as u64 + 10;
        for streak in 0..3 {
            events.append(&mut (0..servers).map(|id| event(id, streak)).collect());
        }
        assert!(events.take().len() <= 2 * servers as usize);
    }
}
