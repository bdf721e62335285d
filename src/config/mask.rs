//! What must not be shown of a text: passwords in URLs, and values that look secret where nobody can know for sure.

use std::ops::Range;

/// What stands for a value that is not shown.
pub(super) const MASK: &str = "[secret]";

/// Whether a key of this name, known or not, probably holds a secret.
pub(super) fn is_sensitive_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["pass", "pwd", "secret", "credential", "private", "token", "key"]
        .iter()
        .any(|word| name.contains(word))
}

/// The part of a URL that must not be shown: its password, or more where a slip makes it unclear what the password is.
pub(super) fn url_secret(url: &str) -> Option<Range<usize>> {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[authority..];
    let lower = rest.to_lowercase();
    if lower.contains("pass") || lower.contains("pwd") || lower.contains("secret") {
        return Some(authority..url.len());
    }
    let userinfo = rest.rfind('@').unwrap_or(0);
    if let Some(colon) = rest[..userinfo].find(':') {
        return Some(authority + colon + 1..authority + userinfo);
    }
    // `mysql://root:hunter2/db`: the host was forgotten, and the password stands where a port would.
    let host = authority + rest.find(']').unwrap_or(userinfo);
    let colon = host + url[host..].find(':')?;
    let after = &url[colon + 1..];
    let port = after.split(['/', '?']).next().unwrap_or_default();
    let is_port = port.parse::<u16>().is_ok();
    (!is_port && rest.len() < url.len()).then_some(colon + 1..url.len())
}

/// The URL with [`MASK`] in place of [`url_secret`].
pub(super) fn mask_url(url: &str) -> String {
    match url_secret(url) {
        Some(hidden) => format!("{}{MASK}{}", &url[..hidden.start], &url[hidden.end..]),
        None => url.to_owned(),
    }
}

/// The text with the password of every `scheme://user:password@…` in it masked, whatever it is written in.
pub(super) fn mask_userinfo(text: &str) -> String {
    let Some(authority) = text.find("://").map(|at| at + 3) else {
        return text.to_owned();
    };
    let rest = &text[authority..];
    // Up to the last `@`: a password may hold anything.
    match rest.rfind('@').map(|at| (rest[..at].find(':'), at)) {
        Some((Some(colon), at)) => format!("{}{MASK}{}", &text[..=authority + colon], &rest[at..]),
        Some((None, _)) | None => text.to_owned(),
    }
}

/// Which parts of a file that is not TOML may hold a secret: there is no telling where a value ends, so it is the whole
/// of what follows the key, and all lines of a multi-line string.
pub(super) fn suspicious(text: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut at = 0;
    let mut state = State::Plain;
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end().len();
        let value = match state {
            State::Plain => sensitive_value(line),
            State::Awaited | State::Within(_) => Some(0),
        };
        if let Some(value) = value {
            hidden.push((at + value).min(end)..end);
        }
        state = state.after(line, value);
        at += line.len();
    }
    hidden
}

/// What the lines so far leave open.
#[derive(Clone, Copy)]
enum State {
    /// Nothing.
    Plain,
    /// A sensitive key whose value did not follow.
    Awaited,
    /// A sensitive multi-line string, which ends with these quotes.
    Within(&'static str),
}

impl State {
    fn after(self, line: &str, value: Option<usize>) -> Self {
        let Some(value) = value else {
            return Self::Plain;
        };
        if let Self::Within(quotes) = self {
            return if line.contains(quotes) { Self::Plain } else { self };
        }
        let value = &line[value..];
        if value.trim().is_empty() {
            return Self::Awaited;
        }
        let opened = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quotes| value.matches(quotes).count() % 2 == 1);
        opened.map_or(Self::Plain, Self::Within)
    }
}

/// Where the value of this line begins, if it may be a secret.
fn sensitive_value(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let equals = line.find('=');
    if equals.is_none() && line.trim_start().starts_with(['[', '#']) {
        return None;
    }
    let value = equals.map_or(0, |at| at + 1);
    let (key, text) = (line[..value].trim_end_matches('=').trim_end(), &line[value..]);
    let names_a_file = key.ends_with("_file") && !text.contains('=');
    let url = text.trim_matches(|c: char| !c.is_alphanumeric());
    let is_secret = (is_sensitive_name(line) && !names_a_file) || (url.contains("://") && url_secret(url).is_some());
    is_secret.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_password_of_a_url_is_masked_even_when_the_url_is_wrong() {
        for (url, shown) in [
            ("mysql://u:hunter2@db/d", "mysql://u:[secret]@db/d"),
            ("mysql://u:hun:ter@2@db/d", "mysql://u:[secret]@db/d"),
            ("mysql://u:hun/ter2@db/d", "mysql://u:[secret]@db/d"),
            ("mysql://:hunter2@db/d", "mysql://:[secret]@db/d"),
            ("mysql://root:hunter2/d", "mysql://root:[secret]"),
            ("mysql://root:hunter2", "mysql://root:[secret]"),
            ("mysql://db/d?password=hunter2", "mysql://[secret]"),
            ("u:hunter2@db/d", "u:[secret]@db/d"),
            ("mysql://u@db:3306/d", "mysql://u@db:3306/d"),
            ("mysql://u@[::1]:3306/d", "mysql://u@[::1]:3306/d"),
            ("mysql://[::1]/d", "mysql://[::1]/d"),
            ("sqlite://data/doorward.db", "sqlite://data/doorward.db"),
            ("data/doorward.db", "data/doorward.db"),
            ("sqlite:data/doorward.db", "sqlite:data/doorward.db"),
        ] {
            assert_eq!(mask_url(url), shown);
        }
    }

    #[test]
    fn a_password_within_any_text_is_masked() {
        assert_eq!(
            mask_userinfo("servers = [\"http://u:pw@h:1\"] # x"),
            "servers = [\"http://u:[secret]@h:1\"] # x"
        );
        assert_eq!(mask_userinfo("see http://h:1/x"), "see http://h:1/x");
        assert_eq!(mask_userinfo("http://u@h"), "http://u@h");
    }

    #[test]
    fn a_broken_file_hides_what_may_be_secret() {
        let text = "[store]\npassword = \"\"\"\nhunter2\n\"\"\"\nx = 1\nurl = \"mysql://u:p";
        let hidden: Vec<&str> = suspicious(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(hidden, [" \"\"\"", "hunter2", "\"\"\"", " \"mysql://u:p"]);
        for (text, shown) in [
            ("password =\n\"hunter2\"\nx", "password =\n\nx"),
            ("password \"hunter2\"", ""),
            ("[tokens]\nsecret=hunter2", "[tokens]\nsecret="),
            ("store = { password = hunter2", "store ="),
            ("secret_file = secrets/a", "secret_file = secrets/a"),
            ("servers = http://a:80", "servers = http://a:80"),
        ] {
            let mut rest = text.to_owned();
            for range in suspicious(text).into_iter().rev() {
                rest.replace_range(range, "");
            }
            assert_eq!(rest, shown);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_masking_panic(text in "\\PC{0,60}|(mysql)?:?/?/?[a:@/?\\[\\]é]{0,20}|[\"'=\n\r#:/@ép]{0,40}") {
            let _ = (mask_url(&text), mask_userinfo(&text), suspicious(&text));
        }
    }
}
