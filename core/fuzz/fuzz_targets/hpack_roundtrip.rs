//! Any fields, coded for two peers that change the size of their tables, out of one dictionary: both get what was sent.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::rc::Rc;
use tidegate_datapath::http2::hpack::{Decoder, Dictionary, Encoder, Field, HeaderList, Limits};
use tidegate_fuzz::http2::DICTIONARY;

#[derive(Debug, Arbitrary)]
enum Step {
    /// The peer sends SETTINGS_HEADER_TABLE_SIZE.
    TableSize(u16),
    Block(Vec<Header>),
}

#[derive(Debug, Arbitrary)]
struct Header {
    name: u8,
    value: u8,
    padding: u16,
    literal: bool,
}

const NAMES: [&str; 12] = [
    ":path",
    ":status",
    "user-agent",
    "content-type",
    "authorization",
    "cookie",
    "x-request-id",
    "grpc-timeout",
    "x-a",
    "x-b",
    "te",
    "traceparent",
];
const UNLIMITED: Limits = Limits { bytes: usize::MAX, fields: usize::MAX };

struct Peer {
    encoder: Encoder,
    decoder: Decoder,
    judge: fluke_hpack::Decoder<'static>,
    /// What the table may hold; the encoder never uses more than 4096.
    size: usize,
    /// The smallest and the last size since the last block, where it changed.
    sizes: Option<(usize, usize)>,
}

impl Peer {
    fn new() -> Peer {
        Peer {
            encoder: Encoder::default(),
            decoder: Decoder::default(),
            judge: fluke_hpack::Decoder::new(),
            size: 4096,
            sizes: None,
        }
    }

    fn resize(&mut self, size: usize) {
        self.encoder.set_limit(size);
        let size = size.min(4096);
        if size == self.size {
            return;
        }
        self.size = size;
        self.sizes = Some(self.sizes.map_or((size, size), |(smallest, _)| (smallest.min(size), size)));
    }

    fn send(&mut self, dictionary: &Dictionary, list: &HeaderList) {
        let mut out = Vec::new();
        self.encoder.begin(&mut out);
        self.encoder.list(list, &mut out);
        let mut got = HeaderList::default();
        self.decoder.decode(dictionary, &out, UNLIMITED, &mut got).expect("our own coding");
        assert!(list.iter(dictionary).eq(got.iter(dictionary)), "another list arrived");
        let theirs = self.judge.decode(&out).expect("our own coding");
        let theirs = theirs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        assert!(list.iter(dictionary).eq(theirs), "the judge reads another list");
        if let Some((smallest, last)) = self.sizes.take() {
            assert_eq!(announced(&out), Some((smallest, last)), "not the peer's sizes");
        }
    }
}

/// The smallest and the last of the table sizes that a block begins with.
fn announced(block: &[u8]) -> Option<(usize, usize)> {
    let mut sizes = None;
    let mut at = 0;
    while let Some(&first) = block.get(at).filter(|first| **first & 0xe0 == 0x20) {
        let (mut size, mut shift) = (usize::from(first & 0x1f), 0);
        at += 1;
        while size >= 31 {
            let Some(&byte) = block.get(at) else { break };
            size += usize::from(byte & 0x7f) << shift;
            (at, shift) = (at + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        sizes = Some(sizes.map_or((size, size), |(smallest, _): (usize, usize)| (smallest.min(size), size)));
    }
    sizes
}

fn field(dictionary: &Dictionary, header: &Header) -> Rc<Field> {
    let name = NAMES[usize::from(header.name) % NAMES.len()];
    let value = format!("{:0>width$}", header.value, width = usize::from(header.padding % 1500));
    dictionary.field(name.as_bytes(), value.as_bytes())
}

fuzz_target!(|steps: Vec<Step>| DICTIONARY.with(|dictionary| run(dictionary, &steps)));

fn run(dictionary: &Dictionary, steps: &[Step]) {
    let mut peers = [Peer::new(), Peer::new()];
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::TableSize(size) => peers[number % 2].resize(usize::from(*size)),
            // The judge does not take a block of nothing but sizes.
            Step::Block(headers) if headers.is_empty() => {}
            Step::Block(headers) => {
                let mut list = HeaderList::default();
                for header in headers {
                    let field = field(dictionary, header);
                    match header.literal {
                        true => assert!(list.push(field.name(), field.value())),
                        false => list.push_shared(&field),
                    }
                }
                for peer in &mut peers {
                    peer.send(dictionary, &list);
                }
            }
        }
    }
}
