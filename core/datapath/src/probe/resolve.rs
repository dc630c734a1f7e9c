//! Looking up names, which the system's resolver does only by blocking.

use super::observation::{Finding, Outcome};
use super::plan::Host;
use crate::snapshot::Address;
use mio::Waker;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// getaddrinfo needs more than the least.
const STACK: usize = 512 << 10;

pub(super) type Answer = Result<Vec<Address>, Finding>;

/// One thread for each look-up that is under way; one that outlives its deadline is left to end by itself.
pub(super) struct Resolver {
    waker: Arc<Waker>,
    sender: Sender<(usize, u64, Answer)>,
    receiver: Receiver<(usize, u64, Answer)>,
}

impl Resolver {
    pub(super) fn new(waker: Waker) -> Resolver {
        let (sender, receiver) = channel();
        Resolver { waker: Arc::new(waker), sender, receiver }
    }

    /// At once what needs no look-up; else None, and the answer comes from `take` under `(index, attempt)`.
    pub(super) fn ask(&self, host: &Host, index: usize, attempt: u64) -> Option<Answer> {
        let (name, port) = match host {
            Host::Address(address) => return Some(Ok(vec![Address::Tcp(*address)])),
            Host::Unix(path) => return Some(Ok(vec![Address::Unix(path.clone())])),
            Host::Name(name, port) => (name.clone(), *port),
        };
        let (waker, sender) = (self.waker.clone(), self.sender.clone());
        let spawned = std::thread::Builder::new().name("resolve".into()).stack_size(STACK).spawn(move || {
            let _ = sender.send((index, attempt, look_up(&name, port)));
            let _ = waker.wake();
        });
        spawned.err().map(|error| Err(Finding::new(Outcome::Unreachable, format!("no thread to look up: {error}"))))
    }

    pub(super) fn take(&self) -> impl Iterator<Item = (usize, u64, Answer)> + '_ {
        self.receiver.try_iter()
    }
}

fn look_up(name: &str, port: u16) -> Answer {
    let unknown = |reason: String| Finding::new(Outcome::Unreachable, format!("no address for {name}: {reason}"));
    let found = (name, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let mut addresses: Vec<Address> = Vec::new();
    for address in found.map(Address::Tcp) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(unknown("none".into())) } else { Ok(addresses) }
}
