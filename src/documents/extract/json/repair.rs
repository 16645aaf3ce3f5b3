//! What other programs write although JSON does not have it: NaN and Infinity (Python), halves of surrogate pairs
//! (JavaScript), control characters in strings.

/// The record with `null` for NaN and Infinity, U+FFFD for a lone surrogate, and escapes for control characters in
/// strings.
pub fn repaired(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + 16);
    let (mut at, mut in_string) = (0, false);
    while let Some(&byte) = record.get(at) {
        let rest = &record[at..];
        let taken = match byte {
            b'"' => {
                in_string = !in_string;
                1
            }
            b'\\' if in_string => match surrogate(rest) {
                Some(0xd800..=0xdbff) if matches!(surrogate(&rest[6..]), Some(0xdc00..=0xdfff)) => 12,
                Some(_) => {
                    out.extend_from_slice(b"\\ufffd");
                    at += 6;
                    continue;
                }
                None => 2.min(rest.len()),
            },
            0..=0x1f if in_string => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                at += 1;
                continue;
            }
            b'N' | b'I' | b'-' if !in_string => {
                let word = [&b"NaN"[..], b"Infinity", b"-Infinity"].into_iter().find(|word| rest.starts_with(word));
                match word {
                    Some(word) => {
                        out.extend_from_slice(b"null");
                        at += word.len();
                        continue;
                    }
                    None => 1,
                }
            }
            _ => 1,
        };
        out.extend_from_slice(&rest[..taken]);
        at += taken;
    }
    out
}

/// The surrogate that the escape at the start of `text` stands for.
fn surrogate(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let code = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..=0xdfff).contains(&code).then_some(code)
}
