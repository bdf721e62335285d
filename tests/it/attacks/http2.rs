//! Plays what of a table HTTP/2 has too: one request a case, each on a connection of its own.

use serde_json::{Value, json};

use super::book::{Entry, Filling};
use super::http1::{contains, told_by};
use super::place::Way;
use crate::http2::play::{Play, play_at, stream};
use crate::support::Seen;

/// Plays them on a listener: what broke.
pub(super) async fn at(way: &Way<'_>, cases: &[Entry]) -> Vec<String> {
    let host = way.address.to_string();
    let numbered = cases.iter().enumerate().filter(|(_, case)| case.versions().1);
    let id = |number| format!("y{number}-{}", way.door.scheme());
    let ids: Vec<(String, &Entry)> = numbered.map(|(number, case)| (id(number), case)).collect();
    let fillings: Vec<(Filling<'_>, &Entry)> = ids.iter().map(|(id, case)| (way.filling(&host, id), *case)).collect();
    let before = way.place.upstream.mark();
    let sent: Vec<Request> = fillings
        .iter()
        .map(|(filling, case)| Request::of(&filling.bytes(case, case.sent())))
        .collect();
    let plays = sent.iter().map(|request| request.play(way)).collect();
    let told = play_at(way.address, way.is_tls(), plays).await;
    let (seen, _) = way.place.upstream.since(&before);
    let mut seen = seen.into_iter().peekable();
    let mut broken = Vec::new();
    for (((filling, case), request), told) in fillings.iter().zip(&sent).zip(&told) {
        let client = client(case, told);
        let upstream = match case.upstream.as_deref() {
            None | Some("nothing") => None,
            Some(_) => {
                let target = case.target.as_ref().map(|target| filling.bytes(case, target));
                let target = target.map_or_else(|| request.target.clone(), |target| latin1(&target));
                // One after the other: what comes before this one's belongs to a case that should have sent none.
                while let Some(stray) = seen.next_if(|seen| seen.target != target) {
                    broken.push(format!(
                        "{}, HTTP/2: the upstream saw {} {}",
                        way.name(),
                        stray.method,
                        stray.target
                    ));
                }
                let first = seen.next();
                while case.upstream.as_deref() == Some("user, again")
                    && seen.next_if(|seen| seen.target == target).is_some()
                {}
                reached(way, case, filling, first.as_ref())
            }
        };
        let name = case.name.escape_debug();
        let wrong = [client, upstream].into_iter().flatten();
        broken.extend(wrong.map(|why| format!("{}, HTTP/2, {name}: {why}", way.name())));
    }
    let stray = seen.map(|seen| {
        format!(
            "{}, HTTP/2: the upstream saw {} {}",
            way.name(),
            seen.method,
            seen.target
        )
    });
    broken.extend(stray);
    broken
}

/// What is wrong with what the client saw: the end of the stream or connection is as good as a 400.
fn client(case: &Entry, told: &Value) -> Option<String> {
    let one = stream(told, 1);
    let status = match one.status {
        Some(status) if one.reset.is_some() && told["streams"]["1"]["ended"] != true => format!("{status} cut"),
        Some(status) => status.to_string(),
        None if one.reset.is_some() || told["goaway"].is_number() => "400".to_owned(),
        None => format!("neither an answer nor an end in {told}"),
    };
    let whole = told.to_string();
    if let Some(text) = case
        .unseen
        .iter()
        .flatten()
        .find(|text| contains(whole.as_bytes(), text))
    {
        return Some(format!("the client saw {text:?}"));
    }
    let wanted = case.told();
    let last = wanted.iter().filter_map(|statuses| statuses.last());
    (!last.into_iter().any(|last| *last == status)).then(|| {
        format!(
            "the client saw {status} and not {}",
            case.client.as_deref().unwrap_or_default()
        )
    })
}

/// What is wrong with the request that the upstream saw.
fn reached(way: &Way<'_>, case: &Entry, filling: &Filling<'_>, seen: Option<&Seen>) -> Option<String> {
    let Some(seen) = seen else {
        return Some("the upstream saw nothing".to_owned());
    };
    let lines = seen.headers.iter().map(|(name, value)| format!("\r\n{name}: {value}"));
    let whole = format!("{} {}{}", seen.method, seen.target, lines.collect::<String>());
    let hidden = case.hidden.iter().flatten().map(|text| (text, false));
    let shown = case.shown.iter().flatten().map(|text| (text, true));
    for (text, wanted) in hidden.chain(shown) {
        let text = latin1(&filling.bytes(case, text));
        if contains(whole.as_bytes(), &text) != wanted {
            return Some(format!("the upstream saw {text:?}: {}", !wanted));
        }
    }
    told_by(case, way, seen)
}

/// A request as HTTP/2 has it.
struct Request {
    method: String,
    target: String,
    host: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Request {
    /// What a request of HTTP/1.1 says.
    fn of(bytes: &[u8]) -> Self {
        let text = latin1(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a request has a head");
        let mut lines = head.split("\r\n");
        let first = lines.next().and_then(|line| line.strip_suffix(" HTTP/1.1"));
        let (method, target) = first.and_then(|line| line.split_once(' ')).expect("a first line");
        let mut host = String::new();
        let mut fields = Vec::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned());
            match name.as_str() {
                "host" => host = value,
                _ => fields.push((name, value)),
            }
        }
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host,
            fields,
            body: body.to_owned(),
        }
    }

    fn play(&self, way: &Way<'_>) -> Play {
        let pseudo = [
            (":method", self.method.as_str()),
            (":scheme", way.door.scheme()),
            (":authority", &self.host),
            (":path", &self.target),
        ];
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = pseudo.into_iter().chain(fields).collect();
        let whole = self.body.is_empty();
        let begun = Play::default().step(json!(["headers", 1, all, whole]));
        let sent = if whole {
            begun
        } else {
            begun.step(json!(["data", 1, self.body, true]))
        };
        sent.step(json!(["end", 1]))
    }
}

/// A character for each byte.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
