//! The keys of `[[issuers]]`, and the one of routes that names them.

use super::rows::{BOOL, DURATION, TEXT};
use super::{Row, row};

/// An issuer that is fine without the key.
pub(super) fn beside(key: &str) -> String {
    let all = [
        ("name", "'corp'"),
        ("issuer", "'https://id.example.com/realms/x/'"),
        ("audiences", "'api'"),
        ("jwks_url", "'https://id.example.com/keys'"),
    ];
    let without = match key {
        "issuers[].jwks_file" | "issuers[].discovery" => "jwks_url",
        _ => key.trim_start_matches("issuers[]."),
    };
    let lines = all.iter().filter(|(name, _)| *name != without);
    let lines: Vec<String> = lines.map(|(name, value)| format!("{name} = {value}\n")).collect();
    lines.concat()
}

const CLAIM: &[&str] = &["\"\"", "\"a..b\"", "\"/a~b\"", "1", "[\"sub\"]"];

pub(super) const ROWS: &[Row] = &[
    row(
        "routes[].issuers",
        "[\"corp\", \"self\"]",
        "issuers: TrustedIssuers { own: true, others: [IssuerName(\"corp\")] }",
        &[
            "[]",
            "\"corb\"",
            "\"\"",
            "[\"self\", \"self\"]",
            "[\"corp\", \"corp\"]",
            "1",
        ],
    ),
    row(
        "issuers[].name",
        "\"key-cloak_2\"",
        "name: IssuerName(\"key-cloak_2\")",
        &["\"self\"", "\"\"", "\"Corp\"", "\"a:b\"", "1"],
    ),
    row(
        "issuers[].issuer",
        "\"accounts.example.com\"",
        "issuer: \"accounts.example.com\"",
        &[
            "\"\"",
            "\"a b\"",
            "\"caf\u{e9}\"",
            "\"http://127.0.0.1:8080/auth\"",
            "1",
        ],
    ),
    row(
        "issuers[].audiences",
        "[\"api\", \"web\"]",
        "audiences: [\"api\", \"web\"]",
        &["[]", "\"\"", "[\"a\", \"a\"]", "\"a b\"", "[1]"],
    ),
    row(
        "issuers[].jwks_url",
        "\"http://127.0.0.1:81/keys?a\"",
        "source: Url(FetchUrl { secure: false, host: \"127.0.0.1\", port: 81, authority: \"127.0.0.1:81\", path: \"/keys?a\" })",
        &[
            "\"\"",
            "\"http://id.example.com/keys\"",
            "\"keys.json\"",
            "\"https://u:p@id.example.com/\"",
            "1",
        ],
    ),
    row(
        "issuers[].discovery",
        "true",
        "path: \"/realms/x/.well-known/openid-configuration\"",
        BOOL,
    ),
    row(
        "issuers[].jwks_file",
        "\"keys.json\"",
        "source: File(\"/base/keys.json\")",
        &["1", "[]"],
    ),
    row(
        "issuers[].ca_file",
        "\"ca.pem\"",
        "ca_file: Some(\"/base/ca.pem\")",
        TEXT,
    ),
    row(
        "issuers[].algorithms",
        "[\"ES256\", \"EdDSA\"]",
        "algorithms: [Es256, EdDsa]",
        &[
            "[]",
            "\"HS256\"",
            "\"none\"",
            "\"es256\"",
            "[\"ES256\", \"ES256\"]",
            "[1]",
        ],
    ),
    row(
        "issuers[].token_types",
        "[\"application/AT+jwt\", \"none\"]",
        "token_types: TokenTypes { none: true, named: [\"at+jwt\"] }",
        &["[]", "\"\"", "[\"jwt\", \"JWT\"]", "\"a b\"", "[1]"],
    ),
    row(
        "issuers[].role_prefix",
        "\"corp:\"",
        "role_prefix: \"corp:\"",
        &["\"a b\"", "\"a,\"", "\"0123456789012345678901234567890123\"", "1"],
    ),
    row("issuers[].refresh_every", "\"3s\"", "refresh_every: 3s", DURATION),
    row("issuers[].cooldown", "\"3s\"", "cooldown: 3s", DURATION),
    row("issuers[].keep", "\"7h\"", "keep: 25200s", DURATION),
    row("issuers[].timeout", "\"3s\"", "timeout: 3s", DURATION),
    row("issuers[].claims.user", "\"oid\"", "user: ClaimPath(/oid)", CLAIM),
    row(
        "issuers[].claims.email",
        "\"mail\"",
        "email: Some(ClaimPath(/mail))",
        CLAIM,
    ),
    row("issuers[].claims.name", "\"cn\"", "name: Some(ClaimPath(/cn))", CLAIM),
    row(
        "issuers[].claims.roles",
        "\"realm_access.roles\"",
        "roles: Some(ClaimPath(/realm_access/roles))",
        CLAIM,
    ),
];
