//! Prefixed integers (RFC 7541, section 5.1).

/// Reads an integer whose first byte leaves `prefix` bits; `None`: cut off, or over 2^28, which no length or index here needs.
#[inline]
pub(super) fn read(block: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let mask = (1u32 << prefix) - 1;
    let mut value = u32::from(*block.get(*at)?) & mask;
    *at += 1;
    if value < mask {
        return Some(value as usize);
    }
    let mut shift = 0;
    loop {
        let byte = u32::from(*block.get(*at)?);
        *at += 1;
        if shift > 21 {
            return None;
        }
        value += (byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 {
            return Some(value as usize);
        }
    }
}

/// Writes an integer behind the bits of `first`.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let mask = (1usize << prefix) - 1;
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 128 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Writes a string literal without Huffman coding.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    write(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        for (prefix, value, coded) in [(5, 10, &[10u8][..]), (5, 1337, &[31, 154, 10]), (8, 42, &[42])] {
            let mut out = Vec::new();
            write(&mut out, 0, prefix, value);
            assert_eq!(out, coded);
            assert_eq!(read(&out, &mut 0, prefix), Some(value));
        }
    }

    #[test]
    fn refuses_what_is_cut_off_or_too_long() {
        assert_eq!(read(&[31, 154], &mut 0, 5), None);
        assert_eq!(read(&[31, 128, 128, 128, 128, 128, 1], &mut 0, 5), None);
        assert_eq!(read(&[], &mut 0, 5), None);
    }
}
