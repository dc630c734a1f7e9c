//! Key documents: any text gives a bounded set of keys or an error, the same one each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::authenticate::algorithm::Algorithm;
use tidegate_datapath::authenticate::keys::{KeySet, MAX_KEYS, SignatureCheck};

fuzz_target!(|document: &str| {
    let Ok(keys) = KeySet::parse(document) else { return };
    assert!(keys.len() + keys.skipped().len() <= MAX_KEYS);
    let again = KeySet::parse(document).unwrap_or_else(|error| panic!("read once, then not: {error}"));
    assert!(keys.includes(&again) && again.includes(&keys));
    assert!(keys.includes(&KeySet::default()));
    for algorithm in Algorithm::ALL {
        for key_id in [None, Some("a")] {
            let check = keys.verify(algorithm, key_id, b"header.payload", &[0; 64]);
            assert_ne!(check, SignatureCheck::Valid, "a signature of zeroes passed as {}", algorithm.name());
        }
    }
});
