//! What the command line says of other issuers.

use super::{CONFIG, Folder, assert_holds};
use crate::support::process::free_address;

/// The usual configuration with the route `/corp` for an issuer of which nobody answers, and these lines of it.
fn with_issuer(source: &str) -> Folder {
    let more = "\n[[routes]]\npath = '/corp'\nupstream = 'orders'\nissuers = ['corp']\n\
        [[issuers]]\nname = 'corp'\nissuer = 'https://id.example.com'\naudiences = 'api'\n";
    Folder::with_config(&format!("{CONFIG}{more}{source}\n"))
}

#[test]
fn an_issuer_that_does_not_answer_is_a_warning_and_a_bad_file_a_problem() {
    let down = format!("jwks_url = 'http://{}/keys'", free_address());
    let out = with_issuer(&down).run("check").good();
    assert_holds(
        &out,
        &["ok       issuer  corp: warning: no keys now: no connection to http://127.0.0.1:"],
    );

    let folder = with_issuer("jwks_file = 'keys.json'");
    for (text, why) in [
        ("{}", "no list `keys` in it"),
        ("keys", "not a JSON object"),
        (r#"{"keys": []}"#, "no key in it that can be used"),
        (
            r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
            "no key in it that can be used",
        ),
    ] {
        folder.write("keys.json", text);
        let done = folder.run("check");
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert_holds(&done.out, &["problem  issuer  the issuer corp can't be used: ", why]);
        assert_holds(&folder.run("serve").bad(1), &["the issuer corp can't be used", why]);
    }
    let done = with_issuer("jwks_file = 'nowhere.json'").run("check");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["nowhere.json"]);
    let ca = with_issuer(&format!("{down}\nca_file = 'ca.pem'"));
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        ca.write("ca.pem", pem);
        assert_holds(
            &ca.run("check").out,
            &["problem  issuer", "ca.pem: no certificate in PEM"],
        );
    }

    let key = r#"{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let folder = with_issuer("jwks_file = 'keys.json'\nalgorithms = 'EdDSA'");
    folder.write("keys.json", &format!("{{\"keys\": [{key}]}}"));
    assert_holds(&folder.run("check").good(), &["ok       issuer  corp: 1 key"]);
}

#[test]
fn who_vouches_is_part_of_the_explanation() {
    let folder = with_issuer("jwks_file = 'keys.json'");
    let out = folder.run("explain GET /corp --issuer corp --role admin").good();
    assert_holds(
        &out,
        &[
            "as        corp:user with role admin",
            "decision  passes, with identity (guarded, issuer corp)",
            "x-auth-issuer: corp",
            "x-auth-user-id: corp:user",
            "x-auth-roles: admin",
        ],
    );
    assert!(
        !out.contains("x-auth-session") && !out.contains("x-auth-email"),
        "{out}"
    );
    for (args, issuer) in [("GET /corp", "corp"), ("GET /whoami --issuer corp", "accept")] {
        let out = folder.run(&format!("explain {args}")).good();
        assert_holds(&out, &["decision  refused, 401 token_invalid", issuer]);
    }
    for bad in ["self", "nobody", "a:b"] {
        let err = folder.run(&format!("explain GET /corp --issuer {bad}")).bad(2);
        assert_holds(&err, &["--issuer"]);
    }
}

#[test]
fn an_issuer_is_shown_with_its_defaults() {
    let out = with_issuer("jwks_file = 'keys.json'\nclaims.roles = 'a.b'")
        .run("config show")
        .good();
    assert_holds(
        &out,
        &[
            "issuers[0].name = \"corp\"",
            "issuers[0].algorithms = [\"RS256\"]",
            "issuers[0].claims.user = \"sub\"",
            "issuers[0].claims.roles = \"a.b\"",
            "routes[0].issuers = [\"self\"]",
        ],
    );
}
