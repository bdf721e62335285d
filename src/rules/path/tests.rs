//! Paths case by case, and against an upstream that reads them in every way that servers are known to.

use super::*;
use proptest::prelude::*;

#[test]
fn a_plain_path_is_itself() {
    for path in [
        "/",
        "/orders",
        "/orders/",
        "/a/b.c/~d",
        "/a:b@c,d=e+f$g&h'(i)*!",
        "/...a",
        "/.well-known/x",
    ] {
        let read = RequestPath::parse(path).unwrap();
        assert_eq!((read.as_str(), read.decoded()), (path, path));
        assert!(matches!(read.decoded, Cow::Borrowed(_)), "{path}");
    }
}

#[test]
fn an_encoded_path_matches_by_what_it_says_and_is_forwarded_as_it_was_sent() {
    for (path, decoded) in [
        ("/%61dmin", "/admin"),
        ("/%7Euser/%7euser", "/~user/~user"),
        ("/%E2%82%AC", "/€"),
        ("/a%20b", "/a b"),
        ("/100%25", "/100%"),
        ("/100%25%20x%25", "/100% x%"),
        ("/c%23", "/c#"),
        ("/what%3F", "/what?"),
        ("/a%2Eb", "/a.b"),
    ] {
        let read = RequestPath::parse(path).unwrap();
        assert_eq!((read.as_str(), read.decoded()), (path, decoded));
    }
}

#[test]
fn a_path_that_could_be_read_in_two_ways_is_refused() {
    use AmbiguousPath::*;
    for (path, why) in [
        ("", NotAbsolute),
        ("*", NotAbsolute),
        ("auth/login", NotAbsolute),
        ("http://host/c", NotAbsolute),
        ("//", EmptySegment),
        ("//auth/login", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a//", EmptySegment),
        ("/.", DotSegment),
        ("/..", DotSegment),
        ("/auth/../c", DotSegment),
        ("/auth/%2e%2e/c", DotSegment),
        ("/auth/.%2E/c", DotSegment),
        ("/auth/./c", DotSegment),
        ("/auth/...", DotSegment),
        ("/auth/..%20/c", DotSegment),
        ("/auth/%20./c", DotSegment),
        ("/auth/%ef%bc%8e%ef%bc%8e/c", DotSegment),
        ("/auth/%E2%80%A5/c", DotSegment),
        ("/auth/..%2fc", Separator),
        ("/public%2F..%2Fadmin", Separator),
        ("/%2fauth", Separator),
        ("/auth%5clogin", Separator),
        ("/auth/..%5cc", Separator),
        ("/auth/..\\c", Separator),
        ("/auth/..%ef%bc%8fc", Separator),
        ("/auth%e2%88%95login", Separator),
        ("/auth/..;/c", Semicolon),
        ("/auth/..;x=y/c", Semicolon),
        ("/admin;x", Semicolon),
        ("/admin;", Semicolon),
        ("/admin%3bx", Semicolon),
        ("/auth/..%3B/c", Semicolon),
        ("/auth%00/c", Control),
        ("/auth/..%0d%0a/c", Control),
        ("/a%7f", Control),
        ("/a%C2%85", Control),
        ("/a\tb", Control),
        ("/a\0b", Control),
        ("/a b", NotEncoded),
        ("/admin#/public", NotEncoded),
        ("/a?b", NotEncoded),
        ("/caf\u{e9}", NotEncoded),
        ("/a%", InvalidEscape),
        ("/a%2", InvalidEscape),
        ("/a%zz", InvalidEscape),
        ("/a%+1", InvalidEscape),
        ("/a%u002e", InvalidEscape),
        ("/auth/%c0%ae%c0%ae/c", NotUtf8),
        ("/a%ff", NotUtf8),
        ("/%ed%a0%80", NotUtf8),
        ("/auth/%252e%252e/c", DoubleEscape),
        ("/auth%252flogin", DoubleEscape),
        ("/%2561dmin", DoubleEscape),
        ("/a%25%30%30", DoubleEscape),
        ("/a%2500", DoubleEscape),
    ] {
        assert_eq!(RequestPath::parse(path), Err(why), "{path:?}");
    }
}

#[test]
fn a_prefix_is_taken_off_by_whole_segments() {
    let strip = |path, prefix| RequestPath::parse(path).unwrap().without_prefix(prefix);
    assert_eq!(strip("/api/x", "/api"), Some("/x"));
    assert_eq!(strip("/api/x/", "/api/"), Some("/x/"));
    assert_eq!(strip("/api", "/api"), Some("/"));
    assert_eq!(strip("/api/", "/api"), Some("/"));
    assert_eq!(strip("/a/b/c%20d", "/a/b"), Some("/c%20d"));
    assert_eq!(strip("/%61pi/x", "/api"), Some("/x"));
    assert_eq!(strip("/caf%C3%A9/x", "/café"), Some("/x"));
    assert_eq!(strip("/x", "/"), Some("/x"));
    for other in ["/apix", "/api..admin", "/API/x", "/x/api", "/"] {
        assert_eq!(strip(other, "/api"), None, "{other}");
    }
}

#[test]
fn a_query_is_plain_ascii_and_not_read() {
    assert_eq!(check_query("next=/../a&x=%00%2f;?"), Ok(()));
    assert_eq!(check_query("a\u{1}"), Err(AmbiguousPath::Control));
    for query in ["a b", "a#b", "é"] {
        assert_eq!(check_query(query), Err(AmbiguousPath::NotEncoded), "{query}");
    }
}

/// Pieces of which odd paths are made.
fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-c]{1,2}",
        Just("/".to_owned()),
        prop::sample::select(vec![
            ".", "..", ";", ";x", "\\", "%", "%2", "%2f", "%5C", "%25", "%252e", "%2e", "%20"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "%00",
            "%3b",
            "%61",
            "%C3%A9",
            "%c0%ae",
            "%ef%bc%8f",
            "//",
            "/./",
            "/../",
            "é"
        ])
        .prop_map(str::to_owned),
        any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        any::<u8>().prop_map(|byte| format!("%25{byte:02X}")),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Decodes once as lenient servers do: what is no escape stays.
fn lenient_decode(text: &str) -> String {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escape = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What an upstream might make of a path that does everything that servers are known to do.
fn upstream_segments(path: &str, decodings: usize) -> Vec<String> {
    let decoded = (0..decodings).fold(path.to_owned(), |text, _| lenient_decode(&text));
    let mut segments = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        let segment = segment.split([';', '\0']).next().unwrap_or_default().trim_end();
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.to_owned()),
        }
    }
    segments
}

proptest! {
    #[test]
    fn whatever_is_accepted_means_the_same_to_every_upstream(path in odd_path(), decodings in 1..4_usize) {
        if let Ok(read) = RequestPath::parse(&path) {
            prop_assert_eq!(read.as_str(), &path);
            let matched: Vec<&str> = read.segments().map(str::trim_end).filter(|s| !s.is_empty()).collect();
            prop_assert_eq!(matched, upstream_segments(&path, decodings));
        }
    }

    #[test]
    fn reading_again_changes_nothing(path in odd_path()) {
        if let Ok(read) = RequestPath::parse(&path) {
            prop_assert_eq!(RequestPath::parse(read.as_str()).unwrap(), read.clone());
            prop_assert_eq!(lenient_decode(read.decoded()), read.decoded());
            prop_assert_eq!(check_decoded(read.decoded()), Ok(()));
        }
    }

    #[test]
    fn what_is_left_of_a_prefix_is_a_path_again(path in odd_path(), count in 0..4_usize) {
        if let Ok(read) = RequestPath::parse(&path) {
            let prefix: Vec<&str> = read.segments().take(count).collect();
            let rest = read.without_prefix(&format!("/{}", prefix.join("/"))).unwrap();
            let rest = RequestPath::parse(rest).unwrap();
            prop_assert!(rest.segments().eq(read.segments().skip(count)));
        }
    }

    #[test]
    fn no_text_makes_the_reading_panic(text in any::<String>(), bytes in "[/.%0-9a-f;\\\\\u{80}]{0,24}") {
        let _ = (RequestPath::parse(&text), RequestPath::parse(&bytes), check_query(&text));
    }
}
