//! JWK Sets of other issuers: a key that is taken is one that the set publishes for that algorithm, and never one that is
//! private or symmetric.
#![no_main]

use doorward::config::Algorithm;
use doorward::issuer::read_jwks;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// What only its owner should know.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fuzz_target!(|input: &[u8]| {
    let Ok((keys, ignored)) = read_jwks(input, Algorithm::ALL) else {
        return;
    };
    let again = read_jwks(input, Algorithm::ALL).expect("as before");
    assert_eq!((keys.len(), &ignored), (again.0.len(), &again.1));
    assert!(
        ignored
            .iter()
            .all(|(kid, _)| kid.chars().count() <= 64 && !kid.chars().any(char::is_control))
    );

    let set: Value = serde_json::from_slice(input).expect("JSON");
    let list = set["keys"].as_array().expect("a list");
    assert!(list.len() <= 100 && keys.len() <= list.len() * Algorithm::ALL.len());
    assert!(
        !keys.is_empty() || list.is_empty() || !ignored.is_empty(),
        "a key is gone without a word"
    );
    let fits = |jwk: &&Value, algorithm: Algorithm| {
        let text = |name: &str| jwk.get(name).map(|value| value.as_str().unwrap_or("no text"));
        let kind = match algorithm {
            Algorithm::EdDsa => text("kty") == Some("OKP") && text("crv") == Some("Ed25519"),
            Algorithm::Es256 => text("kty") == Some("EC") && text("crv") == Some("P-256"),
            Algorithm::Es384 => text("kty") == Some("EC") && text("crv") == Some("P-384"),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => false,
            _ => text("kty") == Some("RSA"),
        };
        kind && text("alg").is_none_or(|alg| alg == algorithm.as_str())
            && text("use").is_none_or(|usage| usage == "sig")
            && !PRIVATE.iter().any(|name| jwk.get(name).is_some())
    };
    let mut named = 0;
    for algorithm in Algorithm::ALL.iter().copied() {
        let mut kids: Vec<Option<&str>> = list.iter().map(|jwk| jwk.get("kid").and_then(Value::as_str)).collect();
        kids.sort_unstable();
        kids.dedup();
        for kid in kids {
            let Some(key) = keys.find(kid, algorithm) else { continue };
            assert_eq!(key.algorithm(), algorithm);
            let published = |jwk: &&Value| kid.is_none() || jwk.get("kid").and_then(Value::as_str) == kid;
            assert!(
                list.iter().filter(published).any(|jwk| fits(&jwk, algorithm)),
                "{kid:?}"
            );
            named += usize::from(kid.is_some());
        }
    }
    assert!(named <= keys.len());
    if !list
        .iter()
        .any(|jwk| Algorithm::ALL.iter().any(|algorithm| fits(&jwk, *algorithm)))
    {
        assert!(keys.is_empty());
    }
});
