//! The OpenAPI 3.1 document: the frame, and what all endpoints of a kind have in common.

use utoipa::OpenApi;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::endpoints::{self, Endpoint};
use super::{answer, introspect, jwks, login, metadata, password, ping, refresh, sessions, signup, user, verify};
use crate::problem::{FieldError, ProblemBody};

/// How a problem is named among the schemas.
const PROBLEM: &str = "Problem";

/// How the authentication of other services is named among the security schemes, and what their endpoints are tagged.
const CLIENT: &str = "client";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Doorward",
        description = "The endpoints of the gateway itself. Errors are `application/problem+json` (RFC 9457) with a \
            stable `code`. Every other path of the gateway belongs to a route of its configuration.",
    ),
    components(schemas(
        ping::PongBody,
        signup::NewAccount,
        login::Credentials,
        refresh::RefreshRequest,
        user::Change,
        password::PasswordChange,
        answer::TokensBody,
        answer::UserBody,
        sessions::SessionBody,
        introspect::TokenOfClient,
        introspect::Introspection,
        jwks::JwkSet,
        metadata::MetadataBody,
        FieldError,
        ProblemBody<'static>,
    )),
    tags(
        (name = "session", description = "Begin, continue and end sessions."),
        (name = "user", description = "The caller's own account."),
        (name = "client", description = "For other services, which authenticate as one of `[[clients]]`."),
        (name = "proxy", description = "For the proxies in `server.trusted_proxies`, which forward requests themselves."),
        (name = "metadata", description = "What others need to verify tokens."),
        (name = "service", description = "About the endpoints themselves."),
    ),
)]
struct Frame;

/// The document, with every endpoint below `auth_path` that a configuration may bring.
#[must_use]
pub fn openapi(auth_path: &str) -> openapi::OpenApi {
    document(auth_path, true, true)
}

/// The document, with or without the endpoints for other services, and the one for other proxies.
pub(super) fn document(auth_path: &str, with_clients: bool, with_verify: bool) -> openapi::OpenApi {
    let mut document = Frame::openapi();
    let components = document.components.get_or_insert_default();
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    bearer.description = Some("An access token, in one `Authorization` header.".to_owned());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut basic = Http::new(HttpAuthScheme::Basic);
    basic.description = Some(
        "A client's id and secret, each form-encoded (RFC 6749, section 2.3.1); or both in the body, as `client_id` and \
         `client_secret`."
            .to_owned(),
    );
    components.add_security_scheme(CLIENT, SecurityScheme::Http(basic));
    let routed = endpoints::all(true, with_clients).into_iter().map(
        |Endpoint {
             method,
             path,
             operation,
             route: _,
         }| (method, path, operation),
    );
    for (method, path, mut operation) in routed.chain(with_verify.then(verify::described)) {
        complete(&mut operation);
        let item = PathItem::new(documented(&method), operation);
        let path = format!("{auth_path}{path}");
        match document.paths.paths.get_mut(&path) {
            Some(there) => there.merge_operations(item),
            None => {
                document.paths.paths.insert(path, item);
            }
        }
    }
    document
}

fn documented(method: &http::Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The failures of endpoints for other services, which take a form and no token.
const OF_CLIENTS: [(&str, &str); 6] = [
    (
        "400",
        "`invalid_request`: `token` is missing, a parameter is there twice, the client authenticates in two ways, or the \
         body is no form.",
    ),
    ("401", "`invalid_client`: the id or the secret is missing or not right."),
    ("403", "`unauthorized_client`: `clients.allow` does not name this."),
    (
        "429",
        "`too_many_attempts`: too many wrong secrets from there; `Retry-After` says when to come back.",
    ),
    ("413", "`body_too_large`: the body is larger than 16 KiB."),
    (
        "415",
        "`unsupported_media_type`: the body is not `application/x-www-form-urlencoded`.",
    ),
];

/// Adds the failures that an endpoint has because it reads a body, wants a token or asks the store; and gives every
/// failure the body that it has.
fn complete(operation: &mut Operation) {
    let client = operation
        .tags
        .as_ref()
        .is_some_and(|tags| tags.iter().any(|tag| tag == CLIENT));
    let (body, token) = (operation.request_body.is_some(), operation.security.is_some());
    let mut common = Vec::new();
    if client {
        common.extend(OF_CLIENTS);
    }
    if body {
        common.extend([
            (
                "400",
                "`malformed`: the body is not a JSON object, or has a member twice. `bad_request`: it broke off.",
            ),
            (
                "408",
                "`request_timeout`: the body paused for too long, or took longer than 30 s. The connection is closed.",
            ),
            ("413", "`body_too_large`: the body is larger than 8 KiB."),
            ("415", "`unsupported_media_type`: the body is not `application/json`."),
        ]);
    }
    if body && !client {
        common.push((
            "422",
            "`invalid_fields`: `errors` names every field that is not acceptable.",
        ));
    }
    if token {
        common.push((
            "401",
            "`token_missing`, `token_invalid`, `token_expired` or `token_revoked`.",
        ));
    }
    if body || token {
        common.extend([
            ("500", "`internal`: the gateway failed in a way that its log explains."),
            (
                "503",
                "`store_unavailable`, `revocations_unavailable` or `busy`; `Retry-After` says when to come back.",
            ),
        ]);
    }
    for (status, description) in common {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| ResponseBuilder::new().description(description).build().into());
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let schema = Ref::from_schema_name(PROBLEM);
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response
                .content
                .insert("application/problem+json".to_owned(), content.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn document() -> Value {
        serde_json::to_value(openapi("/auth")).unwrap()
    }

    #[test]
    fn the_document_is_openapi_3_1() {
        assert!(document()["openapi"].as_str().unwrap().starts_with("3.1."));
        assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| references(member, found));
                }
                Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.contains(&"#/components/schemas/Problem"));
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_operation_is_told_apart_and_explained() {
        let document = document();
        let tags: Vec<&Value> = document["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| &tag["name"])
            .collect();
        let mut ids = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/auth/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(operation["description"].is_string(), "{method} {path}");
                assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let problem = !response["content"]["application/problem+json"].is_null();
                    assert_eq!(problem, status.starts_with(['4', '5']), "{method} {path} {status}");
                }
            }
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{ids:?}");
    }

    #[test]
    fn endpoints_for_other_services_take_a_form_from_a_client() {
        let document = document();
        assert_eq!(document["components"]["securitySchemes"]["client"]["scheme"], "basic");
        for path in ["/auth/introspect", "/auth/revoke"] {
            let operation = &document["paths"][path]["post"];
            assert!(operation["security"][0]["client"].is_array(), "{path}");
            assert!(operation["requestBody"]["content"]["application/x-www-form-urlencoded"].is_object());
            let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
            assert_eq!(
                statuses,
                ["200", "400", "401", "403", "408", "413", "415", "429", "500", "503"],
                "{path}"
            );
            let refused = operation["responses"]["401"]["description"].as_str().unwrap();
            assert!(
                refused.contains("invalid_client") && !refused.contains("token_"),
                "{path}"
            );
            let limit = format!("{} KiB", crate::auth::form::MAX_FORM / 1024);
            let too_large = operation["responses"]["413"]["description"].as_str().unwrap();
            assert!(too_large.contains(&limit), "{path}");
        }
    }

    #[test]
    fn what_other_proxies_ask_is_there_where_they_may_ask() {
        let operation = &document()["paths"]["/auth/verify"]["get"];
        let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
        assert_eq!(
            statuses,
            ["200", "400", "401", "403", "404", "405", "429", "500", "503"]
        );
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(parameters.iter().all(|parameter| parameter["in"] == "header"));
        // With a token or without: the route decides.
        assert_eq!(operation["security"], serde_json::json!([{}, {"bearer": []}]));
        let without = serde_json::to_value(super::document("/auth", true, false)).unwrap();
        assert!(without["paths"]["/auth/verify"].is_null());
    }

    #[test]
    fn a_form_has_no_null() {
        let form = &document()["components"]["schemas"]["TokenOfClient"];
        for (name, schema) in form["properties"].as_object().unwrap() {
            assert_eq!(schema["type"], "string", "{name}");
        }
    }

    #[test]
    fn guarded_endpoints_say_so() {
        let document = document();
        for (path, method) in [
            ("/auth/user", "get"),
            ("/auth/logout", "post"),
            ("/auth/sessions/{id}", "delete"),
        ] {
            let operation = &document["paths"][path][method];
            assert!(operation["security"][0]["bearer"].is_array(), "{path}");
            assert!(operation["responses"]["401"].is_object(), "{path}");
        }
        assert!(document["paths"]["/auth/login"]["post"]["security"].is_null());
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }
}
