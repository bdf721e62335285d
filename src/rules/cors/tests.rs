use super::*;
use proptest::prelude::*;

fn cors(origins: &[&str], credentials: bool) -> Result<Cors, InvalidOrigins> {
    let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
    Cors::new(Said {
        origins: &origins,
        methods: &[Method::GET, Method::PUT],
        headers: &[http::header::AUTHORIZATION],
        expose: &[http::header::ETAG],
        credentials,
        max_age: Duration::from_secs(60),
    })
}

fn allows(origins: &[&str], sent: &str) -> bool {
    cors(origins, false)
        .unwrap()
        .allows(&HeaderValue::try_from(sent).unwrap())
}

#[test]
fn an_origin_is_one_text_or_the_subdomains_of_a_host() {
    let exact = [
        "https://app.example.com",
        "http://localhost:5173",
        "null",
        "https://[::1]:8443",
    ];
    for sent in exact {
        assert!(allows(&exact, sent), "{sent}");
    }
    for sent in [
        "https://app.example.com:443",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://App.example.com",
        "https://app.example.com.",
        "https://app.example.com/",
        "https://app.example.com.evil.example",
        "https://evil.example#https://app.example.com",
        "https://evilapp.example.com",
        "http://localhost",
        "http://localhost:51730",
        "NULL",
        "*",
        "",
    ] {
        assert!(!allows(&exact, sent), "{sent}");
    }
    let wide = ["https://*.example.com", "http://*.test.example:8080"];
    for sent in [
        "https://a.example.com",
        "https://a.b.example.com",
        "http://x.test.example:8080",
    ] {
        assert!(allows(&wide, sent), "{sent}");
    }
    for sent in [
        "https://example.com",
        "https://.example.com",
        "https://a..example.com",
        "https://evilexample.com",
        "https://a.example.com:8443",
        "http://a.example.com",
        "https://evil.example/.example.com",
        "https://evil.example:1.example.com",
        "https://u@a.example.com",
        "https://A.example.com",
        "https://*.example.com",
        "https://a b.example.com",
        "http://x.test.example",
        "null",
    ] {
        assert!(!allows(&wide, sent), "{sent}");
    }
}

#[test]
fn what_no_browser_sends_is_no_origin() {
    for bad in [
        "",
        "app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com:443",
        "http://a.example:80",
        "https://App.example.com",
        "ftp://a.example",
        "https://a.example.",
        "https://u@a.example",
        "https://a.example:0443",
        "https://*",
        "https://*.com",
        "https://*a.example.com",
        "https://a.*.example.com",
        "*.example.com",
        "https://*.[::1]",
        "https://[::1]x",
        "https://[0::1]",
        "https://a b",
        "https://é.example",
        "NULL",
        "file://",
    ] {
        assert!(matches!(cors(&[bad], false), Err(InvalidOrigins::NotOne(0))), "{bad:?}");
    }
}

#[test]
fn credentials_are_never_for_everybody() {
    assert!(matches!(
        cors(&["*"], true),
        Err(InvalidOrigins::CredentialsForAnybody(0))
    ));
    assert!(matches!(
        cors(&["https://a.example", "null"], true),
        Err(InvalidOrigins::CredentialsForAnybody(1))
    ));
    assert!(matches!(
        cors(&["https://a.example", "*"], false),
        Err(InvalidOrigins::AnyBesideOthers(1))
    ));
    assert!(cors(&["https://*.example.com"], true).is_ok() && cors(&["*"], false).is_ok());
}

#[test]
fn what_the_upstream_says_is_replaced() {
    let cors = cors(&["https://a.example"], true).unwrap();
    let upstream = || {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.append(
            ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("https://evil.example"),
        );
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("DELETE"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers
    };
    let mut headers = upstream();
    cors.dress(&mut headers, Some(&HeaderValue::from_static("https://a.example")));
    assert_eq!(headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count(), 1);
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "etag");
    assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
    assert_eq!(
        headers.get_all(VARY).iter().collect::<Vec<_>>(),
        ["Accept-Encoding", "Origin"]
    );
    for origin in [None, Some(&HeaderValue::from_static("https://evil.example"))] {
        let mut headers = upstream();
        cors.dress(&mut headers, origin);
        assert!(
            !headers.keys().any(|name| name.as_str().starts_with("access-control-")),
            "{headers:?}"
        );
        assert_eq!(headers.get_all(VARY).iter().count(), 2);
    }
}

#[test]
fn only_a_real_preflight_is_one() {
    let headers = |lines: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    };
    let (origin, method) = (
        ("origin", "https://a.example"),
        ("access-control-request-method", "PUT"),
    );
    assert_eq!(
        preflight_for(&Method::OPTIONS, &headers(&[origin, method])),
        Some(Method::PUT)
    );
    for (sent, lines) in [
        (Method::GET, &[origin, method][..]),
        (Method::OPTIONS, &[origin]),
        (Method::OPTIONS, &[method]),
        (Method::OPTIONS, &[origin, method, method]),
        (Method::OPTIONS, &[origin, ("access-control-request-method", "P U")]),
    ] {
        assert_eq!(preflight_for(&sent, &headers(lines)), None, "{sent} {lines:?}");
    }
}

proptest! {
    #[test]
    fn a_wildcard_takes_nothing_but_https_and_subdomains(sent in "https?://[a-zA-Z0-9.@:/#?\\[\\]-]{0,12}(\\.example\\.com)?(:[0-9]{0,4})?") {
        if allows(&["https://*.example.com"], &sent) {
            let host = sent.strip_prefix("https://").unwrap();
            let labels = host.strip_suffix(".example.com").unwrap();
            prop_assert!(!labels.is_empty() && labels.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            }), "{sent}");
        }
    }

    #[test]
    fn a_listed_origin_takes_itself_alone(listed in "https?://[a-z]{1,4}(\\.[a-z]{1,3}){0,2}(:8[0-9]{3})?", sent in "\\PC{0,20}") {
        prop_assert!(allows(&[&listed], &listed));
        if let Ok(value) = HeaderValue::try_from(&sent) {
            prop_assert_eq!(cors(&[&listed], false).unwrap().allows(&value), sent == listed);
        }
    }
}
