//! The trace that a request is part of (W3C Trace Context, <https://www.w3.org/TR/trace-context/>). The gateway records no spans,
//! so it passes a trace on as it came: the next program's parent is the one that the client names.

use http::header::{HeaderMap, HeaderName, HeaderValue};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// What becomes of the traces of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceMode {
    /// They are passed on, if they are valid.
    Pass,
    /// The same, and where there is none, one begins.
    Start,
    /// They end here: none is passed on.
    Off,
}

/// Makes the headers say which trace a request is part of: one that the client names validly, or one that begins now
/// (`make`), or none. Returns its `traceparent`.
pub fn settle(headers: &mut HeaderMap, mode: TraceMode, make: impl FnOnce() -> HeaderValue) -> Option<HeaderValue> {
    let mut parents = headers.get_all(PARENT).iter();
    let kept = match (parents.next(), parents.next(), mode) {
        (Some(parent), None, TraceMode::Pass | TraceMode::Start) if is_parent(parent.as_bytes()) => {
            Some(parent.clone())
        }
        (None, None, TraceMode::Pass) if !headers.contains_key(STATE) => return None,
        _ => None,
    };
    match (kept, mode) {
        (Some(parent), _) => {
            // A state that is not one says nothing; the trace goes on without it (section 3.3.1.3).
            if headers.contains_key(STATE) && !is_state(headers) {
                headers.remove(STATE);
            }
            Some(parent)
        }
        (None, TraceMode::Pass | TraceMode::Off) => {
            headers.remove(PARENT);
            headers.remove(STATE);
            None
        }
        (None, TraceMode::Start) => {
            headers.remove(STATE);
            let parent = make();
            headers.insert(PARENT, parent.clone());
            Some(parent)
        }
    }
}

/// A `traceparent` that begins a trace of this id. It says that the trace is recorded: whoever samples by what came before
/// would drop every one otherwise. Zero is no id (section 3.2.2.3), and becomes one.
#[must_use]
pub fn begin(trace: u128, span: u64) -> HeaderValue {
    let text = format!("00-{:032x}-{:016x}-01", trace.max(1), span.max(1));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The trace id of a valid `traceparent`.
#[must_use]
pub fn trace_id(parent: &HeaderValue) -> &str {
    parent
        .to_str()
        .ok()
        .and_then(|text| text.get(3..35))
        .unwrap_or_default()
}

/// Whether this is a `traceparent` (section 3.2): version, trace id, parent id and flags in lower-case hexadecimal digits, no id
/// zero. A later version may say more behind another dash; `ff` is none.
fn is_parent(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(55) else {
        return false;
    };
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let (version, trace, span, flags) = (&head[..2], &head[3..35], &head[36..52], &head[53..]);
    let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let ends = rest.is_empty() || (version != b"00" && rest[0] == b'-' && rest.len() < 200);
    dashes
        && ends
        && [version, trace, span, flags].iter().all(|part| is_hex(part))
        && version != b"ff"
        && !is_zero(trace)
        && !is_zero(span)
}

/// Whether all `tracestate` lines together are one (section 3.3): at most 32 members, each a key and a value.
fn is_state(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(STATE).iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut count = 0;
    for member in members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        count += 1;
        let mut parts = member.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let in_key = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
        };
        let in_value = |byte: &u8| matches!(byte, b' '..=b'<' | b'>'..=b'~') && *byte != b',';
        let valid = (1..=256).contains(&key.len()) && key.iter().all(in_key);
        if !valid || !(1..=256).contains(&value.len()) || !value.iter().all(in_value) || count > 32 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn settled(mode: TraceMode, lines: &[(&'static str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut headers = headers(lines);
        let told = settle(&mut headers, mode, || begin(7, 8));
        let all = |name: &str| -> Vec<String> {
            headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        let (parent, state) = (all("traceparent"), all("tracestate"));
        assert_eq!(
            told.as_ref().map(|value| value.to_str().unwrap()),
            parent.first().map(String::as_str)
        );
        (parent, state)
    }

    #[test]
    fn a_valid_trace_is_passed_on_as_it_came() {
        let state = ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE, t@v=1 2");
        for parent in [
            GOOD,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds",
        ] {
            for mode in [TraceMode::Pass, TraceMode::Start] {
                let (kept, states) = settled(mode, &[("traceparent", parent), state]);
                assert_eq!((kept, states), (vec![parent.to_owned()], vec![state.1.to_owned()]));
            }
        }
        assert_eq!(
            trace_id(&HeaderValue::from_static(GOOD)),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
    }

    #[test]
    fn what_is_no_trace_is_dropped_with_its_state() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            let lines = [("traceparent", bad), ("tracestate", "a=b")];
            assert_eq!(settled(TraceMode::Pass, &lines), (vec![], vec![]), "{bad}");
        }
        let twice = [("traceparent", GOOD), ("traceparent", GOOD)];
        assert_eq!(settled(TraceMode::Pass, &twice), (vec![], vec![]));
        assert_eq!(settled(TraceMode::Pass, &[("tracestate", "a=b")]), (vec![], vec![]));
        for bad in ["a", "A=b", "a=", "=b", "a=b=c", "a=b\t"] {
            let lines = [("traceparent", GOOD), ("tracestate", bad)];
            let state = settled(TraceMode::Pass, &lines).1;
            assert!(state.is_empty() || bad.trim() == "a=b", "{bad:?}");
        }
        let many = vec!["a=b"; 33].join(",");
        assert_eq!(
            settled(TraceMode::Pass, &[("traceparent", GOOD), ("tracestate", &many)]).1,
            [""; 0]
        );
    }

    #[test]
    fn a_trace_begins_or_ends_here_where_that_is_asked() {
        let begun = "00-00000000000000000000000000000007-0000000000000008-01".to_owned();
        assert_eq!(settled(TraceMode::Start, &[]), (vec![begun.clone()], vec![]));
        let bad = [("traceparent", "x"), ("tracestate", "a=b")];
        assert_eq!(settled(TraceMode::Start, &bad), (vec![begun], vec![]));
        assert_eq!(
            settled(TraceMode::Off, &[("traceparent", GOOD), ("tracestate", "a=b")]),
            (vec![], vec![])
        );
        assert_eq!(settled(TraceMode::Pass, &[]), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn what_begins_is_valid(trace in any::<u128>(), span in any::<u64>()) {
            prop_assert!(is_parent(begin(trace, span).as_bytes()));
        }

        #[test]
        fn no_bytes_upset_it(parent in prop::collection::vec(0x20_u8..0xff, 0..70), state in prop::collection::vec(0x20_u8..0xff, 0..70)) {
            let mut headers = HeaderMap::new();
            for (name, bytes) in [(PARENT, parent), (STATE, state)] {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    headers.insert(name, value);
                }
            }
            if settle(&mut headers, TraceMode::Pass, || begin(1, 1)).is_none() {
                prop_assert!(headers.is_empty());
            }
        }
    }
}
