//! The tables of attacks in `cases/`: what each sends, and what must be seen of it on either side.

use std::path::PathBuf;

use serde::Deserialize;

use crate::support::tools::root;

/// A family of cases, or one case in it, which says otherwise than its family where it says anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    pub(super) name: String,
    /// What stands for `{case}` in what is sent; the name does unless this is there.
    pub(super) case: Option<String>,
    /// What is sent. See [`Filling::bytes`] for what stands between braces; a character is a byte.
    pub(super) send: Option<String>,
    /// What is sent once something was answered.
    pub(super) then: Option<String>,
    /// What the client sees: the statuses of all answers in their order, `200 cut` for one that breaks off, `nothing`; several
    /// of these with `or` between. What the gateway answers to the next request is not among it.
    pub(super) client: Option<String>,
    /// Whether the gateway must close the connection; without it, it may.
    pub(super) closes: Option<bool>,
    /// What the upstream sees as whole requests: `nothing`, `user` for one of the user, `nobody` for one without an identity;
    /// `user, again` where a GET that failed is tried again.
    pub(super) upstream: Option<String>,
    /// The target that the upstream must see when it is not the one that was sent.
    pub(super) target: Option<String>,
    /// What must not be among the bytes that reach the upstream, whatever the case of its letters.
    pub(super) hidden: Option<Vec<String>>,
    /// What must be.
    pub(super) shown: Option<Vec<String>>,
    /// What must not be among the bytes that reach the client.
    pub(super) unseen: Option<Vec<String>>,
    pub(super) http2: Option<Http2>,
    /// For what is ours to decide: the word by which the README's table tells of it.
    pub(super) decided: Option<String>,
    pub(super) cases: Vec<Entry>,
}

/// Whether a case is played on HTTP/2, where the stream or the connection may also just be ended instead of a 400.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Http2 {
    /// Only on HTTP/1.1, as are those that do not say.
    No,
    /// On both.
    Too,
    /// Only there.
    Alone,
}

/// A file of families.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    families: Vec<Entry>,
}

impl Entry {
    fn or(self, family: &Self) -> Self {
        let of = family.clone();
        Self {
            name: format!("{}: {}", of.name, self.name),
            case: self.case.or(of.case).or(Some(self.name)),
            send: self.send.or(of.send),
            then: self.then.or(of.then),
            client: self.client.or(of.client),
            closes: self.closes.or(of.closes),
            upstream: self.upstream.or(of.upstream),
            target: self.target.or(of.target),
            hidden: self.hidden.or(of.hidden),
            shown: self.shown.or(of.shown),
            unseen: self.unseen.or(of.unseen),
            http2: self.http2.or(of.http2),
            decided: self.decided.or(of.decided),
            cases: Vec::new(),
        }
    }

    /// What it sends, which it must say.
    pub(super) fn sent(&self) -> &str {
        self.send
            .as_deref()
            .unwrap_or_else(|| panic!("{:?} sends nothing", self.name))
    }

    /// Whether it is played on HTTP/1.1, and on HTTP/2.
    pub(super) fn versions(&self) -> (bool, bool) {
        match self.http2 {
            None | Some(Http2::No) => (true, false),
            Some(Http2::Too) => (true, true),
            Some(Http2::Alone) => (false, true),
        }
    }

    /// What its client may see, each as a list of statuses.
    pub(super) fn told(&self) -> Vec<Vec<String>> {
        let client = self.client.as_deref();
        let client = client.unwrap_or_else(|| panic!("{:?} has no `client`", self.name));
        let statuses = |one: &str| match one {
            "nothing" => Vec::new(),
            _ => one.split(", ").map(str::to_owned).collect(),
        };
        client.split(" or ").map(statuses).collect()
    }
}

/// Where the tables are.
pub(super) fn folder() -> PathBuf {
    root().join("tests/it/attacks/cases")
}

/// All cases of a file.
pub(super) fn read(file: &str) -> Vec<Entry> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let book: Book = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let all = book.families.into_iter().flat_map(|mut family| {
        let cases = std::mem::take(&mut family.cases);
        assert!(!cases.is_empty(), "{file}: {:?} has no cases", family.name);
        cases.into_iter().map(move |case| case.or(&family)).collect::<Vec<_>>()
    });
    all.collect()
}

/// What stands between braces in what is sent.
pub(super) struct Filling<'a> {
    /// Where the gateway is, as a client names it.
    pub(super) host: &'a str,
    /// `http` or `https`.
    pub(super) scheme: &'a str,
    /// A good token.
    pub(super) token: &'a str,
    /// Whose it is.
    pub(super) user: &'a str,
    /// A word that no other case has.
    pub(super) id: &'a str,
}

impl Filling<'_> {
    /// The bytes of a text. `{Host}` and `{Token}` are header lines, `{host}`, `{scheme}`, `{token}`, `{user}` and `{id}` words,
    /// `{smuggled}` is a request, `{length}` says how long what follows the head is, `{80 x}` is eighty `x`, and `{80 X-#: 1;}`
    /// eighty lines with a number each.
    pub(super) fn bytes(&self, entry: &Entry, text: &str) -> Vec<u8> {
        let text = text
            .replace("{case}", entry.case.as_deref().unwrap_or_default())
            .replace(
                "{smuggled}",
                "GET /smuggled/{id} HTTP/1.1\r\n{Host}X-Auth-User-Id: 1\r\n\r\n",
            )
            .replace("{Host}", "Host: {host}\r\n")
            .replace("{Token}", "Authorization: Bearer {token}\r\n")
            .replace("{host}", self.host)
            .replace("{scheme}", self.scheme)
            .replace("{token}", self.token)
            .replace("{user}", self.user)
            .replace("{id}", self.id);
        let text = repeated(&text);
        let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.chars().count());
        let text = text.replace("{length}", &body.to_string());
        let byte = |c: char| u8::try_from(c).unwrap_or_else(|_| panic!("{c:?} in {:?} is no byte", entry.name));
        text.chars().map(byte).collect()
    }
}

/// The text with each `{80 x}` written out.
pub(super) fn repeated(text: &str) -> String {
    let mut parts = text.split('{');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let notation = part.split_once('}').and_then(|(inner, rest)| {
            let (count, what) = inner.split_once(' ')?;
            Some((count.parse::<usize>().ok()?, what, rest))
        });
        match notation {
            Some((count, what, rest)) => {
                for number in 0..count {
                    whole.push_str(&what.replace('#', &number.to_string()).replace(';', "\r\n"));
                }
                whole.push_str(rest);
            }
            None => whole = whole + "{" + part,
        }
    }
    whole
}
