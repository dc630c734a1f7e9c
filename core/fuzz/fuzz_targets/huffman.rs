//! Huffman-coded strings, against an independent decoder.

#![no_main]

use fluke_hpack::huffman::HuffmanDecoder;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tidegate_datapath::http2::hpack::huffman_decode;

thread_local! {
    static JUDGE: RefCell<HuffmanDecoder> = RefCell::new(HuffmanDecoder::new());
}

fuzz_target!(|coded: &[u8]| {
    let mut out = b"kept".to_vec();
    let ours = huffman_decode(coded, &mut out);
    let theirs = JUDGE.with(|judge| judge.borrow_mut().decode(coded));
    match ours {
        Ok(()) => {
            assert!(out.len() - 4 <= coded.len() * 8 / 5);
            let text = out.strip_prefix(b"kept").expect("what stood there before");
            assert_eq!(text, theirs.expect("good coding"));
        }
        Err(_) => assert!(theirs.is_err() || ends_in_whole_byte_of_padding(coded), "{theirs:?} refused"),
    }
});

/// RFC 7541, section 5.2, refuses padding of eight bits and more; the other decoder takes a whole byte of it.
fn ends_in_whole_byte_of_padding(coded: &[u8]) -> bool {
    coded.last() == Some(&0xff)
}
