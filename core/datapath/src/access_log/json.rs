use std::io::Write;

/// Appends a JSON string. Bytes that are not UTF-8 appear as `\xNN` in its text (`\\xNN` in JSON).
pub(super) fn append_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        append_escaped(out, chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
    out.push(b'"');
}

/// RFC 8259 section 7; the line separators of Unicode too, since some readers of logs split lines at them.
fn append_escaped(out: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
