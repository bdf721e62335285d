//! Bearer tokens that nobody should make, at a gateway that knows them only by what they are.

mod asymmetric;
mod mint;
mod seen;

use serde::Deserialize;
use tokio::net::TcpListener;

use super::book::{Entry, Http2};
use super::http1::hold_at;
use super::place::Place;
use crate::support::Backend;
use mint::{Mint, SECRET};

/// A family of tokens, or one token in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Kind {
    name: String,
    /// What stands for `{case}` in all else; the name does unless this is there.
    case: Option<String>,
    /// The text of the header.
    header: Option<String>,
    /// The text of the payload; without it, the good claims but for [`Kind::claim`].
    payload: Option<String>,
    /// The claim that has another value, or none.
    claim: Option<String>,
    /// Its value, as it stands there.
    value: Option<String>,
    /// The secret.
    key: Option<String>,
    /// How it is signed.
    sign: Option<String>,
    /// How its parts are put together.
    token: Option<String>,
    /// The status, 401 unless this says otherwise.
    want: Option<String>,
    /// For what is ours to decide: the word by which the README's table tells of it.
    decided: Option<String>,
    cases: Vec<Kind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    families: Vec<Kind>,
}

impl Kind {
    fn or(self, of: &Self) -> Self {
        let of = of.clone();
        Self {
            name: format!("{}: {}", of.name, self.name),
            case: self.case.or(of.case).or(Some(self.name)),
            header: self.header.or(of.header),
            payload: self.payload.or(of.payload),
            claim: self.claim.or(of.claim),
            value: self.value.or(of.value),
            key: self.key.or(of.key),
            sign: self.sign.or(of.sign),
            token: self.token.or(of.token),
            want: self.want.or(of.want),
            decided: self.decided.or(of.decided),
            cases: Vec::new(),
        }
    }
}

/// The table of tokens of a shared secret.
pub(super) const FILE: &str = "shared_secret.toml";

/// All kinds of tokens of a shared secret.
fn kinds() -> Vec<Kind> {
    let book: Book = toml::from_str(include_str!("tokens/shared_secret.toml")).expect("it is a table");
    let all = book.families.into_iter().flat_map(|mut family| {
        let cases = std::mem::take(&mut family.cases);
        cases.into_iter().map(move |case| case.or(&family)).collect::<Vec<_>>()
    });
    all.collect()
}

/// The words that the README's table must have for what is decided here, each with the status that shows it.
pub(super) fn decisions() -> Vec<(String, String)> {
    let decided = kinds().into_iter().filter_map(|kind| {
        let status = kind.want.unwrap_or_else(|| "401".to_owned());
        kind.decided.map(|word| (word, status))
    });
    decided.collect()
}

/// A request with this token, which is good or not.
fn request(name: String, token: &str, want: &str) -> Entry {
    Entry {
        name,
        send: Some("GET /c/{id} HTTP/1.1\r\n{Host}Authorization: Bearer {case}\r\n\r\n".to_owned()),
        case: Some(token.to_owned()),
        client: Some(want.to_owned()),
        upstream: (want == "200").then(|| "user".to_owned()),
        // A frame of HTTP/2 has no room for more.
        http2: (token.len() < 16_000).then_some(Http2::Too),
        ..Entry::default()
    }
}

#[tokio::test]
async fn no_token_but_a_good_one_of_a_shared_secret_gets_past_the_guard() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let toml = format!("[tokens]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\nleeway = \"0s\"\n");
    let kinds = kinds();
    let on = async |backend| {
        let place = Place::with(backend, &toml).await;
        let mint = Mint::of(&place, port);
        let entry = |kind: &Kind| {
            let want = kind.want.as_deref().unwrap_or("401");
            request(kind.name.clone(), &mint.token(kind), want)
        };
        let entries: Vec<Entry> = kinds.iter().map(entry).collect();
        hold_at(&place, &entries).await
    };
    let (sqlite, mariadb) = tokio::join!(on(Backend::Sqlite), on(Backend::MariaDb));
    let broken = [sqlite, mariadb].concat();
    assert!(broken.is_empty(), "{} broke:\n{}", broken.len(), broken.join("\n"));
    let visit = tokio::time::timeout(std::time::Duration::ZERO, canary.accept()).await;
    assert!(visit.is_err(), "an address in a token was asked: {visit:?}");
}
