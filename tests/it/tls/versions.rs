//! What is spoken, and what is no longer.

use super::{Authority, gateway, https, s_client, secured};
use crate::support::Upstream;

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let authority = Authority::new("versions");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    for (version, spoken) in [
        ("-tls1_3", true),
        ("-tls1_2", true),
        ("-tls1_1", false),
        ("-tls1", false),
    ] {
        let (good, said) = s_client(https(&gateway), &[version, "-cipher", "ALL:@SECLEVEL=0"]).await;
        assert_eq!(good, spoken, "{version}: {said}");
    }
    // No forward secrecy, no authenticated encryption: no.
    for cipher in [
        "AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        let (good, said) = s_client(https(&gateway), &["-tls1_2", "-cipher", cipher]).await;
        assert!(!good, "{cipher}: {said}");
    }
}

#[tokio::test]
async fn tls_1_3_alone_is_spoken_where_it_is_the_least() {
    let authority = Authority::new("newest");
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["site.example"]);
    let toml = format!("[tls]\nlisten = '127.0.0.1:0'\nmin_version = '1.3'\n{certificates}");
    let gateway = gateway(&upstream, &toml).await;
    assert!(s_client(https(&gateway), &["-tls1_3"]).await.0);
    assert!(!s_client(https(&gateway), &["-tls1_2"]).await.0);
}

#[tokio::test]
async fn the_protocol_within_is_agreed_upon_or_the_connection_ends() {
    let authority = Authority::new("alpn");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    for (offered, agreed) in [
        ("http/1.1", "http/1.1"),
        ("spdy/3,http/1.1", "http/1.1"),
        ("http/1.1,h2", "h2"),
    ] {
        let (good, said) = s_client(https(&gateway), &["-alpn", offered]).await;
        assert!(good && said.contains(&format!("ALPN protocol: {agreed}")), "{said}");
    }
    // A client that speaks something else alone is told so (RFC 7301, section 3.2).
    for alien in ["imap", "acme-tls/1"] {
        let (good, said) = s_client(https(&gateway), &["-alpn", alien]).await;
        assert!(!good, "{alien}: {said}");
    }
}
