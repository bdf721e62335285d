//! Paths: one that is let through is forwarded as it was sent and has one reading, also to a program that decodes twice, knows
//! other separators, and resolves dots.
#![no_main]

use doorward::rules::path::{RequestPath, check_query};
use doorward_fuzz::lenient;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if check_query(text).is_ok() {
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    }
    let Ok(path) = RequestPath::parse(text) else { return };
    assert_eq!(path.as_str(), text);
    assert!(text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!text.contains("//") && !text.contains(['\\', ';', '#', '?']));

    let decoded = path.decoded();
    assert!(decoded.starts_with('/') && !decoded.contains("//") && !decoded.contains(['\\', ';']));
    assert!(!decoded.chars().any(char::is_control));
    assert_eq!(
        decoded.matches('/').count(),
        text.matches('/').count(),
        "a slash was encoded"
    );
    let segments: Vec<&str> = path.segments().collect();
    let without_blanks = |segment: &&str| segment.replace(' ', "");
    assert!(
        !segments
            .iter()
            .map(without_blanks)
            .any(|segment| segment == "." || segment == "..")
    );
    assert_eq!(
        lenient::segments(text),
        segments,
        "a careless program reads another path"
    );
    assert_eq!(path.raw_segments().count(), segments.len());
    assert_eq!(path.has_trailing_slash(), text.len() > 1 && text.ends_with('/'));

    // What it decodes to, sent as it is, is the same path.
    if let Ok(again) = RequestPath::parse(decoded) {
        assert_eq!(again.decoded(), decoded);
    }
    // So is each of its characters encoded.
    let encoded: String = decoded
        .bytes()
        .map(|byte| {
            if byte == b'/' {
                "/".to_owned()
            } else {
                format!("%{byte:02x}")
            }
        })
        .collect();
    let respelled = RequestPath::parse(&encoded).expect("the same path");
    assert_eq!(respelled.decoded(), decoded);

    for count in 0..=segments.len() {
        let prefix = format!("/{}", segments[..count].join("/"));
        let rest = path.without_prefix(&prefix).expect("its own beginning");
        let rest = RequestPath::parse(rest).expect("what is left is a path");
        assert!(rest.segments().eq(segments[count..].iter().copied()));
        let below = path.below(count);
        assert!(text.ends_with(below) && (below.is_empty() || below.starts_with('/')));
    }
});
