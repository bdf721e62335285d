use http::Request;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    bytes: 1024,
    lines: 10,
    target: 100,
};

fn parts(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut parts = Request::get(uri).body(()).unwrap().into_parts().0;
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        parts.headers.append(*name, value);
    }
    parts
}

fn refused(mut parts: Parts) -> Code {
    admit(&mut parts, &LIMITS).unwrap_err().code()
}

#[test]
fn the_authority_becomes_the_host_and_the_target_has_origin_form() {
    for headers in [&[][..], &[("host", "A.example:8080")]] {
        let mut parts = parts("https://a.example:8080/x?y=%2F", headers);
        admit(&mut parts, &LIMITS).unwrap();
        assert_eq!(parts.headers["host"], "a.example:8080");
        assert_eq!(parts.uri, "/x?y=%2F");
        assert_eq!(parts.uri.scheme(), None, "the client's word for it");
    }
    let mut parts = parts("/x", &[("host", "b.example")]);
    admit(&mut parts, &LIMITS).unwrap();
    assert_eq!(parts.headers["host"], "b.example");
}

#[test]
fn a_head_without_one_host_is_refused() {
    for (uri, headers) in [
        ("/x", &[][..]),
        ("/x", &[("host", "a"), ("host", "a")]),
        ("http://a/x", &[("host", "b")]),
        ("http://a/x", &[("host", "")]),
        ("http://a/x", &[("host", "a"), ("host", "a")]),
    ] {
        assert_eq!(refused(parts(uri, headers)), Code::BadRequest, "{uri} {headers:?}");
    }
}

#[test]
fn crumbs_become_one_cookie_in_order() {
    let mut parts = parts(
        "http://a/",
        &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3; d=4")],
    );
    admit(&mut parts, &LIMITS).unwrap();
    let cookies: Vec<_> = parts.headers.get_all(COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn what_is_larger_than_configured_is_refused() {
    let long = "a".repeat(900);
    assert_eq!(
        refused(parts(&format!("http://a/{}", "b".repeat(100)), &[])),
        Code::TargetTooLong
    );
    assert_eq!(
        refused(parts("http://a/", &[("x", &long), ("y", &long)])),
        Code::HeadersTooLarge
    );
    let many = [("x", "1"); 11];
    assert_eq!(refused(parts("http://a/", &many)), Code::HeadersTooLarge);
    assert!(admit(&mut parts("http://a/", &[("x", &long)]), &LIMITS).is_ok());
}

#[test]
fn what_two_programs_could_read_differently_is_refused() {
    for headers in [
        &[("content-length", "+5")][..],
        &[("content-length", "5, 5")],
        &[("content-length", "5"), ("content-length", "5")],
        &[("content-length", "")],
        &[("content-length", "18446744073709551616")],
        &[("x", " y")],
        &[("x", "y\t")],
    ] {
        assert_eq!(refused(parts("http://a/", headers)), Code::BadRequest, "{headers:?}");
    }
}

#[test]
fn there_is_no_tunnel_and_no_echo() {
    for method in [Method::CONNECT, Method::TRACE] {
        let mut parts = parts("http://a/", &[]);
        parts.method = method;
        assert_eq!(refused(parts), Code::MethodNotAllowed);
    }
    let mut connect = Request::builder()
        .method("CONNECT")
        .uri("a:443")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    assert_eq!(admit(&mut connect, &LIMITS).unwrap_err().code(), Code::MethodNotAllowed);
}

proptest! {
    #[test]
    fn crumbs_are_what_the_cookie_is_made_of(crumbs in proptest::collection::vec("[a-z]{1,5}=[!-:<-~]{0,9}", 1..9)) {
        let headers: Vec<_> = crumbs.iter().map(|crumb| ("cookie", crumb.as_str())).collect();
        let mut parts = parts("http://a/", &headers);
        admit(&mut parts, &LIMITS).unwrap();
        prop_assert_eq!(parts.headers.get_all(COOKIE).iter().count(), 1);
        let joined = parts.headers["cookie"].to_str().unwrap();
        prop_assert_eq!(joined.split("; ").collect::<Vec<_>>(), crumbs);
    }

    #[test]
    fn a_head_that_is_admitted_names_one_host(authority in "[a-z]{1,3}", hosts in proptest::collection::vec("[a-zA-Z]{1,3}", 0..3)) {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", host.as_str())).collect();
        let mut parts = parts(&format!("http://{authority}/"), &headers);
        if admit(&mut parts, &LIMITS).is_ok() {
            prop_assert!(hosts.len() <= 1 && hosts.iter().all(|host| host.eq_ignore_ascii_case(&authority)));
            let hosts: Vec<_> = parts.headers.get_all(HOST).iter().collect();
            prop_assert_eq!(hosts, [authority.as_str()]);
        }
    }
}
