//! How a careless program behind the gateway might read a path: decoded again and again, with every separator there is, and
//! with dots resolved. What it makes of a path that was let through must be what the gateway made of it.

/// The segments that are left.
#[must_use]
pub fn segments(path: &str) -> Vec<String> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..4 {
        bytes = decode(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_separator = |c: char| {
        matches!(
            c,
            '/' | '\\' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' | '\u{ff3c}'
        )
    };
    let mut kept: Vec<String> = Vec::new();
    for segment in text.split(is_separator) {
        // Parameters, and what some file systems drop.
        let name = segment.split([';', '\u{ff1b}', '\0']).next().unwrap_or_default();
        let dots: String = name
            .chars()
            .filter(|c| *c != ' ')
            .map(|c| if matches!(c, '\u{ff0e}' | '\u{2024}') { '.' } else { c })
            .collect();
        match &*dots {
            _ if name.is_empty() => {}
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(name.to_owned()),
        }
    }
    kept
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}
