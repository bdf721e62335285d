//! Tokens: none is accepted that our key did not sign, in its own spelling; what is accepted is what its claims say, and only
//! for as long as they say.
//!
//! The first byte of an input says what the rest is: `T` the text of a token, `J` a header and a payload, each on a line of
//! its own, that get a right signature, anything else places and bytes to change in a good token.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::config::{self, Algorithm, OnStale};
use doorward::id::{SessionId, UserId};
use doorward::rules::policy::TrustedIssuers;
use doorward::secret::Secret;
use doorward::store::Store;
use doorward::time::Timestamp;
use doorward::token::{
    Blocklist, KeySet, MasterKey, Refusal, Subject, Tokens, Verified, create_key, load_keys, read_unverified,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "http://127.0.0.1:8080/auth";
const SECRET: &[u8] = b"doorward-attack-tokens-secret-0123456789abcdef";
const LEEWAY: Duration = Duration::from_secs(5);

/// Judges, and a good token of its own.
struct Judge {
    tokens: Tokens,
    good: String,
}

/// Of a shared secret, Ed25519, and ECDSA, whose signatures have two spellings each.
static JUDGES: LazyLock<[Judge; 3]> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let shared = KeySet::from_secret(Algorithm::Hs256, &Secret::new(SECRET.to_vec())).expect("a secret");
        [
            judge(Algorithm::Hs256, Some(shared)).await,
            judge(Algorithm::EdDsa, None).await,
            judge(Algorithm::Es256, None).await,
        ]
    })
});

async fn judge(algorithm: Algorithm, keys: Option<KeySet>) -> Judge {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = config::Store {
        backend: config::Backend::Sqlite(folder.path().join("fuzz.db")),
        max_connections: 1,
        connect_timeout: Duration::from_secs(5),
        query_timeout: Duration::from_secs(5),
        migrate_on_start: true,
        cleanup_every: Duration::from_secs(60),
        cleanup_batch: 1_000,
        revocations: config::Revocations::Database,
    };
    let store = Store::connect(&settings).await.expect("a store");
    store.migrate_up(NOW).await.expect("the schema");
    let blocklist = Blocklist::new(&config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_secs(60),
        max_staleness: Duration::from_secs(10),
        on_stale: OnStale::Allow,
    });
    blocklist.load(&store, NOW).await.expect("no revocations");
    let keys = match keys {
        Some(keys) => keys,
        None => {
            let master = MasterKey::from_bytes(&[7; 32]).expect("a master key");
            create_key(&store, &master, algorithm, NOW).await.expect("a key");
            load_keys(&store, &master, NOW).await.expect("the key")
        }
    };
    store.close().await;
    let settings = config::Tokens {
        issuer: ISSUER.to_owned(),
        audience: "doorward".to_owned(),
        algorithm,
        access_ttl: Duration::from_secs(900),
        refresh_ttl: Duration::from_secs(7 * 24 * 3600),
        session_ttl: Duration::from_secs(30 * 24 * 3600),
        leeway: LEEWAY,
        secret: None,
        cache_capacity: 100,
    };
    let tokens = Tokens::new(&settings, keys, Arc::new(blocklist));
    let subject = Subject {
        user: UserId::from_bytes([1; 16]),
        email: &"ann@example.com".parse().expect("an address"),
        name: &"Ann".parse().expect("a name"),
        roles: &["user".parse().expect("a role")],
        session: SessionId::from_bytes([2; 16]),
        generation: 1,
        session_expires_at: NOW + Duration::from_secs(3600),
    };
    let good = tokens.issue(&subject, NOW).expect("a token").text.expose().clone();
    tokens.authenticate(&good, NOW).expect("a good token");
    Judge { tokens, good }
}

fuzz_target!(|input: &[u8]| match input {
    [b'T', text @ ..] => {
        // Not looked at as a text before it is looked up.
        let known = JUDGES[0].tokens.recall(text, &TrustedIssuers::own(), NOW);
        if let Ok(text) = std::str::from_utf8(text) {
            let _ = read_unverified(text);
            for judge in &JUDGES[1..] {
                assert!(judge.tokens.authenticate(text, NOW).is_err(), "nobody signed this");
            }
            judge_shared(text);
            assert!(
                known.is_none() || JUDGES[0].tokens.authenticate(text, NOW).is_ok(),
                "remembered, and refused"
            );
        } else {
            assert!(known.is_none(), "no text, and known");
        }
    }
    [b'J', texts @ ..] => {
        let mut texts = texts.splitn(2, |byte| *byte == b'\n');
        let (head, payload) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(payload));
        judge_shared(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac(signed.as_bytes()))));
    }
    [which, changes @ ..] => {
        let judge = &JUDGES[usize::from(*which) % JUDGES.len()];
        let mut text = judge.good.clone().into_bytes();
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % (text.len() + 1);
            match (change[2], text.get_mut(at)) {
                (b'\0', Some(_)) => drop(text.remove(at)),
                (byte @ 0x80.., _) => text.insert(at, byte & 0x7f),
                (byte, Some(place)) => *place = byte,
                (byte, None) => text.push(byte),
            }
        }
        if let Ok(text) = std::str::from_utf8(&text)
            && judge.tokens.authenticate(text, NOW).is_ok()
        {
            assert_eq!(text, judge.good, "changed, and accepted");
        }
    }
    [] => {}
});

fn mac(signed: &[u8]) -> impl AsRef<[u8]> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed)
}

/// Holds what the gateway says of a token against what a plain reading of it says.
fn judge_shared(text: &str) {
    let tokens = &JUDGES[0].tokens;
    let verdict = tokens.authenticate(text, NOW);
    assert_eq!(tokens.authenticate(text, NOW).is_ok(), verdict.is_ok(), "seen before");
    let known = tokens.recall(text.as_bytes(), &TrustedIssuers::own(), NOW);
    let Ok(verified) = verdict else {
        assert!(known.is_none(), "refused, and remembered");
        return;
    };
    assert!(known.is_none_or(|known| known.is_ok()), "remembered as another");

    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("not three parts")
    };
    let decoded = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let signed = &text[..header.len() + 1 + payload.len()];
    assert_eq!(mac(signed.as_bytes()).as_ref(), decoded[2], "nobody signed this");

    let object = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).expect("an object");
    let (header, claims) = (object(&decoded[0]), object(&decoded[1]));
    assert_eq!(header.get("alg"), Some(&"HS256".into()));
    let typ = header["typ"].as_str().expect("a type").to_ascii_lowercase();
    assert!(typ == "at+jwt" || typ == "application/at+jwt");
    for name in ["crit", "b64", "enc", "zip", "jwk", "jku", "x5c", "x5u"] {
        assert!(!header.contains_key(name), "{name}");
    }
    check_claims(&claims, &verified);
    let over = verified.expires_at + LEEWAY;
    assert_eq!(tokens.authenticate(text, over).err(), Some(Refusal::Expired));
}

fn check_claims(claims: &Map<String, Value>, verified: &Verified) {
    let now = NOW.unix_seconds();
    let text = |name: &str| claims[name].as_str().expect("a text").to_owned();
    let time = |name: &str| claims[name].as_i64().expect("whole seconds");
    assert_eq!(text("iss"), ISSUER);
    let is_ours = |one: &Value| *one == "doorward";
    assert!(is_ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|all| all.iter().any(is_ours)));
    assert!(time("exp") > now - 5 && time("exp") == verified.expires_at.unix_seconds());
    assert!(time("iat") <= now + 65);
    assert!(!claims.contains_key("nbf") || time("nbf") <= now + 5);
    assert_eq!(
        (text("sub"), text("sid"), text("jti")),
        (
            verified.user.to_string(),
            verified.session.to_string(),
            verified.token.to_string()
        )
    );
    assert_eq!(claims["gen"].as_u64(), Some(u64::from(verified.generation)));
    let who = &verified.identity;
    let (email, name) = (
        who.email.as_ref().expect("an address"),
        who.name.as_ref().expect("a name"),
    );
    assert_eq!((text("email"), text("name")), (email.to_string(), name.to_string()));
    assert!(!text("name").chars().any(char::is_control) && !text("email").chars().any(|c| c.is_control() || c == ' '));
    let mut roles: Vec<&str> = claims["roles"]
        .as_array()
        .expect("roles")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    roles.sort_unstable();
    roles.dedup();
    assert!(who.roles.iter().map(|role| role.as_str()).eq(roles));
    assert_eq!(who.claims, *claims);
}
