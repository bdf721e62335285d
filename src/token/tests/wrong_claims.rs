//! Claims that are missing, of a wrong type, not true, or not as we write them.

use serde_json::{Value, json};

use super::forge::{
    AUDIENCE, ISSUER, NOW, SUBJECT, accepted, claims, header, literal, refused, shared, signed, verdict, with,
};
use crate::token::{Reason, Refusal};

#[track_caller]
fn each(name: &str, reason: Reason, values: impl IntoIterator<Item = Value>) {
    for value in values {
        refused(&signed(&header(), &with(claims(), name, value)), reason);
    }
}

#[track_caller]
fn missing(name: &str, reason: Reason) {
    refused(&signed(&header(), &with(claims(), name, None)), reason);
}

/// What is no integral `NumericDate` in a range that people use.
fn no_dates() -> Vec<Value> {
    let soon = NOW.unix_seconds() + 600;
    vec![
        Value::Null,
        json!(true),
        json!("abc"),
        json!(soon.to_string()),
        json!("0x7fffffff"),
        json!("Infinity"),
        json!(""),
        json!({}),
        json!([]),
        json!([soon]),
        json!(1_800_000_600.5),
        json!(1.8e9),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_i64),
        json!(253_402_300_800_i64),
    ]
}

#[test]
fn an_exp_that_is_no_date_is_refused() {
    missing("exp", Reason::Time);
    each("exp", Reason::Time, no_dates());
    for text in [
        "18446744073709551616",
        "99999999999999999999999999",
        "1800000600.0",
        "18e8",
        "-0",
    ] {
        refused(&literal("exp", text), Reason::Time);
    }
    for text in [
        "1e400",
        "-1e400",
        "0x7fffffff",
        "+1800000600",
        "01800000600",
        "NaN",
        "Infinity",
        "1_800_000_600",
        "1.",
        "",
    ] {
        refused(&literal("exp", text), Reason::PayloadJson);
    }
}

#[test]
fn a_token_is_good_until_its_exp_and_not_at_it() {
    let at = |exp: i64| verdict(&shared(), &signed(&header(), &with(claims(), "exp", json!(exp))));
    let now = NOW.unix_seconds();
    assert!(at(now + 1).is_ok());
    for expired in [now, now - 1, now - 3, now - 3600, 0] {
        assert_eq!(at(expired), Err(Refusal::Expired), "{expired}");
    }
}

#[test]
fn an_expired_token_that_was_tampered_with_is_invalid_and_not_expired() {
    let mut token = signed(&header(), &with(claims(), "exp", json!(1)));
    token.replace_range(token.len() - 43..token.len() - 42, "-");
    refused(&token, Reason::Signature);
}

#[test]
fn an_nbf_that_is_no_date_or_lies_in_the_future_is_refused() {
    each("nbf", Reason::Time, no_dates());
    refused(&literal("nbf", "18446744073709551616"), Reason::Time);
    each(
        "nbf",
        Reason::NotYetValid,
        [1, 61, 3600].map(|ahead| json!(NOW.unix_seconds() + ahead)),
    );
    for past in [0, NOW.unix_seconds() - 3600, NOW.unix_seconds()] {
        accepted(&signed(&header(), &with(claims(), "nbf", json!(past))));
    }
}

#[test]
fn an_iat_that_is_no_date_or_far_ahead_is_refused() {
    missing("iat", Reason::Time);
    each("iat", Reason::Time, no_dates());
    // A minute of skew between replicas is forgiven: a login here must be good there.
    accepted(&signed(
        &header(),
        &with(claims(), "iat", json!(NOW.unix_seconds() + 60)),
    ));
    each(
        "iat",
        Reason::NotYetValid,
        [61, 86_400].map(|ahead| json!(NOW.unix_seconds() + ahead)),
    );
}

#[test]
fn an_issuer_that_is_not_ours_is_refused() {
    missing("iss", Reason::Issuer);
    let spellings = [
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(format!(" {ISSUER}")),
        json!(""),
    ];
    each("iss", Reason::Issuer, spellings);
    each(
        "iss",
        Reason::Issuer,
        [
            json!(null),
            json!(1),
            json!([ISSUER]),
            json!({ "iss": ISSUER }),
            json!("http://evil.example"),
        ],
    );
}

#[test]
fn an_audience_that_does_not_name_us_is_refused() {
    missing("aud", Reason::Audience);
    each(
        "aud",
        Reason::Audience,
        [
            json!(null),
            json!(1),
            json!({}),
            json!([]),
            json!(""),
            json!("other"),
            json!("Doorward"),
        ],
    );
    each(
        "aud",
        Reason::Audience,
        [
            json!(["other"]),
            json!([[AUDIENCE]]),
            json!([AUDIENCE, 1]),
            json!([null, AUDIENCE]),
        ],
    );
    accepted(&signed(&header(), &with(claims(), "aud", json!([AUDIENCE]))));
    accepted(&signed(&header(), &with(claims(), "aud", json!(["other", AUDIENCE]))));
}

#[test]
fn a_subject_that_is_no_id_in_its_one_spelling_is_refused() {
    missing("sub", Reason::Id);
    each(
        "sub",
        Reason::Id,
        [
            json!(null),
            json!(true),
            json!(42),
            json!([]),
            json!([SUBJECT]),
            json!({ "$ne": 1 }),
        ],
    );
    let texts = [
        "",
        " ",
        "-1",
        "0x2a",
        "４２",
        "1 OR 1=1",
        "../1",
        "%0d%0aX-A: b",
        "0190a0000000700080000000000000042",
    ];
    each("sub", Reason::Id, texts.map(|text| json!(text)));
    let around = [
        "@ ",
        " @",
        "0@",
        "@;1",
        "@\0",
        "@\r\nX-A: b",
        "@\n",
        "@\u{2028}",
        "@\u{202e}",
        "{@}",
        "urn:uuid:@",
    ];
    each("sub", Reason::Id, around.map(|text| json!(text.replace('@', SUBJECT))));
    each(
        "sub",
        Reason::Id,
        [json!(SUBJECT.to_uppercase()), json!(SUBJECT.replace('-', ""))],
    );
}

#[test]
fn without_what_a_revocation_names_a_token_is_refused() {
    for name in ["jti", "sid"] {
        missing(name, Reason::Id);
        each(
            name,
            Reason::Id,
            [
                json!(null),
                json!(1),
                json!(""),
                json!("x"),
                json!([SUBJECT]),
                json!(format!("{SUBJECT} ")),
            ],
        );
    }
    missing("gen", Reason::Id);
    each(
        "gen",
        Reason::Id,
        [
            json!(null),
            json!("1"),
            json!(-1),
            json!(1.5),
            json!(1.0),
            json!(4_294_967_296_i64),
            json!([1]),
        ],
    );
}

#[test]
fn an_email_that_could_break_a_header_or_is_not_normal_is_refused() {
    missing("email", Reason::Profile);
    let texts = [
        "x\r\nX-Auth-User-Id: 1@example.test",
        "x\0",
        "é@x",
        "None",
        "1",
        "",
        "A@example.test",
        " a@example.test",
    ];
    each("email", Reason::Profile, texts.map(|text| json!(text)));
    each(
        "email",
        Reason::Profile,
        [json!(null), json!(1), json!({ "a": 1 }), json!(["a@example.test"])],
    );
}

#[test]
fn a_name_that_could_break_a_header_or_is_not_normal_is_refused() {
    missing("name", Reason::Profile);
    let texts = [
        "x\r\nX-Auth-User-Id: 1",
        "x\0",
        "",
        " ",
        " Al",
        "Al ",
        "\u{202e}lA",
        "a\u{7f}",
    ];
    each("name", Reason::Profile, texts.map(|text| json!(text)));
    each(
        "name",
        Reason::Profile,
        [
            json!("x".repeat(101)),
            json!(null),
            json!(1),
            json!({ "a": 1 }),
            json!(["Al"]),
        ],
    );
    accepted(&signed(&header(), &with(claims(), "name", json!("é@x — 日本"))));
}

#[test]
fn roles_are_a_list_of_roles() {
    missing("roles", Reason::Profile);
    each(
        "roles",
        Reason::Profile,
        [
            json!(null),
            json!("admin"),
            json!({ "admin": true }),
            json!([1]),
            json!([["admin"]]),
        ],
    );
    each(
        "roles",
        Reason::Profile,
        [json!(["a,b"]), json!([""]), json!(["a\r\nb"]), json!(["user", null])],
    );
    let token = signed(&header(), &with(claims(), "roles", json!(["user", "admin", "user"])));
    let verified = shared().authenticate(&token, NOW).unwrap();
    let roles: Vec<&str> = verified.identity.roles.iter().map(crate::id::Role::as_str).collect();
    assert_eq!(roles, ["admin", "user"]);
}

#[test]
fn other_claims_are_kept_for_policy() {
    let token = signed(&header(), &with(claims(), "tenant", json!({ "id": "acme" })));
    let verified = shared().authenticate(&token, NOW).unwrap();
    assert_eq!(verified.identity.claims["tenant"], json!({ "id": "acme" }));
    assert_eq!(verified.identity.claims["sub"], json!(SUBJECT));
}
