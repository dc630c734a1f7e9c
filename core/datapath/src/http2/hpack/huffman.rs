//! Huffman decoding (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive in the order of their symbols, so the lengths alone give the
//! whole table. Decoding takes 12 bits at a time; one look-up yields up to two symbols, since the common ones have five to
//! seven bits. Codes longer than 12 bits are found by their numeric order. Nothing is coded by us: a relay gains nothing
//! by it.

use std::sync::LazyLock;

const WINDOW: u32 = 12;

/// Bits of each symbol's code, in the order of the symbols; the last is the end of the string, which never occurs.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The coding is wrong: a code of the end of the string, or padding that is not fewer than eight one-bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HuffmanError;

/// What the next 12 bits hold. `count` 0: a code longer than that.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The first in the low byte.
    symbols: u16,
    count: u8,
    /// Of all symbols together.
    bits: u8,
}

struct Table {
    entries: Box<[Entry; 1 << WINDOW]>,
    /// Long codes in numeric order: (code at the top of 32 bits, bits, symbol).
    long: Vec<(u32, u8, u16)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The code of each symbol, right-aligned.
fn codes() -> [u32; 257] {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|&symbol| LENGTHS[symbol]);
    let (mut codes, mut next, mut length) = ([0; 257], 0u32, LENGTHS[order[0]]);
    for symbol in order {
        next <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        codes[symbol] = next;
        next = next.wrapping_add(1);
    }
    codes
}

impl Table {
    fn build() -> Table {
        let mut single = vec![(0u8, 0u8); 1 << WINDOW];
        let mut long = Vec::new();
        for (symbol, &code) in codes().iter().enumerate() {
            let bits = u32::from(LENGTHS[symbol]);
            if bits <= WINDOW {
                let spare = WINDOW - bits;
                let start = (code as usize) << spare;
                single[start..start + (1 << spare)].fill((bits as u8, symbol as u8));
            } else {
                long.push((code << (32 - bits), bits as u8, symbol as u16));
            }
        }
        long.sort_unstable();
        let mut entries = Box::new([Entry::default(); 1 << WINDOW]);
        for (window, entry) in entries.iter_mut().enumerate() {
            let (first_bits, first) = single[window];
            if first_bits == 0 {
                continue;
            }
            let (second_bits, second) = single[(window << first_bits) & ((1 << WINDOW) - 1)];
            let both = second_bits != 0 && u32::from(first_bits + second_bits) <= WINDOW;
            *entry = Entry {
                symbols: u16::from_le_bytes([first, if both { second } else { 0 }]),
                count: if both { 2 } else { 1 },
                bits: if both { first_bits + second_bits } else { first_bits },
            };
        }
        Table { entries, long }
    }

    /// The long code at the top of `bits`: (its length, its symbol).
    fn long_code(&self, bits: u64) -> Result<(u32, u8), HuffmanError> {
        let top = (bits >> 32) as u32;
        let at = self.long.partition_point(|code| code.0 <= top);
        let &(_, length, symbol) = at.checked_sub(1).and_then(|at| self.long.get(at)).ok_or(HuffmanError)?;
        u8::try_from(symbol).map(|symbol| (u32::from(length), symbol)).map_err(|_| HuffmanError)
    }
}

/// Appends the decoded bytes of `coded` to `out`; what was appended is undefined after an error.
///
/// What follows the last byte is taken for one-bits, as the padding is: they are the beginning of no short code, so
/// decoding stops there by itself, and only then it is asked whether the end was where it had to be.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), HuffmanError> {
    let table = &*TABLE;
    let start = out.len();
    // The shortest code has five bits; one may reach beyond the end; eight bytes are stored at a time.
    out.resize(start + coded.len() * 8 / 5 + 1 + 8, 0);
    let target = &mut out[start..];
    // `have` bits of `bits` are counted, from the top; those below are zero or what `read` has yet to come to.
    let (mut bits, mut have, mut read, mut written) = (0u64, 0u32, 0, 0);
    loop {
        let rest = coded.get(read..).unwrap_or_default();
        let word = rest.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut padded = [0xff; 8];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        });
        bits |= u64::from_be_bytes(word) >> have;
        read += (63 - have) as usize / 8;
        have |= 56;
        // Four look-ups take at most 48 bits and yield at most eight symbols.
        let (mut text, mut count) = (0u64, 0u32);
        for _ in 0..4 {
            let entry = table.entries[(bits >> (64 - WINDOW)) as usize];
            if entry.count == 0 {
                break;
            }
            text |= u64::from(entry.symbols) << (8 * count);
            count += u32::from(entry.count);
            bits <<= entry.bits;
            have -= u32::from(entry.bits);
        }
        target[written..written + 8].copy_from_slice(&text.to_le_bytes());
        written += count as usize;
        if count > 0 {
            continue;
        }
        let left = (coded.len() * 8).checked_sub(read * 8 - have as usize).ok_or(HuffmanError)?;
        if left < 8 {
            let padding = bits >> (63 - left) >> 1;
            out.truncate(start + written);
            return if padding == (1 << left) - 1 { Ok(()) } else { Err(HuffmanError) };
        }
        let (length, symbol) = table.long_code(bits)?;
        target[written] = symbol;
        written += 1;
        bits <<= length;
        have -= length;
    }
}

#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let (mut bits, mut have, mut out) = (0u64, 0u32, Vec::new());
    for &byte in text {
        bits = bits << LENGTHS[byte as usize] | u64::from(codes[byte as usize]);
        have += u32::from(LENGTHS[byte as usize]);
        while have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
        bits &= (1 << have) - 1;
    }
    if have > 0 {
        out.push((bits << (8 - have)) as u8 | ((1u32 << (8 - have)) - 1) as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HuffmanError> {
        let mut out = b"kept".to_vec();
        decode(coded, &mut out).map(|()| out.split_off(4))
    }

    #[test]
    fn examples_of_the_rfc() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&coded).unwrap(), b"www.example.com");
        assert_eq!(decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), b"no-cache");
    }

    #[test]
    fn refuses_the_end_symbol_and_wrong_padding() {
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(HuffmanError));
        assert_eq!(decoded(&[0xff]), Err(HuffmanError), "eight bits of padding");
        assert_eq!(decoded(&[0b0001_1000]), Err(HuffmanError), "padding with zeroes");
        assert_eq!(decoded(&[0b0001_1111]).unwrap(), b"a");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn decodes_what_was_coded(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decoded(&encode(&text)).unwrap(), text);
        }

        #[test]
        fn decodes_text_that_was_coded(text in "[a-zA-Z0-9/_.-]{0,700}") {
            prop_assert_eq!(decoded(&encode(text.as_bytes())).unwrap(), text.as_bytes());
        }

        #[test]
        fn takes_any_bytes(coded in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
