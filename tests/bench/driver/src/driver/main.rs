//! Load driver of the benchmarks.

mod client;
mod clock;
mod connect;
mod expect;
mod headers;
mod load;
mod options;
mod tally;

use std::cell::RefCell;
use std::io::{self, BufRead};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use tokio::sync::watch;

use crate::client::Client;
use crate::clock::now;
use crate::connect::Connector;
use crate::headers::{Requests, Tokens};
use crate::options::Options;
use crate::tally::Tally;

/// How far the run has come; every thread follows it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    Connect,
    Measure,
    Close,
}

enum Report {
    Warm { failed: u64 },
    Done { tally: Box<Tally>, seconds: f64 },
    Failed(String),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    if options.connections == 0 || options.streams == 0 || options.threads == 0 {
        return Err("--connections, --streams and --threads are at least 1".into());
    }
    let threads = options.threads.min(options.connections);
    let (reports, received) = mpsc::channel();
    let (phase, phases) = watch::channel(Phase::Connect);
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (options, reports, phases) = (options.clone(), reports.clone(), phases.clone());
            std::thread::spawn(move || {
                if let Err(error) = worker(&options, thread, threads, &reports, phases) {
                    let _ = reports.send(Report::Failed(error.to_string()));
                }
            })
        })
        .collect();
    drop(reports);

    let mut warm = 0;
    let mut warm_up_failed = 0;
    let mut total = Tally::default();
    let mut elapsed = 0.0_f64;
    let mut stdin = io::stdin().lock();
    let mut line = String::new();
    for report in &received {
        match report {
            Report::Failed(error) => return Err(error.into()),
            Report::Warm { failed } => {
                warm += 1;
                warm_up_failed += failed;
                if warm == threads {
                    if options.gate {
                        println!("ready");
                        stdin.read_line(&mut line)?;
                    }
                    phase.send_replace(Phase::Measure);
                }
            }
            Report::Done { tally, seconds } => {
                total.merge(&tally);
                elapsed = elapsed.max(seconds);
                warm -= 1;
                if warm == 0 {
                    println!("{}", total.result(elapsed, warm_up_failed));
                    if options.gate {
                        while stdin.read_line(&mut line)? > 0 {}
                    }
                    phase.send_replace(Phase::Close);
                }
            }
        }
    }
    for worker in workers {
        worker.join().map_err(|_| "a thread panicked")?;
    }
    Ok(())
}

fn worker(
    options: &Options,
    thread: usize,
    threads: usize,
    reports: &mpsc::Sender<Report>,
    mut phases: watch::Receiver<Phase>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let connector = Connector::new(options)?;
        let tokens = Tokens::read(options, thread, threads)?;
        let clients: Vec<Rc<Client>> = (thread..options.connections)
            .step_by(threads)
            .map(|connection| {
                let requests = Requests::new(options, tokens.as_ref(), connection);
                Rc::new(Client::new(options, connector.clone(), requests, connection))
            })
            .collect();
        if let (Some(wait), Some(first)) = (options.wait, clients.first()) {
            load::until_served(first, wait).await;
        }
        let failed = load::warm_up(&clients, options.warm_up, options.limit).await;
        let _ = reports.send(Report::Warm { failed });
        let _ = phases.wait_for(|phase| *phase >= Phase::Measure).await;

        let share = |whole: u64| whole / threads as u64 + u64::from((thread as u64) < whole % threads as u64);
        let requests = share(options.requests);
        let start = now();
        let tally = Rc::new(RefCell::new(Tally::new(start, options.window.as_nanos() as u64)));
        let run = async {
            match options.rate {
                Some(rate) => {
                    load::paced(&clients, rate / threads as f64, options.tick, requests, Rc::clone(&tally)).await
                }
                None => {
                    let end = start + options.duration.unwrap_or(Duration::from_secs(86_400)).as_nanos() as u64;
                    load::closed(&clients, options.streams, requests, end, Rc::clone(&tally)).await;
                    Ok(())
                }
            }
        };
        if let Ok(outcome) = tokio::time::timeout(options.limit, run).await {
            outcome?;
        }
        let seconds = (now() - start) as f64 / 1e9;
        let mut tally = tally.take();
        tally.close();
        let _ = reports.send(Report::Done { tally: Box::new(tally), seconds });
        let _ = phases.wait_for(|phase| *phase >= Phase::Close).await;
        Ok(())
    })
}
