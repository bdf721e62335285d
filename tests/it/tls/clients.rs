//! Clients that prove who they are with a certificate.

use std::process::Output;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, KeyIdMethod,
    RevokedCertParams, SanType, SerialNumber,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::authority::replace;
use super::{Authority, curl, https};
use crate::support::tools::output;
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, exchange, usual_routes, when};

/// A gateway that asks its clients for certificates of this authority.
async fn asking(clients: &Authority, how: &str, more: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[tls]\nlisten = '127.0.0.1:0'\nreload_every = '100ms'\nclient_auth = '{how}'\nclient_ca_file = '{}'\n{more}\n{}{}\
         [[routes]]\npath = '/machines'\nupstream = 'app'\nauth = 'none'\nclient_certificate = true\n",
        clients.ca_file().display(),
        // One authority for both sides is enough here.
        clients.certificate("server", &["site.example"]),
        usual_routes(&upstream)
    );
    (upstream, TestGateway::start(&toml).await)
}

/// A client's certificate in the authority's folder, with something else in it.
fn client(authority: &Authority, file: &str, change: impl FnOnce(&mut CertificateParams)) {
    let pair = authority.issue_with(&["ann.example"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::CommonName, "Ann");
        change(params);
    });
    authority.write(file, &pair);
}

/// What curl says that shows this certificate, if any.
async fn ask(authority: &Authority, gateway: &TestGateway, shown: Option<(&Authority, &str)>, path: &str) -> Output {
    let mut curl = curl(authority, "site.example", https(gateway), path);
    curl.args([
        "-H",
        "X-Auth-Client-Cert-Subject: CN=evil",
        "-H",
        "x_auth_client_cert_san: DNS:evil",
    ]);
    if let Some((from, file)) = shown {
        curl.arg("--cert").arg(from.path(&format!("{file}.pem")));
        curl.arg("--key").arg(from.path(&format!("{file}.key")));
    }
    output(curl).await
}

fn seen(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn an_upstream_is_told_who_has_proved_to_hold_the_key_and_nothing_that_a_client_says() {
    let authority = Authority::new("clients");
    let (_upstream, gateway) = asking(&authority, "optional", "").await;
    client(&authority, "ann", |params| {
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Cats, Dögs + 1");
        let uri = Ia5String::try_from("spiffe://cats/ann,1").unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
    });
    for path in ["/public", "/machines/x"] {
        let seen = seen(&ask(&authority, &gateway, Some((&authority, "ann")), path).await);
        let headers = &seen["headers"];
        let subject = headers["x-auth-client-cert-subject"].as_str().unwrap();
        assert_eq!(subject, r"O=Cats\, D%C3%B6gs \+ 1,CN=Ann", "{seen}");
        let names = "DNS:ann.example,URI:spiffe://cats/ann%2C1";
        assert_eq!(headers["x-auth-client-cert-san"], names, "{seen}");
        let fingerprint = headers["x-auth-client-cert-fingerprint"].as_str().unwrap();
        let mut openssl = crate::support::tools::program("openssl");
        openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]);
        openssl.arg(authority.path("ann.pem"));
        let said = crate::support::tools::stdout_of(openssl)
            .await
            .replace(':', "")
            .to_lowercase();
        assert!(said.trim().ends_with(&format!("fingerprint={fingerprint}")), "{said}");
    }
    // Without one: nobody, whatever the client says.
    let nobody = seen(&ask(&authority, &gateway, None, "/public").await);
    let text = nobody.to_string();
    assert!(
        !text.contains("evil") && !text.contains("client-cert") && !text.contains("client_cert"),
        "{text}"
    );
}

#[tokio::test]
async fn a_route_can_ask_for_a_certificate_that_the_listener_does_not_need() {
    let authority = Authority::new("route");
    let (upstream, gateway) = asking(&authority, "optional", "").await;
    client(&authority, "ann", |_| {});
    let refused = seen(&ask(&authority, &gateway, None, "/machines/x").await);
    assert_eq!(refused["code"], "client_certificate_required");
    assert_eq!(refused["status"], 403);
    seen(&ask(&authority, &gateway, Some((&authority, "ann")), "/machines/x").await);
    // Where there is no TLS, nobody has one.
    let plain = exchange(
        gateway.address,
        "GET /machines/x HTTP/1.1\r\nHost: a\r\nX-Auth-Client-Cert-Subject: CN=evil\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(plain.answers[0].problem(), "client_certificate_required");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_here_vouches_for_is_refused() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    for how in ["optional", "required"] {
        let (upstream, gateway) = asking(&authority, how, "").await;
        client(&authority, "good", |_| {});
        client(&authority, "expired", |params| {
            params.not_after = time::macros::datetime!(2020-01-01 0:00 UTC);
        });
        client(&authority, "early", |params| {
            params.not_before = time::macros::datetime!(2090-01-01 0:00 UTC);
            params.not_after = time::macros::datetime!(2091-01-01 0:00 UTC);
        });
        client(&authority, "server-only", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        client(&other, "good", |_| {});
        for (from, file) in [
            (&other, "good"),
            (&authority, "expired"),
            (&authority, "early"),
            (&authority, "server-only"),
        ] {
            let answer = ask(&authority, &gateway, Some((from, file)), "/public").await;
            assert!(
                !answer.status.success() && answer.stdout.is_empty(),
                "{how} {file}: {answer:?}"
            );
        }
        assert!(upstream.seen().is_empty());
        let without = ask(&authority, &gateway, None, "/public").await;
        assert_eq!(without.status.success(), how == "optional", "{without:?}");
        seen(&ask(&authority, &gateway, Some((&authority, "good")), "/public").await);
    }
}

/// The list of this authority on which this serial number stands, good for a while.
fn list(authority: &Authority, revoked: &[u64], good_for: time::Duration) -> String {
    let now = OffsetDateTime::from_unix_timestamp(crate::support::idp::now()).unwrap();
    let each = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: now - time::Duration::hours(1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: now - time::Duration::hours(2),
        next_update: now + good_for,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: each.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority.issuer).unwrap().pem().unwrap()
}

#[tokio::test]
async fn a_certificate_on_the_list_of_those_revoked_is_refused_from_when_it_stands_there() {
    let authority = Authority::new("revoking");
    let file = authority.path("revoked.crl");
    let hour = time::Duration::hours(1);
    std::fs::write(&file, list(&authority, &[], hour)).unwrap();
    client(&authority, "ann", |params| {
        params.serial_number = Some(SerialNumber::from(7));
    });
    client(&authority, "ben", |params| {
        params.serial_number = Some(SerialNumber::from(8));
    });
    let more = format!("client_crl_file = '{}'", file.display());
    let (_upstream, gateway) = asking(&authority, "required", &more).await;
    for name in ["ann", "ben"] {
        seen(&ask(&authority, &gateway, Some((&authority, name)), "/public").await);
    }
    replace(&file, &list(&authority, &[7], hour));
    eventually(DEADLINE, "Ann is refused", || async {
        let answer = ask(&authority, &gateway, Some((&authority, "ann")), "/public").await;
        when(!answer.status.success())
    })
    .await;
    seen(&ask(&authority, &gateway, Some((&authority, "ben")), "/public").await);
    // A list that is out of date tells nothing of anybody.
    replace(&file, &list(&authority, &[7], -hour));
    eventually(DEADLINE, "Ben is refused", || async {
        let answer = ask(&authority, &gateway, Some((&authority, "ben")), "/public").await;
        when(!answer.status.success())
    })
    .await;
}

#[tokio::test]
async fn with_certificates_of_clients_no_session_is_taken_up_again() {
    let authority = Authority::new("anew");
    let (_upstream, gateway) = asking(&authority, "required", "").await;
    client(&authority, "ann", |_| {});
    let script = "
import socket, ssl, sys
port, ca, cert, key, version = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
context.maximum_version = ssl.TLSVersion[version]
session = None
for n in range(2):
    with socket.create_connection(('127.0.0.1', int(port))) as raw:
        with context.wrap_socket(raw, server_hostname='site.example', session=session) as tls:
            tls.sendall(b'GET /public HTTP/1.1\\r\\nHost: site.example\\r\\nConnection: close\\r\\n\\r\\n')
            answer = b''
            while part := tls.recv(65536):
                answer += part
            assert b' 200 ' in answer.split(b'\\r\\n')[0], answer
            assert not tls.session_reused
            session = tls.session
print('done')
";
    for version in ["TLSv1_2", "TLSv1_3"] {
        let mut python = crate::support::tools::installed("python/bin/python");
        python.args(["-c", script, &https(&gateway).port().to_string()]);
        python.arg(authority.ca_file());
        python
            .arg(authority.path("ann.pem"))
            .arg(authority.path("ann.key"))
            .arg(version);
        let said = tokio::time::timeout(Duration::from_secs(30), output(python))
            .await
            .unwrap();
        assert!(said.status.success(), "{version}: {said:?}");
    }
}
