//! `[[issuers]]`

use std::path::PathBuf;

use super::Check;
use crate::config::error::Complaint;
use crate::config::{raw, tree, typed, units};
use crate::id::{IssuerName, Role};
use crate::rules::claim_path::ClaimPath;

/// What `token_types` calls a header without `typ`.
const NO_TYPE: &str = "none";

pub(super) fn issuers(
    raw: &[raw::Issuer],
    tokens: Option<&typed::Tokens>,
    check: &mut Check<'_>,
) -> Option<Vec<typed::Issuer>> {
    let issuers: Vec<_> = (0..raw.len())
        .map(|index| Reader { index, all: raw, check }.issuer(tokens))
        .collect();
    issuers.into_iter().collect()
}

/// Reads one issuer.
struct Reader<'a, 'b> {
    index: usize,
    all: &'a [raw::Issuer],
    check: &'a mut Check<'b>,
}

impl Reader<'_, '_> {
    fn issuer(&mut self, tokens: Option<&typed::Tokens>) -> Option<typed::Issuer> {
        let raw = self.all.get(self.index)?;
        let name = self.name(raw);
        let issuer = self.iss(raw, tokens);
        let audiences = self.audiences(raw);
        let source = self.source(raw);
        let ca_file = self.ca_file(raw);
        let algorithms = self.algorithms(raw);
        let token_types = self.token_types(raw);
        let claims = self.claims(raw);
        let keep = self.keep(raw);
        Some(typed::Issuer {
            name: name?,
            issuer: issuer?,
            audiences: audiences?,
            source: source?,
            ca_file: ca_file?,
            algorithms: algorithms?,
            token_types: token_types?,
            claims: claims?,
            refresh_every: raw.refresh_every,
            cooldown: raw.cooldown,
            keep: keep?,
            timeout: raw.timeout,
        })
    }

    fn key(&self, name: &str) -> String {
        format!("issuers[{}].{name}", self.index)
    }

    fn invalid(&mut self, name: &str, message: impl Into<String>, found: &str) {
        let field = name.split('[').next().unwrap_or(name);
        self.check
            .invalid(&self.key(name), &format!("issuers[].{field}"), message, found);
    }

    fn missing(&mut self, name: &str) {
        self.check.missing(&self.key(name), &format!("issuers[].{name}"));
    }

    /// Whether an issuer further up says the same of itself; reported.
    fn is_taken(&mut self, name: &str, text: &str, of: fn(&raw::Issuer) -> Option<&String>) -> bool {
        let mut earlier = self.all.iter().take(self.index);
        let Some(other) = earlier.position(|issuer| of(issuer).is_some_and(|other| other == text)) else {
            return false;
        };
        let complaint = Complaint::new(format!("another issuer has the same {name}"))
            .found(tree::quote(text))
            .allowed(format!("each {name} once"));
        self.check
            .conflict(&self.key(name), &format!("issuers[{other}].{name}"), complaint);
        true
    }

    fn name(&mut self, raw: &raw::Issuer) -> Option<IssuerName> {
        let Some(text) = &raw.name else {
            self.missing("name");
            return None;
        };
        match text.parse() {
            Ok(_) if self.is_taken("name", text, |raw| raw.name.as_ref()) => None,
            Ok(name) => Some(name),
            Err(_) => {
                self.invalid("name", "not a name for an issuer", text);
                None
            }
        }
    }

    fn iss(&mut self, raw: &raw::Issuer, tokens: Option<&typed::Tokens>) -> Option<String> {
        let Some(text) = &raw.issuer else {
            self.missing("issuer");
            return None;
        };
        if !is_plain(text) {
            self.invalid("issuer", "not an issuer", text);
            return None;
        }
        if tokens.is_some_and(|tokens| tokens.issuer == *text) {
            let complaint = Complaint::new("the gateway's own tokens say so, too")
                .found(tree::quote(text))
                .allowed("an issuer other than tokens.issuer");
            self.check.conflict(&self.key("issuer"), "tokens.issuer", complaint);
            return None;
        }
        (!self.is_taken("issuer", text, |raw| raw.issuer.as_ref())).then(|| text.clone())
    }

    fn audiences(&mut self, raw: &raw::Issuer) -> Option<Vec<String>> {
        let Some(texts) = &raw.audiences else {
            self.missing("audiences");
            return None;
        };
        self.list("audiences", texts, |text| {
            is_plain(text).then(|| text.to_owned()).ok_or("not an audience")
        })
    }

    /// The items of a list, each as `read` takes it: at least one, none twice.
    fn list<T: PartialEq>(
        &mut self,
        name: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        if texts.is_empty() {
            let complaint = Complaint::new("an empty list: no token could be accepted").allowed("at least one");
            self.check.wrong(&self.key(name), complaint);
            return None;
        }
        let mut items = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match read(text) {
                Ok(item) if items.contains(&item) => self.invalid(&format!("{name}[{index}]"), "the same twice", text),
                Ok(item) => items.push(item),
                Err(message) => self.invalid(&format!("{name}[{index}]"), message, text),
            }
        }
        (items.len() == texts.len()).then_some(items)
    }

    fn source(&mut self, raw: &raw::Issuer) -> Option<typed::KeySource> {
        let said: Vec<&str> = [
            ("jwks_url", raw.jwks_url.is_some()),
            ("discovery", raw.discovery),
            ("jwks_file", raw.jwks_file.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect();
        match said.as_slice() {
            [] => {
                let wrong = ["jwks_url", "discovery", "jwks_file"];
                if !wrong.iter().any(|name| self.check.report.has(&self.key(name))) {
                    let complaint = Complaint::new("nothing says where the issuer's keys are")
                        .allowed("one of jwks_url, discovery = true, and jwks_file");
                    self.check.wrong(&self.key("jwks_url"), complaint);
                }
                None
            }
            [first, second, ..] => {
                let complaint = Complaint::new(format!("where the keys are is also said by {second}"))
                    .allowed("one of jwks_url, discovery = true, and jwks_file");
                self.check.conflict(&self.key(first), &self.key(second), complaint);
                None
            }
            [_] => match (&raw.jwks_url, &raw.jwks_file) {
                (Some(text), _) => self.url("jwks_url", text).map(typed::KeySource::Url),
                (None, Some(file)) => Some(typed::KeySource::File(self.check.path(&self.key("jwks_file"), file))),
                (None, None) => self.discovery(raw.issuer.as_ref()?),
            },
        }
    }

    fn url(&mut self, name: &str, text: &str) -> Option<typed::FetchUrl> {
        match typed::FetchUrl::parse(text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.invalid(name, error.to_string(), text);
                None
            }
        }
    }

    /// The metadata's place: the issuer without a slash at its end, and the well-known path (`OpenID Connect` Discovery
    /// 1.0, section 4.1).
    fn discovery(&mut self, issuer: &str) -> Option<typed::KeySource> {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        if base.contains('?') {
            self.invalid("issuer", "discovery needs a URL without a query", issuer);
            return None;
        }
        match typed::FetchUrl::parse(&format!("{base}/.well-known/openid-configuration")) {
            Ok(url) => Some(typed::KeySource::Discovery(url)),
            Err(error) => {
                self.invalid("issuer", format!("discovery: {error}"), issuer);
                None
            }
        }
    }

    /// `None`: wrong; `Some(None)`: not set.
    #[expect(
        clippy::option_option,
        reason = "as with the others, the outer one says whether the key is valid"
    )]
    fn ca_file(&mut self, raw: &raw::Issuer) -> Option<Option<PathBuf>> {
        let Some(file) = &raw.ca_file else {
            return Some(None);
        };
        if raw.jwks_file.is_some() {
            let complaint = Complaint::new("nothing is fetched when the keys are in a file")
                .allowed("only with jwks_url or discovery");
            self.check
                .conflict(&self.key("ca_file"), &self.key("jwks_file"), complaint);
            return None;
        }
        Some(Some(self.check.path(&self.key("ca_file"), file)))
    }

    fn algorithms(&mut self, raw: &raw::Issuer) -> Option<Vec<typed::Algorithm>> {
        self.list("algorithms", &raw.algorithms, |text| {
            match typed::Algorithm::from_name(text) {
                // A public key that is taken for a shared secret verifies what anybody signs with it.
                Some(algorithm) if algorithm.is_symmetric() => Err("a shared secret, which an issuer does not publish"),
                Some(algorithm) => Ok(algorithm),
                None => Err("not an algorithm that is known"),
            }
        })
    }

    fn token_types(&mut self, raw: &raw::Issuer) -> Option<typed::TokenTypes> {
        let types = self.list("token_types", &raw.token_types, |text| {
            let is_token = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            is_token
                .then(|| typed::TokenTypes::fold(text))
                .ok_or("not a type of tokens")
        })?;
        Some(typed::TokenTypes {
            none: types.iter().any(|text| text == NO_TYPE),
            named: types.into_iter().filter(|text| text != NO_TYPE).collect(),
        })
    }

    fn claims(&mut self, raw: &raw::Issuer) -> Option<typed::IssuerClaims> {
        let user = self.claim("claims.user", Some(&raw.claims.user));
        let email = self.claim("claims.email", raw.claims.email.as_ref());
        let name = self.claim("claims.name", raw.claims.name.as_ref());
        let roles = self.claim("claims.roles", raw.claims.roles.as_ref());
        let prefix = &raw.role_prefix;
        let is_prefix = prefix.len() <= 32 && format!("{prefix}x").parse::<Role>().is_ok();
        if !is_prefix {
            self.invalid("role_prefix", "not the beginning of a role", prefix);
        }
        Some(typed::IssuerClaims {
            user: user??,
            email: email?,
            name: name?,
            roles: roles?,
            role_prefix: is_prefix.then(|| prefix.clone())?,
        })
    }

    #[expect(
        clippy::option_option,
        reason = "as with the others, the outer one says whether the key is valid"
    )]
    fn claim(&mut self, name: &str, text: Option<&String>) -> Option<Option<ClaimPath>> {
        let Some(text) = text else {
            return Some(None);
        };
        match ClaimPath::parse(text) {
            Ok(path) => Some(Some(path)),
            Err(error) => {
                self.invalid(name, error.to_string(), text);
                None
            }
        }
    }

    fn keep(&mut self, raw: &raw::Issuer) -> Option<std::time::Duration> {
        if raw.keep > raw.refresh_every {
            return Some(raw.keep);
        }
        let complaint = Complaint::new("keys would lapse before they are fetched again")
            .found(units::show_duration(raw.keep))
            .allowed(format!("longer than {}", units::show_duration(raw.refresh_every)));
        self.check
            .conflict(&self.key("keep"), &self.key("refresh_every"), complaint);
        None
    }
}

/// Printable ASCII without spaces, as issuers and audiences are.
fn is_plain(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
