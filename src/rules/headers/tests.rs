//! What becomes of whole header sections, case by case; [`properties`] has what holds of all.

mod forwarding;
mod properties;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Map;

use super::*;
use crate::id::{Identity, Principal, SessionId, Told, UserId};
use crate::rules::policy::{Access, AuthMode, TrustedIssuers, decide};

const USER: &str = "01010101-0101-0101-0101-010101010101";

fn identity(name: &str, roles: &[&str]) -> Arc<Identity> {
    Arc::new(Identity {
        principal: UserId::from_bytes([1; 16]).into(),
        email: "jörg@example.com".parse().ok(),
        name: Some(name.parse().unwrap()),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        session: Some(SessionId::from_bytes([2; 16])),
        claims: Map::new(),
        told: Told::default(),
    })
}

fn permit(who: Option<&Arc<Identity>>) -> Permit {
    let access = Access {
        auth: AuthMode::Optional,
        issuers: TrustedIssuers {
            own: true,
            others: vec!["corp".parse().unwrap()],
        },
        roles: Vec::new(),
        claims: Map::new(),
    };
    decide(&access, who).unwrap()
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// Each line as `name: value`, sorted.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort_unstable();
    lines
}

struct Request {
    headers: HeaderMap,
    who: Option<Arc<Identity>>,
    peer: IpAddr,
    trusted: bool,
    forward_token: bool,
}

fn request(lines: &[(&str, &str)]) -> Request {
    Request {
        headers: headers(lines),
        who: None,
        peer: "192.0.2.1".parse().unwrap(),
        trusted: false,
        forward_token: false,
    }
}

impl Request {
    fn of(mut self, who: &Arc<Identity>) -> Self {
        self.who = Some(Arc::clone(who));
        self
    }

    fn behind(mut self, peer: &str) -> Self {
        (self.peer, self.trusted) = (peer.parse().unwrap(), true);
        self
    }

    fn rewritten(mut self) -> HeaderMap {
        let request_id = HeaderValue::from_static("r-1");
        let host = HeaderValue::from_static("example.com:8080");
        let forwarding = Forwarding {
            peer: self.peer,
            peer_is_trusted: self.trusted,
            scheme: "http",
            host: Some(&host),
            version: http::Version::HTTP_11,
            request_id: &request_id,
        };
        let names = IdentityHeaders::new("X-Auth-").unwrap();
        let permit = permit(self.who.as_ref());
        rewrite_request(&mut self.headers, &names, &permit, &forwarding, self.forward_token);
        self.headers
    }

    /// What is left of the headers that were sent, without what the gateway sets on every request.
    fn left(self) -> Vec<String> {
        let set = [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id",
        ];
        let mut left = self.rewritten();
        for name in set {
            left.remove(name).unwrap();
        }
        lines(&left)
    }
}

#[test]
fn an_upstream_sees_who_the_request_comes_from() {
    let seen = request(&[("host", "example.com:8080"), ("accept", "*/*")])
        .of(&identity("Jörg 100%", &["admin", "team:x"]))
        .rewritten();
    assert_eq!(
        lines(&seen),
        [
            "accept: */*",
            "forwarded: for=192.0.2.1;host=\"example.com:8080\";proto=http",
            "host: example.com:8080",
            "via: 1.1 doorward",
            "x-auth-email: j%C3%B6rg@example.com",
            "x-auth-issuer: self",
            "x-auth-name: J%C3%B6rg 100%25",
            "x-auth-roles: admin,team:x",
            "x-auth-session: 02020202-0202-0202-0202-020202020202",
            &format!("x-auth-user-id: {USER}"),
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: example.com:8080",
            "x-forwarded-proto: http",
            "x-request-id: r-1",
        ]
    );
}

#[test]
fn a_subject_of_another_issuer_is_told_apart_from_our_users() {
    let foreign = Arc::new(Identity {
        principal: Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: format!("{USER}%é").parse().unwrap(),
        },
        email: None,
        name: None,
        roles: Vec::new(),
        session: None,
        claims: Map::new(),
        told: Told::default(),
    });
    let seen = request(&[]).of(&foreign).rewritten();
    let identity: Vec<String> = lines(&seen)
        .into_iter()
        .filter(|line| line.starts_with("x-auth-"))
        .collect();
    let user = format!("x-auth-user-id: corp:{USER}%25%C3%A9");
    assert_eq!(identity, ["x-auth-issuer: corp", &user]);
}

#[test]
fn a_user_without_roles_has_no_roles_header_even_if_the_client_sends_one() {
    let seen = request(&[("x-auth-roles", "admin")])
        .of(&identity("Ann", &[]))
        .rewritten();
    assert!(!seen.contains_key("x-auth-roles"));
}

#[test]
fn no_spelling_of_an_identity_header_gets_through_on_any_route() {
    let spoofs = [
        ("X-Auth-User-Id", "1"),
        ("x-auth-user-id", "2"),
        ("X_Auth_User_Id", "1"),
        ("X-Auth-User_Id", "1"),
        ("X.Auth.User.Id", "1"),
        ("X-Auth-User-Id-", "1"),
        ("X~Auth|User'Id", "1"),
        ("X-Auth-Roles", "admin"),
        ("X-Auth-Issuer", "corp"),
        ("X-Auth-Anything", "1"),
        ("X-Auth-", "1"),
        ("X-User-Email", "root@x"),
        ("X_User_Admin", "true"),
        ("Remote-User", "root"),
        ("X-Remote-User", "root"),
        ("X-Forwarded-User", "root"),
        ("Connection", "x-auth-user-id, X_Auth_User_Id"),
    ];
    assert_eq!(request(&spoofs).left(), [""; 0]);
    let seen = request(&spoofs).of(&identity("Ann", &[])).rewritten();
    assert_eq!(seen.get_all("x-auth-user-id").iter().collect::<Vec<_>>(), [USER]);
    assert_eq!(seen.keys().filter(|name| name.as_str().contains("auth")).count(), 5);
    // A trusted proxy is trusted for addresses, not for users.
    assert_eq!(request(&spoofs[..16]).behind("10.0.0.1").rewritten().len(), 6);
}

#[test]
fn connection_can_remove_neither_what_we_set_nor_what_frames_the_request() {
    let seen = request(&[
        ("connection", "close, x-auth-user-id,Host , Content-Length"),
        (
            "connection",
            "x-forwarded-for, x-request-id, forwarded, via, content-type",
        ),
        ("connection", "\"odd, \u{e9}"),
        ("host", "example.com"),
        ("content-length", "5"),
        ("content-type", "text/plain"),
    ]);
    let seen = seen.of(&identity("Ann", &[])).rewritten();
    for name in [
        "x-auth-user-id",
        "host",
        "content-length",
        "content-type",
        "x-forwarded-for",
        "x-request-id",
    ] {
        assert_eq!(seen.get_all(name).iter().count(), 1, "{name}");
    }
    assert!(!seen.contains_key("connection"));

    let chain = request(&[("connection", "X-Forwarded-For"), ("x-forwarded-for", "192.0.2.9")]);
    assert_eq!(
        chain.behind("10.0.0.1").rewritten()["x-forwarded-for"],
        "192.0.2.9, 10.0.0.1"
    );
}

#[test]
fn hop_by_hop_headers_stay_on_their_connection() {
    let sent = [
        ("connection", "keep-alive, X-Private, upgrade, HTTP2-Settings"),
        ("x-private", "1"),
        ("x-private", "2"),
        ("keep-alive", "timeout=9"),
        ("keep_alive", "timeout=9"),
        ("proxy-connection", "x-auth-user-id"),
        ("proxy-authorization", "Basic eHg="),
        ("te", "gzip, deflate"),
        ("transfer-encoding", "chunked"),
        ("transfer_encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMA"),
        ("expect", "100-continue"),
        ("trailer", "x-checksum"),
        ("content-length", "5"),
        ("cookie", "a=b"),
    ];
    assert_eq!(
        request(&sent).left(),
        ["content-length: 5", "cookie: a=b", "trailer: x-checksum"]
    );
}

#[test]
fn te_is_kept_as_far_as_it_says_trailers() {
    assert_eq!(
        request(&[("te", "gzip, Trailers"), ("connection", "TE")]).left(),
        ["te: trailers"]
    );
    assert_eq!(
        request(&[("te", "gzip;q=0.5"), ("te", "trailers")]).left(),
        ["te: trailers"]
    );
    assert_eq!(request(&[("te", "trailersx")]).left(), [""; 0]);
}

#[test]
fn a_misspelled_name_of_weight_does_not_reach_an_upstream() {
    let sent = [
        ("content_length", "5"),
        ("host_", "evil"),
        ("authorization_", "kept: it folds to another name"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x.request.id", "1"),
        ("content.type", "text/plain"),
        ("api_key", "kept: nobody's name"),
    ];
    let left = [
        "api_key: kept: nobody's name",
        "authorization_: kept: it folds to another name",
        "host_: evil",
    ];
    assert_eq!(request(&sent).left(), left);
}

#[test]
fn nothing_makes_an_upstream_act_on_another_path_or_method_than_the_one_checked() {
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x_original_url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "proxy",
    ] {
        assert_eq!(request(&[(name, "/admin")]).left(), [""; 0], "{name}");
        let seen = request(&[(name, "/admin")]).behind("10.0.0.1").rewritten();
        assert!(!seen.contains_key(name), "{name}");
    }
}

#[test]
fn a_token_reaches_an_upstream_only_where_it_is_forwarded() {
    let sent = [("authorization", "Bearer x"), ("connection", "authorization")];
    assert_eq!(request(&sent).left(), [""; 0]);
    let mut forwarded = request(&sent);
    forwarded.forward_token = true;
    assert_eq!(forwarded.left(), ["authorization: Bearer x"]);
}

#[test]
fn an_answer_loses_what_is_for_one_connection_and_what_only_we_say() {
    let mut answer = headers(&[
        ("connection", "close, x-private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2,h2c"),
        ("proxy-authenticate", "Basic"),
        ("trailer", "x-checksum"),
        ("x-doorward-error", "token_missing"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("content-length", "5"),
        ("via", "1.1 inner"),
    ]);
    rewrite_response(&mut answer);
    assert_eq!(
        lines(&answer),
        [
            "content-length: 5",
            "set-cookie: a=b",
            "set-cookie: c=d",
            "trailer: x-checksum",
            "via: 1.1 doorward",
            "via: 1.1 inner",
        ]
    );
}

#[test]
fn a_prefix_must_leave_other_headers_alone() {
    for prefix in ["X-Auth-", "x-user-", "Remote-", "X-Acme-Identity-"] {
        assert!(IdentityHeaders::new(prefix).is_ok(), "{prefix}");
    }
    for prefix in [
        "",
        "-",
        "X-Auth",
        "X_Auth_",
        "X-Auth:-",
        "x auth-",
        "1-",
        "é-",
        &format!("x-{}-", "a".repeat(40)),
    ] {
        assert_eq!(
            IdentityHeaders::new(prefix).err(),
            Some(InvalidPrefix::Spelling),
            "{prefix}"
        );
    }
    for prefix in [
        "X-",
        "Content-",
        "X-Forwarded-",
        "X-Forwarded-User-",
        "Proxy-",
        "Sec-",
        "Accept-",
        "User-",
        "X-Real-",
    ] {
        assert_eq!(
            IdentityHeaders::new(prefix).err(),
            Some(InvalidPrefix::Taken),
            "{prefix}"
        );
    }
}
