//! Another issuer: keys of its own, and a server that publishes them over real TLS, or does what the test says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::time::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    Clock::system().now().unix_seconds()
}

/// A key that an issuer signs with.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pub(crate) alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

impl Signer {
    /// A new key for this algorithm: RS256, PS256, ES256 or `EdDSA`.
    pub(crate) fn new(kid: &'static str, alg: &'static str) -> Self {
        let pair = match alg {
            "ES256" => Pair::Ec(Box::new(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            )),
            "EdDSA" => Pair::Ed(Box::new(Ed25519KeyPair::generate().unwrap())),
            _ => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self { kid, alg, pair }
    }

    /// The public key as a JWK without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let key = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) }),
        };
        let mut key = key;
        key["kid"] = self.kid.into();
        key["use"] = "sig".into();
        key
    }

    /// A token with the usual header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.alg, "typ": "JWT", "kid": self.kid }), claims)
    }

    /// A token with this header.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.sign_over(&message);
        format!("{message}.{}", encode(signature))
    }

    /// A signature over this.
    pub(crate) fn sign_over(&self, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = if self.alg == "PS256" {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }
}

/// How the server answers a request for the keys.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// With the key set.
    Keys(Value),
    /// With these bytes, whatever they are.
    Raw(String),
    /// Not at all: it takes the request and says nothing.
    Silent,
    /// It breaks off.
    Down,
}

struct State {
    mood: Mood,
    metadata: Value,
    fetches: usize,
}

/// The server. It stops when dropped.
pub(crate) struct Idp {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    dir: TempDir,
    task: JoinHandle<()>,
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Idp {
    /// One that publishes the keys of these signers.
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("https://{address}");
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Keys(key_set(signers)),
            metadata: json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }),
            fetches: 0,
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                connections.spawn(async move {
                    // A client that does not trust us hangs up.
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            match stream.read_u8().await {
                                Ok(byte) => head.push(byte),
                                Err(_) => return,
                            }
                        }
                        let answer = answer(&String::from_utf8_lossy(&head), &state);
                        let Some(answer) = answer else {
                            return std::future::pending().await;
                        };
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Self {
            address,
            state,
            dir,
            task,
        }
    }

    /// Its `iss`.
    pub(crate) fn issuer(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the authority that vouches for it.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// `[[issuers]]` for it, with these lines as well.
    pub(crate) fn toml(&self, name: &str, lines: &str) -> String {
        let (issuer, ca) = (self.issuer(), self.ca_file());
        let ca = ca.display();
        format!(
            "[[issuers]]\nname = '{name}'\nissuer = '{issuer}'\naudiences = ['api']\n\
             jwks_url = '{issuer}/keys'\nca_file = '{ca}'\n{lines}\n"
        )
    }

    /// The same, with discovery.
    pub(crate) fn toml_of_discovery(&self, name: &str, lines: &str) -> String {
        let jwks_url = format!("jwks_url = '{}/keys'", self.issuer());
        self.toml(name, lines).replace(&jwks_url, "discovery = true")
    }

    /// From now on it publishes the keys of these signers.
    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.set(Mood::Keys(key_set(signers)));
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn set_metadata(&self, metadata: Value) {
        self.state.lock().unwrap().metadata = metadata;
    }

    /// How often its keys have been asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.state.lock().unwrap().fetches
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer(), "aud": "api", "sub": "ann", "iat": now(), "exp": now() + 3600,
        })
    }
}

pub(crate) fn key_set(signers: &[&Signer]) -> Value {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() })
}

/// What to send, if anything.
fn answer(head: &str, state: &Mutex<State>) -> Option<String> {
    let mut state = state.lock().unwrap();
    let json = |value: &Value| {
        let body = value.to_string();
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    if head.starts_with("GET /.well-known/openid-configuration HTTP/1.1\r\n") {
        return Some(json(&state.metadata));
    }
    if !head.starts_with("GET /keys HTTP/1.1\r\n") {
        return Some("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned());
    }
    state.fetches += 1;
    match &state.mood {
        Mood::Keys(keys) => Some(json(keys)),
        Mood::Raw(text) => Some(text.clone()),
        Mood::Silent => None,
        Mood::Down => Some(String::new()),
    }
}

/// Ten times the cooldown of tests in which one has to be over: nothing that a client sees tells when it is.
pub(crate) const COOLED_DOWN: Duration = Duration::from_secs(1);
