//! `routes[].cors` and `auth.cors`.

use http::{HeaderName, Method, header};

use super::Check;
use super::routes::Reader;
use crate::config::error::Complaint;
use crate::config::raw;
use crate::rules::cors::{Cors, InvalidOrigins, Said};

/// What pages may send where nobody says otherwise.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// What pages of other origins may do with the endpoints that we own: whatever the endpoints take. No cookie means anything to
/// them.
#[expect(clippy::option_option, reason = "the outer one: something is wrong")]
pub(super) fn of_endpoints(raw: &raw::AuthCors, check: &mut Check<'_>) -> Option<Option<Cors>> {
    let Some(origins) = &raw.origins else {
        return Some(None);
    };
    let said = Said {
        origins,
        methods: &[Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE],
        headers: &[header::AUTHORIZATION, header::CONTENT_TYPE],
        expose: &[header::RETRY_AFTER, HeaderName::from_static("x-request-id")],
        credentials: false,
        max_age: raw.max_age,
    };
    origins_of(said, "auth.cors.origins", "auth.cors.origins", check)
}

#[expect(clippy::option_option, reason = "the outer one: something is wrong")]
fn origins_of(said: Said<'_>, key: &str, pattern: &str, check: &mut Check<'_>) -> Option<Option<Cors>> {
    if said.origins.is_empty() {
        let complaint = Complaint::new("an empty list").allowed("at least one origin; leave the key out for none");
        check.wrong(key, complaint);
        return None;
    }
    match Cors::new(said) {
        Ok(cors) => Some(Some(cors)),
        Err(
            error @ (InvalidOrigins::NotOne(index)
            | InvalidOrigins::AnyBesideOthers(index)
            | InvalidOrigins::CredentialsForAnybody(index)),
        ) => {
            let found = said.origins.get(index).map(String::as_str).unwrap_or_default();
            check.invalid(&format!("{key}[{index}]"), pattern, error.to_string(), found);
            None
        }
    }
}

impl Reader<'_, '_> {
    /// What pages of other origins may do with the answers of a route.
    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    pub(super) fn cors(&mut self, route: &raw::Route) -> Option<Option<Cors>> {
        let headers = self.names("cors.headers", &route.cors.headers);
        let expose = self.names("cors.expose", &route.cors.expose);
        let methods = match (&route.cors.methods, &route.methods) {
            (Some(texts), _) => self.cors_methods(texts),
            // What is wrong with them is reported where they are read.
            (None, Some(texts)) => Some(texts.iter().filter_map(|text| text.parse().ok()).collect()),
            (None, None) => Some(METHODS.to_vec()),
        };
        let (headers, expose, methods) = (headers?, expose?, methods?);
        let Some(origins) = &route.cors.origins else {
            return Some(None);
        };
        let said = Said {
            origins,
            methods: &methods,
            headers: &headers,
            expose: &expose,
            credentials: route.cors.credentials,
            max_age: route.cors.max_age,
        };
        origins_of(said, &self.key("cors.origins"), "routes[].cors.origins", self.check)
    }

    fn cors_methods(&mut self, texts: &[String]) -> Option<Vec<Method>> {
        let mut methods = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse::<Method>() {
                Ok(method) if !text.bytes().any(|byte| byte.is_ascii_lowercase()) => methods.push(method),
                Ok(_) | Err(_) => self.invalid(&format!("cors.methods[{index}]"), "not a method in upper case", text),
            }
        }
        (methods.len() == texts.len()).then_some(methods)
    }

    /// The names of headers in a list.
    fn names(&mut self, key: &str, texts: &[String]) -> Option<Vec<HeaderName>> {
        let mut names = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            // `*` is a name, and browsers read it in more than one way.
            match HeaderName::try_from(text.as_str()) {
                Ok(name) if text != "*" => names.push(name),
                Ok(_) | Err(_) => self.invalid(&format!("{key}[{index}]"), "not the name of a header", text),
            }
        }
        (names.len() == texts.len()).then_some(names)
    }
}
