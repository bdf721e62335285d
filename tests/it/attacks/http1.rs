//! Plays a table on HTTP/1.1, byte for byte.

use super::book::{Entry, Filling, read};
use super::place::{Place, Way};
use crate::identity::stranger_to;
use crate::support::raw::Next;
use crate::support::upstream::Mark;
use crate::support::{Answer, Backend, Conversation, DEADLINE, Seen, eventually, when};

/// Plays every case of a file on both databases, without TLS and with, and names each that broke.
pub(super) async fn hold(file: &str) {
    let cases = read(file);
    let [sqlite, mariadb] = [Backend::Sqlite, Backend::MariaDb].map(|backend| {
        let cases = &cases;
        async move { hold_at(&Place::on(backend).await, cases).await }
    });
    let (sqlite, mariadb) = tokio::join!(sqlite, mariadb);
    let broken = [sqlite, mariadb].concat();
    assert!(
        broken.is_empty(),
        "{file}: {} broke:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// What broke at a place.
pub(super) async fn hold_at(place: &Place, cases: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    for way in place.ways() {
        for (number, case) in cases.iter().enumerate().filter(|(_, case)| case.versions().0) {
            let id = format!("x{number}-{}", way.door.scheme());
            let because = play(&way, case, &id).await;
            broken.extend(because.map(|why| format!("{}, {}: {why}", way.name(), case.name.escape_debug())));
        }
        if cases.iter().any(|case| case.versions().1) {
            broken.extend(super::http2::at(&way, cases).await);
        }
    }
    broken.extend(place.upstream.faults());
    broken
}

/// Plays one case: why it broke, if it did.
async fn play(way: &Way<'_>, case: &Entry, id: &str) -> Option<String> {
    let host = way.address.to_string();
    let filling = way.filling(&host, id);
    let sent = filling.bytes(case, case.sent());
    let before = way.place.upstream.mark();
    let mut conversation = way.open().await;
    conversation.send(&sent).await;
    let mut saw = Saw {
        goes_on: true,
        ..Saw::default()
    };
    let to_head = sent.starts_with(b"HEAD ");
    if let Some(then) = &case.then {
        saw.one(&mut conversation, to_head).await;
        conversation.send(filling.bytes(case, then)).await;
    }
    let told = case.told();
    // As many as there must be; if they are others, or more come, that is seen all the same.
    let last = |statuses: &Vec<String>| statuses.iter().filter(|status| !status.starts_with('1')).count();
    let most = told.iter().map(last).max().unwrap_or_default();
    while saw.goes_on && last(&saw.answers) < most {
        saw.one(&mut conversation, to_head).await;
    }
    if case.closes == Some(true) {
        while saw.goes_on {
            saw.one(&mut conversation, to_head).await;
        }
    }
    let tunnel = saw.answers.last().is_some_and(|status| status == "101");
    if tunnel {
        arrives(way, case, &filling, &before).await;
    }
    let after = filling.bytes(
        case,
        "GET /c/after/{id} HTTP/1.1\r\n{Host}{Token}Connection: close\r\n\r\n",
    );
    let next = if tunnel {
        None
    } else {
        next(way, saw.goes_on.then_some(conversation), &mut saw, &after, id).await
    };
    if let Some(why) = next {
        return Some(format!("{why}, after {:?}", saw.answers));
    }
    if !told.contains(&saw.answers) {
        return Some(format!(
            "the client saw {:?} and not {}",
            saw.answers,
            case.client.as_deref().unwrap_or_default()
        ));
    }
    if case.closes == Some(false) && saw.reopened {
        return Some("the connection was closed".to_owned());
    }
    let unseen = case.unseen.iter().flatten();
    if let Some(text) = unseen.into_iter().find(|text| contains(&saw.raw, text)) {
        return Some(format!("the client saw {text:?}"));
    }
    reached(way, case, &filling, &before, &sent)
}

/// What a client saw of a case.
#[derive(Default)]
struct Saw {
    answers: Vec<String>,
    raw: Vec<u8>,
    goes_on: bool,
    reopened: bool,
}

impl Saw {
    /// Takes the next answer, or the end.
    async fn one(&mut self, conversation: &mut Conversation, to_head: bool) {
        self.goes_on = false;
        match conversation.next_or_end(to_head).await {
            Next::Answer(answer) => {
                self.raw.extend_from_slice(format!("{answer:?}").as_bytes());
                self.goes_on = answer.status != 101;
                self.answers.push(match lacks(&answer) {
                    Some(what) => format!("{} without {what}", answer.status),
                    None => answer.status.to_string(),
                });
            }
            Next::End(rest) if rest.is_empty() => {}
            Next::End(rest) => {
                let status = String::from_utf8_lossy(rest.get(9..12).unwrap_or_default()).into_owned();
                self.answers.push(format!("{status} cut"));
                self.raw.extend_from_slice(&rest);
            }
            Next::Broken(why) => self.answers.push(why),
        }
    }
}

/// What a refusal of the gateway's lacks: no upstream here answers with any.
fn lacks(answer: &Answer) -> Option<&'static str> {
    let refusal = answer.status >= 400;
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    (refusal && !(is_problem && answer.header("x-doorward-error").is_some())).then_some("a problem")
}

/// Asks once more, on the same connection while it is there: a good request gets its own answer, whatever was before.
async fn next(
    way: &Way<'_>,
    conversation: Option<Conversation>,
    saw: &mut Saw,
    after: &[u8],
    id: &str,
) -> Option<String> {
    let mut answer = Next::End(Vec::new());
    if let Some(mut same) = conversation {
        same.send(after).await;
        answer = same.next_or_end(false).await;
    }
    if matches!(&answer, Next::End(rest) if rest.is_empty()) {
        saw.reopened = true;
        let mut other = way.open().await;
        other.send(after).await;
        answer = other.next_or_end(false).await;
    }
    match answer {
        Next::Answer(answer) if answer.status == 200 => {
            let own = format!("\"/c/after/{id}\"");
            (!contains(&answer.body, &own)).then(|| format!("the next request got another's answer: {answer:?}"))
        }
        Next::Answer(answer) => Some(format!("the next request got {answer:?}")),
        Next::End(rest) => Some(format!("the next request got {:?}", String::from_utf8_lossy(&rest))),
        Next::Broken(why) => Some(format!("the next request got {why}")),
    }
}

/// Waits until the upstream sees all that it must, to which nobody answers.
async fn arrives(way: &Way<'_>, case: &Entry, filling: &Filling<'_>, before: &Mark) {
    for text in case.shown.iter().flatten() {
        let text = String::from_utf8_lossy(&filling.bytes(case, text)).into_owned();
        eventually(DEADLINE, &text, || async {
            when(contains(&way.place.upstream.since(before).1, &text))
        })
        .await;
    }
}

/// What is wrong with what the upstream saw.
fn reached(way: &Way<'_>, case: &Entry, filling: &Filling<'_>, before: &Mark, sent: &[u8]) -> Option<String> {
    let (mut seen, raw) = way.place.upstream.since(before);
    seen.retain(|seen| !seen.target.starts_with("/c/after/"));
    let wanted = case.upstream.as_deref().unwrap_or("nothing");
    if wanted.ends_with(", again") {
        seen.dedup_by(|one, other| one.method == "GET" && one.target == other.target);
    }
    for text in case.hidden.iter().flatten() {
        let text = String::from_utf8_lossy(&filling.bytes(case, text)).into_owned();
        if contains(&raw, &text) {
            return Some(format!("the upstream saw {text:?}"));
        }
    }
    let Some(one) = seen.first() else {
        return (wanted != "nothing").then(|| "the upstream saw nothing".to_owned());
    };
    for text in case.shown.iter().flatten() {
        let text = String::from_utf8_lossy(&filling.bytes(case, text)).into_owned();
        if !contains(&raw, &text) {
            return Some(format!("the upstream did not see {text:?}"));
        }
    }
    if seen.len() > 1 || wanted == "nothing" {
        let targets: Vec<_> = seen
            .iter()
            .map(|seen| format!("{} {}", seen.method, seen.target))
            .collect();
        return Some(format!("the upstream saw {targets:?}"));
    }
    let target = match &case.target {
        Some(target) => filling.bytes(case, target),
        None => sent.split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec(),
    };
    let target: String = target.iter().copied().map(char::from).collect();
    if one.target != target {
        return Some(format!("the upstream saw {} for {target}", one.target));
    }
    told_by(case, way, one)
}

/// What is wrong with the identity that the upstream saw.
pub(super) fn told_by(case: &Entry, way: &Way<'_>, seen: &Seen) -> Option<String> {
    let user = match case.upstream.as_deref() {
        Some("user" | "user, again") => Some(&way.place.user),
        Some("nobody") => None,
        other => panic!("{}: {other:?} is nothing that an upstream sees", case.name),
    };
    stranger_to(seen, user)
}

/// Whether the text is among the bytes, in capitals or not.
pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    let bytes = String::from_utf8_lossy(bytes).to_lowercase();
    bytes.contains(&text.to_lowercase())
}
