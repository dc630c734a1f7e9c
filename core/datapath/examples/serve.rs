//! Serves a snapshot document without Python: `serve SNAPSHOT.json [WORKERS]`.

#![allow(clippy::disallowed_macros)]

use tidegate_datapath::gateway::Gateway;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: serve SNAPSHOT.json [WORKERS]")?;
    let workers = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let gateway = Gateway::start(workers)?;
    gateway.apply(&std::fs::read(path)?).map_err(|error| format!("{error:?}"))?;
    for (name, address) in gateway.listeners() {
        println!("{name} {address}");
    }
    loop {
        std::thread::park();
    }
}
