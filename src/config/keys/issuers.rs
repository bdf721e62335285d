//! The keys of `[[issuers]]`.

use super::Default::{Required, Unset, Value};
use super::Kind::{Bool, Duration, List, Text};
use super::{DAY, HOUR, Key, MINUTE, key, ms};

const CLAIM: &str =
    "a claim: \"sub\", \"realm_access.roles\", or a JSON Pointer such as \"/https:~1~1example.com~1roles\"";

/// `[[issuers]]`.
pub(super) static KEYS: &[Key] = &[
    key(
        "issuers[].name",
        Text("1 to 32 characters of a-z 0-9 - _, other than \"self\""),
        Required,
        "What routes and upstreams call the issuer.",
    ),
    key(
        "issuers[].issuer",
        Text("1 to 255 printable ASCII characters without spaces; with `discovery` an https:// URL"),
        Required,
        "The `iss` of its tokens, exactly as they say it.",
    ),
    key(
        "issuers[].audiences",
        List("1 to 255 printable ASCII characters without spaces"),
        Required,
        "What the tokens must be for: `aud` names one of these. Name your API: an ID token's `aud` is the client's id.",
    ),
    key(
        "issuers[].jwks_url",
        Text("an https:// URL; http:// at a loopback address only"),
        Unset,
        "Where its keys are. Exactly one of `jwks_url`, `discovery` and `jwks_file` is set.",
    ),
    key(
        "issuers[].discovery",
        Bool,
        Value("false"),
        "Whether its keys are where the metadata at `issuer` and `/.well-known/openid-configuration` says.",
    ),
    key(
        "issuers[].jwks_file",
        Text("the path of a file"),
        Unset,
        "A file with its keys; read again every `refresh_every`.",
    ),
    key(
        "issuers[].ca_file",
        Text("the path of a file"),
        Unset,
        "Certificates in PEM that vouch for its servers, in place of the public authorities.",
    ),
    key(
        "issuers[].algorithms",
        List("one of EdDSA, ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512"),
        Value("[\"RS256\"]"),
        "The algorithms of its tokens. What a token says of itself is held against this.",
    ),
    key(
        "issuers[].token_types",
        List("a media type such as \"at+jwt\", or \"none\" for tokens that say nothing"),
        Value("[\"at+jwt\", \"JWT\", \"none\"]"),
        "What `typ` in the header of its tokens may be.",
    ),
    key(
        "issuers[].role_prefix",
        Text("at most 32 characters of a-z A-Z 0-9 _ - . :"),
        Value("\"\""),
        "What is put in front of each of its roles, as in `corp:admin`.",
    ),
    key(
        "issuers[].refresh_every",
        Duration(ms(100), DAY),
        Value("\"5m\""),
        "How often its keys are fetched.",
    ),
    key(
        "issuers[].cooldown",
        Duration(ms(100), HOUR),
        Value("\"30s\""),
        "The least time between two fetches: a key that is not known yet is asked for no more often, whatever clients send.",
    ),
    key(
        "issuers[].keep",
        Duration(ms(100), super::YEAR),
        Value("\"1d\""),
        "How long its keys count after the last fetch that succeeded; longer than `refresh_every`. Then its tokens get 503.",
    ),
    key(
        "issuers[].timeout",
        Duration(ms(10), MINUTE),
        Value("\"5s\""),
        "How long one fetch may take.",
    ),
    key(
        "issuers[].claims.user",
        Text(CLAIM),
        Value("\"sub\""),
        "Who it is: `X-Auth-User-Id` is the issuer's name, a colon, and this.",
    ),
    key(
        "issuers[].claims.email",
        Text(CLAIM),
        Unset,
        "The e-mail address; not taken where `email_verified` beside it is false. Not set: none.",
    ),
    key("issuers[].claims.name", Text(CLAIM), Unset, "The name. Not set: none."),
    key(
        "issuers[].claims.roles",
        Text(CLAIM),
        Unset,
        "The roles: a list of strings, or one string with spaces or commas between them. Not set: none.",
    ),
];
