//! The tables of an encoder and of the decoder at the other end stay the same, whatever is sent.

use proptest::prelude::*;
use std::rc::Rc;
use tidegate_datapath::http2::hpack::{DecodeError, Decoder, Dictionary, Encoder, Field, HeaderList, Limits};

const UNLIMITED: Limits = Limits { bytes: usize::MAX, fields: usize::MAX };
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// An encoder and the decoder that reads what it writes.
struct Pair {
    encoder: Encoder,
    decoder: Decoder,
    /// What the table may hold; the encoder never uses more than 4096.
    size: usize,
    /// What it was changed to since the last block.
    changes: Vec<usize>,
}

impl Default for Pair {
    fn default() -> Self {
        Pair { encoder: Encoder::default(), decoder: Decoder::default(), size: 4096, changes: Vec::new() }
    }
}

impl Pair {
    fn resize(&mut self, size: usize) {
        self.encoder.set_limit(size);
        let size = size.min(4096);
        if size != self.size {
            self.size = size;
            self.changes.push(size);
        }
    }

    fn send(&mut self, dictionary: &Dictionary, list: &HeaderList) -> (Vec<u8>, HeaderList) {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        self.encoder.list(list, &mut block);
        let mut got = HeaderList::default();
        self.decoder.decode(dictionary, &block, UNLIMITED, &mut got).expect("our own coding");
        (block, got)
    }
}

fn pairs(dictionary: &Dictionary, list: &HeaderList) -> Fields {
    list.iter(dictionary).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn list(fields: &[Rc<Field>]) -> HeaderList {
    let mut list = HeaderList::default();
    fields.iter().for_each(|field| list.push_shared(field));
    list
}

#[derive(Debug, Clone)]
enum Step {
    Resize { second: bool, size: usize },
    Block(Vec<(String, String, bool)>),
}

/// Few names and values, so that fields come again; some values so long that few of them fit.
fn header() -> impl Strategy<Value = (String, String, bool)> {
    let name = "(:path|:status|user-agent|authorization|cookie|x-request-id|content-type|x-[a-f]|te)";
    let value = prop_oneof![3 => "[a-d]{0,2}", 1 => "[x-z]{200,1200}", 1 => "y{2000,4200}"];
    (name, value, any::<bool>())
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0usize..200, 0usize..5_000, Just(4_096), Just(0), Just(65_536)];
    prop_oneof![
        1 => (any::<bool>(), size).prop_map(|(second, size)| Step::Resize { second, size }),
        4 => proptest::collection::vec(header(), 1..12).prop_map(Step::Block),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn two_peers_of_one_dictionary_get_what_was_sent(steps in proptest::collection::vec(step(), 1..60)) {
        let dictionary = Dictionary::new(7);
        let mut peers = [Pair::default(), Pair::default()];
        for step in steps {
            match step {
                Step::Resize { second, size } => peers[usize::from(second)].resize(size),
                Step::Block(headers) => {
                    let mut sent = HeaderList::default();
                    for (name, value, literal) in &headers {
                        if *literal {
                            prop_assert!(sent.push(name.as_bytes(), value.as_bytes()));
                        } else {
                            sent.push_shared(&dictionary.field(name.as_bytes(), value.as_bytes()));
                        }
                    }
                    for peer in &mut peers {
                        let (block, got) = peer.send(&dictionary, &sent);
                        prop_assert_eq!(pairs(&dictionary, &got), pairs(&dictionary, &sent));
                        prop_assert_eq!(announced(&block), expected_sizes(&std::mem::take(&mut peer.changes)));
                    }
                }
            }
        }
    }

    /// What one peer indexed goes to the next as it came, through a list that is read and not copied.
    #[test]
    fn a_relay_passes_on_what_it_got(blocks in proptest::collection::vec(proptest::collection::vec(header(), 1..8), 1..40)) {
        let dictionary = Dictionary::new(7);
        let (mut from, mut to) = (Pair::default(), Pair::default());
        for headers in blocks {
            let fields: Vec<_> =
                headers.iter().map(|(name, value, _)| dictionary.field(name.as_bytes(), value.as_bytes())).collect();
            let (_, between) = from.send(&dictionary, &list(&fields));
            let (_, got) = to.send(&dictionary, &between);
            prop_assert_eq!(pairs(&dictionary, &got), pairs(&dictionary, &list(&fields)));
        }
    }

    /// Any bytes: the decoder takes them or not, and says the same each time.
    #[test]
    fn any_block_is_taken_or_refused(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..5)) {
        let dictionary = Dictionary::new(7);
        let limits = Limits { bytes: 200, fields: 4 };
        let run = || {
            let mut decoder = Decoder::default();
            blocks.iter().map(|block| {
                let mut list = HeaderList::default();
                let result = decoder.decode(&dictionary, block, limits, &mut list);
                assert!(list.len() <= limits.fields);
                (result, pairs(&dictionary, &list))
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}

/// RFC 7541, section 4.2: the smallest since the last block, then the current one.
fn expected_sizes(changes: &[usize]) -> Vec<usize> {
    match (changes.iter().min(), changes.last()) {
        (Some(&smallest), Some(&last)) if smallest < last => vec![smallest, last],
        (_, Some(&last)) => vec![last],
        _ => Vec::new(),
    }
}

fn announced(block: &[u8]) -> Vec<usize> {
    let (mut sizes, mut at) = (Vec::new(), 0);
    while block.get(at).is_some_and(|first| first & 0xe0 == 0x20) {
        let mut size = usize::from(block[at] & 0x1f);
        at += 1;
        if size == 31 {
            for shift in (0..).step_by(7) {
                size += usize::from(block[at] & 0x7f) << shift;
                at += 1;
                if block[at - 1] & 0x80 == 0 {
                    break;
                }
            }
        }
        sizes.push(size);
    }
    sizes
}

#[test]
fn credentials_and_what_changes_each_time_enter_no_table() {
    let dictionary = Dictionary::new(7);
    for (name, never) in [("authorization", true), ("cookie", true), ("x-request-id", false), ("grpc-timeout", false)] {
        let mut pair = Pair::default();
        let field = dictionary.field(name.as_bytes(), b"secret");
        let (first, _) = pair.send(&dictionary, &list(std::slice::from_ref(&field)));
        let (second, _) = pair.send(&dictionary, &list(&[field]));
        assert_eq!(first, second, "{name} was indexed");
        assert_eq!(first[0] & 0xf0, if never { 0x10 } else { 0 }, "{name}");
    }
}

#[test]
fn what_was_never_to_be_indexed_stays_so() {
    let dictionary = Dictionary::new(7);
    let mut got = HeaderList::default();
    Decoder::default().decode(&dictionary, &[0x10, 1, b'a', 1, b'b'], UNLIMITED, &mut got).expect("good");
    assert_eq!(Pair::default().send(&dictionary, &got).0, [0x10, 1, b'a', 1, b'b']);
}

/// RFC 7541, section 4.4: a field larger than the table empties it and is no error.
#[test]
fn a_field_larger_than_the_table_empties_it() {
    let dictionary = Dictionary::new(7);
    let mut decoder = Decoder::default();
    let mut decode = |block: &[u8]| {
        let mut list = HeaderList::default();
        decoder.decode(&dictionary, block, UNLIMITED, &mut list).map(|()| pairs(&dictionary, &list))
    };
    assert_eq!(decode(&[0x40, 1, b'a', 1, b'b']).expect("good"), [(b"a".to_vec(), b"b".to_vec())]);
    assert_eq!(decode(&[0xbe]).expect("held"), [(b"a".to_vec(), b"b".to_vec())]);
    let large = [&[0x40, 1, b'a', 0x7f, 0x81, 0x1f][..], &[b'v'; 4096]].concat();
    assert_eq!(decode(&large).expect("no error")[0].1.len(), 4096);
    assert_eq!(decode(&[0xbe]), Err(DecodeError), "nothing is held");
}

#[test]
fn size_updates_come_first_and_keep_to_our_limit() {
    let dictionary = Dictionary::new(7);
    let decode = |block: &[u8]| Decoder::default().decode(&dictionary, block, UNLIMITED, &mut HeaderList::default());
    assert_eq!(decode(&[0x20, 0x3f, 0xe1, 0x1f, 0x88]), Ok(()));
    assert_eq!(decode(&[0x88, 0x20]), Err(DecodeError), "behind a field");
    assert_eq!(decode(&[0x3f, 0xe2, 0x1f]), Err(DecodeError), "4097");
}

/// RFC 7541, appendix C.3: three requests without Huffman coding, whose tables we mirror.
#[test]
fn the_examples_of_the_rfc() {
    let dictionary = Dictionary::new(7);
    let mut decoder = Decoder::default();
    let (plain, huffman): (&[u8], &[u8]) = (
        b"\x82\x86\x84\x41\x0fwww.example.com",
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
    );
    for block in [plain, b"\x82\x86\x84\xbe\x58\x08no-cache", b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value"] {
        let mut list = HeaderList::default();
        decoder.decode(&dictionary, block, UNLIMITED, &mut list).expect("the RFC's own");
        let authority = list.find(&dictionary, b":authority").expect("there");
        assert_eq!(list.value(&dictionary, authority), b"www.example.com");
        assert!(!list.is_malformed());
    }
    let mut list = HeaderList::default();
    Decoder::default().decode(&dictionary, huffman, UNLIMITED, &mut list).expect("the RFC's own");
    assert_eq!(list.value(&dictionary, 3), b"www.example.com");
}

#[test]
fn what_exceeds_the_limits_is_dropped_and_the_table_follows() {
    let dictionary = Dictionary::new(7);
    let mut decoder = Decoder::default();
    let limits = Limits { bytes: 100, fields: 2 };
    let mut list = HeaderList::default();
    let block = [0x88, 0x88, 0x40, 1, b'a', 1, b'b'];
    decoder.decode(&dictionary, &block, limits, &mut list).expect("no error");
    assert!(list.is_oversize());
    assert_eq!(list.len(), 2);
    list.clear();
    decoder.decode(&dictionary, &[0xbe], limits, &mut list).expect("held");
    assert_eq!(pairs(&dictionary, &list), [(b"a".to_vec(), b"b".to_vec())]);
    assert!(!list.is_oversize());
}

#[test]
fn forbidden_characters_are_marked() {
    let dictionary = Dictionary::new(7);
    for (name, value, bad) in [
        (&b"a"[..], &b"b"[..], false),
        (b"A", b"b", true),
        (b"", b"b", true),
        (b"a b", b"b", true),
        (b"a", b"b\r\nc: d", true),
        (b"a", b"\0", true),
        (b"a", b" b", true),
        (b"a", b"b\t", true),
        (b"a", b"\xff", false),
    ] {
        for first in [0x00, 0x10, 0x40] {
            let block = [&[first, name.len() as u8][..], name, &[value.len() as u8], value].concat();
            let mut list = HeaderList::default();
            Decoder::default().decode(&dictionary, &block, UNLIMITED, &mut list).expect("decodable");
            assert_eq!(list.is_malformed(), bad, "{name:?}: {value:?}");
        }
    }
}
