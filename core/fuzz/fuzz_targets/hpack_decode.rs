//! Header blocks from a hostile peer, each behind one byte of its length: decoded, coded for another peer, decoded there.
//! An independent decoder reads both the original and what we made of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::http2::hpack::{Decoder, Dictionary, Encoder, HeaderList, Limits};
use tidegate_fuzz::http2::DICTIONARY;

const LIMITS: Limits = Limits { bytes: 4096, fields: 40 };
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn fields(dictionary: &Dictionary, list: &HeaderList) -> Fields {
    list.iter(dictionary).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fuzz_target!(|input: &[u8]| DICTIONARY.with(|dictionary| run(dictionary, input)));

fn run(dictionary: &Dictionary, input: &[u8]) {
    let (mut from_peer, mut to_peer, mut far_end) = (Decoder::default(), Encoder::default(), Decoder::default());
    let (mut judge, mut far_judge) = (fluke_hpack::Decoder::new(), fluke_hpack::Decoder::new());
    let mut judged = true;
    let mut rest = input;
    while let Some((&length, after)) = rest.split_first() {
        let (block, after) = after.split_at(after.len().min(length as usize));
        rest = after;
        let mut list = HeaderList::default();
        if from_peer.decode(dictionary, block, LIMITS, &mut list).is_err() {
            return;
        }
        assert!(list.len() <= LIMITS.fields);
        assert!(list.footprint() <= 64 * (LIMITS.bytes + 256), "a list of {} bytes", list.footprint());
        let mut out = Vec::new();
        to_peer.begin(&mut out);
        to_peer.list(&list, &mut out);
        let mut copy = HeaderList::default();
        far_end.decode(dictionary, &out, Limits { bytes: usize::MAX, fields: usize::MAX }, &mut copy).expect("our own");
        let ours = fields(dictionary, &list);
        assert_eq!(ours, fields(dictionary, &copy));
        assert_eq!(far_judge.decode(&out).expect("our own"), ours);
        if !judged {
            continue;
        }
        match judge.decode(block) {
            Ok(theirs) if !list.is_oversize() => assert_eq!(theirs, ours),
            Ok(_) => {}
            Err(_) => judged = false,
        }
    }
}
