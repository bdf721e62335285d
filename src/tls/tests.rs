//! Which certificate is chosen, and what becomes of files that are not good.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::SignatureScheme::{ECDSA_NISTP256_SHA256, ED25519};
use tempfile::TempDir;

use super::certificate::{Certificate, Source};
use super::choice::Choice;
use super::state::inspect;
use super::{Standing, Summary};
use crate::config::{CertificateFiles, Tls as Settings};
use crate::time::Timestamp;
use zeroize::Zeroizing;

fn certificate(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let contents = |text: String| Zeroizing::new(text.into_bytes());
    let (cert, key) = (contents(certificate.pem()), contents(key.serialize_pem()));
    let source = |contents| Source {
        key: "certificates[0].cert_file",
        path: Path::new("test.pem"),
        contents,
    };
    Certificate::read(
        source(&cert),
        source(&key),
        &rustls::crypto::aws_lc_rs::default_provider(),
    )
    .unwrap()
}

fn ecdsa(names: &[&str]) -> Certificate {
    certificate(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

/// The place of the chosen certificate.
fn chosen(all: &[Certificate], name: Option<&str>, schemes: &[rustls::SignatureScheme]) -> Option<usize> {
    let key = Choice::new(all).choose(name, schemes)?;
    all.iter().position(|one| std::sync::Arc::ptr_eq(&one.key, &key))
}

#[test]
fn a_name_gets_the_certificate_that_is_for_it() {
    let all = [
        ecdsa(&["first.example"]),
        ecdsa(&["*.shop.example", "shop.example"]),
        ecdsa(&["api.shop.example", "10.0.0.1"]),
    ];
    for (name, expected) in [
        ("first.example", 0),
        ("FIRST.example.", 0),
        ("shop.example", 1),
        ("www.shop.example", 1),
        ("api.shop.example", 2),
        // A wildcard is for one label, and for one at all.
        ("a.b.shop.example", 0),
        ("nobody.example", 0),
        ("example", 0),
        ("", 0),
    ] {
        assert_eq!(
            chosen(&all, Some(name), &[ECDSA_NISTP256_SHA256]),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(chosen(&all, None, &[ECDSA_NISTP256_SHA256]), Some(0));
    assert_eq!(chosen(&[], Some("a"), &[ECDSA_NISTP256_SHA256]), None);
}

#[test]
fn of_two_for_one_name_a_client_gets_the_one_that_it_can_verify() {
    let all = [certificate(&["a.example"], &rcgen::PKCS_ED25519), ecdsa(&["a.example"])];
    for name in [Some("a.example"), None] {
        assert_eq!(chosen(&all, name, &[ED25519, ECDSA_NISTP256_SHA256]), Some(0));
        assert_eq!(chosen(&all, name, &[ECDSA_NISTP256_SHA256]), Some(1));
    }
}

#[test]
fn a_certificate_is_said_to_end_before_it_does() {
    let summary = Summary {
        file: PathBuf::new(),
        names: Vec::new(),
        addresses: Vec::new(),
        not_before: Timestamp::from_unix_seconds(0),
        not_after: Timestamp::from_unix_seconds(31 * 86_400),
    };
    let at = |seconds| summary.standing(Timestamp::from_unix_seconds(seconds));
    assert_eq!(at(0), Standing::Good);
    assert!(matches!(at(86_401), Standing::EndsSoon(_)));
    assert_eq!(at(31 * 86_400), Standing::Expired);
    assert_eq!(at(i64::MAX / 1000), Standing::Expired);
}

/// What is said of a pair of files with these contents.
fn said(cert: &[u8], key: &[u8]) -> Result<Summary, String> {
    let dir = TempDir::new().unwrap();
    let files = CertificateFiles {
        cert_file: dir.path().join("cert.pem"),
        key_file: dir.path().join("key.pem"),
    };
    std::fs::write(&files.cert_file, cert).unwrap();
    std::fs::write(&files.key_file, key).unwrap();
    let settings = Settings {
        certificates: vec![files],
        ..Settings::default()
    };
    let mut all = inspect(&settings);
    all.remove(0).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_key_and_name() {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let (cert, key) = (cert.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let other = KeyPair::generate().unwrap().serialize_pem();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let legacy = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                  -----END EC PRIVATE KEY-----\n";
    let broken_cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(said(cert.as_bytes(), key.as_bytes()).unwrap().names, ["a.example"]);
    for (cert, key, name, why) in [
        ("", key.as_str(), "cert_file", "empty"),
        (&key, &key, "cert_file", "no certificate in PEM"),
        ("hello", &key, "cert_file", "no certificate in PEM"),
        (broken_cert, &key, "cert_file", "can't be read"),
        (&cert, "", "key_file", "empty"),
        (&cert, &cert, "key_file", "no private key in PEM"),
        (&cert, &other, "key_file", "not the private key of the certificate in"),
        (&cert, &encrypted, "key_file", "encrypted"),
        (&cert, legacy, "key_file", "encrypted"),
        (&cert, broken_key, "key_file", "can't be used"),
    ] {
        let error = said(cert.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.contains(&format!("certificates[0].{name} /")), "{error}");
        assert!(error.contains(why), "{why:?} is not in {error}");
        // The files themselves are in no error.
        assert!(!error.contains("AAAA"), "{error}");
    }
    let missing = Settings {
        certificates: vec![CertificateFiles {
            cert_file: "/nowhere/at/all".into(),
            key_file: "/nowhere/at/all".into(),
        }],
        ..Settings::default()
    };
    let error = inspect(&missing).remove(0).unwrap_err().to_string();
    assert!(
        error.contains("certificates[0].cert_file /nowhere/at/all: No such file"),
        "{error}"
    );
    let large = said(&vec![b'x'; 5 << 20], key.as_bytes()).unwrap_err();
    assert!(large.contains("larger than 4096 KiB"), "{large}");
}

proptest! {
    #[test]
    fn no_file_is_too_odd_to_be_refused(cert in prop::collection::vec(any::<u8>(), 0..200), der in prop::collection::vec(any::<u8>(), 0..200)) {
        use base64::Engine as _;
        prop_assert!(said(&cert, b"x").is_err());
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        prop_assert!(said(pem.as_bytes(), b"x").is_err());
    }
}
