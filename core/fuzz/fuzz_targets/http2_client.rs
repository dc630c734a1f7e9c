//! Bytes of a backend on the client's end of an HTTP/2 connection, with requests open on it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::http2::Role;
use tidegate_fuzz::choices::Choices;
use tidegate_fuzz::http2::check;

fuzz_target!(|frames: &[u8]| {
    check(Role::Client, frames, &Choices::of(frames, 0).cuts(frames.len()));
});
