//! The two ways to send: closed loop and paced.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::{Caller, Client};
use crate::clock::{Timer, now};
use crate::tally::{CallFailure, Tally};

/// Open loop: calls that may be under way at once. One that is due beyond it has failed as `overrun`.
const MOST_IN_FLIGHT: u64 = 20_000;

/// Pause after a call that failed without a connection, so that a proxy that is gone is not called in a hot loop.
const PAUSE_NANOSECONDS: u64 = 200_000;

/// Keeps `streams` calls in flight on each client until `requests` have been sent or `end` (of [`now`]) has passed.
pub(crate) async fn closed(clients: &[Rc<Client>], streams: usize, requests: u64, end: u64, tally: Rc<RefCell<Tally>>) {
    let left = Rc::new(Cell::new(requests));
    let mut tasks = JoinSet::new();
    for client in clients {
        for _ in 0..streams {
            let (client, left, tally) = (Rc::clone(client), Rc::clone(&left), Rc::clone(&tally));
            tasks.spawn_local(async move {
                let mut caller = Caller::default();
                while left.get() > 0 {
                    let start = now();
                    if start >= end {
                        break;
                    }
                    left.set(left.get() - 1);
                    tally.borrow_mut().sent();
                    let outcome = client.call(&mut caller).await;
                    let unconnected = matches!(outcome, Err(CallFailure::Connect | CallFailure::Connection));
                    tally.borrow_mut().answered(outcome, start, now());
                    if unconnected {
                        pause().await;
                    }
                }
            });
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Sends call i at start + i / `rate`, rounded up to a multiple of `tick`, on the clients in turn; waits for all answers.
pub(crate) async fn paced(
    clients: &[Rc<Client>],
    rate: f64,
    tick: Duration,
    requests: u64,
    tally: Rc<RefCell<Tally>>,
) -> io::Result<()> {
    let timer = Timer::new()?;
    let tick = (tick.as_nanos() as u64).max(1);
    let in_flight = Rc::new(Cell::new(0));
    let mut tasks = JoinSet::new();
    let start = now();
    for index in 0..requests {
        let due = start + ((index as f64 * 1e9 / rate) as u64).next_multiple_of(tick);
        timer.until(due).await?;
        tally.borrow_mut().sent();
        if in_flight.get() >= MOST_IN_FLIGHT {
            tally.borrow_mut().answered(Err(CallFailure::Overrun), due, due);
            continue;
        }
        in_flight.set(in_flight.get() + 1);
        let client = Rc::clone(&clients[index as usize % clients.len()]);
        let (in_flight, tally) = (Rc::clone(&in_flight), Rc::clone(&tally));
        tasks.spawn_local(async move {
            let outcome = client.call(&mut Caller::default()).await;
            tally.borrow_mut().answered(outcome, due, now());
            in_flight.set(in_flight.get() - 1);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Makes `calls` calls on each client, on at most 64 clients at once, within `limit`; how many of them did not succeed.
pub(crate) async fn warm_up(clients: &[Rc<Client>], calls: u64, limit: Duration) -> u64 {
    const AT_ONCE: usize = 64;
    let next = Rc::new(Cell::new(0));
    let succeeded = Rc::new(Cell::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE.min(clients.len()) {
        let (clients, next, succeeded) = (clients.to_vec(), Rc::clone(&next), Rc::clone(&succeeded));
        tasks.spawn_local(async move {
            while let Some(client) = clients.get(next.get()) {
                next.set(next.get() + 1);
                let mut caller = Caller::default();
                for _ in 0..calls {
                    if client.call(&mut caller).await.is_ok() {
                        succeeded.set(succeeded.get() + 1);
                    }
                }
            }
        });
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(limit, all).await;
    calls * clients.len() as u64 - succeeded.get()
}

/// Repeats a call on `client` until it succeeds or `limit` has passed.
pub(crate) async fn until_served(client: &Client, limit: Duration) {
    let attempts = async {
        let mut caller = Caller::default();
        while client.call(&mut caller).await.is_err() {
            pause().await;
        }
    };
    let _ = tokio::time::timeout(limit, attempts).await;
}

async fn pause() {
    if let Ok(timer) = Timer::new() {
        let _ = timer.until(now() + PAUSE_NANOSECONDS).await;
    }
}
