//! Bytes of a client on the server's end of an HTTP/2 connection. The preface is put in front of the input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::http2::{PREFACE, Role};
use tidegate_fuzz::choices::Choices;
use tidegate_fuzz::http2::check;

fuzz_target!(|frames: &[u8]| {
    let input = [PREFACE, frames].concat();
    check(Role::Server, &input, &Choices::of(frames, 0).cuts(input.len()));
});
