//! Several certificates on one address.

use super::{Authority, gateway, https, s_client};
use crate::support::Upstream;
use crate::support::tools::stdout_of;

#[tokio::test]
async fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let authority = Authority::new("names");
    let upstream = Upstream::echo().await;
    let certificates = [
        authority.certificate("first", &["first.example"]),
        authority.certificate("shop", &["shop.example", "*.shop.example"]),
        authority.certificate("address", &["127.0.0.1"]),
    ];
    let toml = format!("[tls]\nlisten = ['127.0.0.1:0']\n{}", certificates.concat());
    let gateway = gateway(&upstream, &toml).await;
    let address = https(&gateway);
    let ca = authority.ca_file();
    for (name, verifies) in [
        ("first.example", true),
        ("shop.example", true),
        ("www.shop.example", true),
        ("a.www.shop.example", false),
        ("unknown.example", false),
    ] {
        let answer = crate::support::tools::output(super::curl(&authority, name, address, "/public")).await;
        assert_eq!(answer.status.success(), verifies, "{name}: {answer:?}");
    }
    // Who names nobody gets the certificate for the address, if there is one.
    let by_address = super::curl(&authority, "127.0.0.1", address, "/public");
    stdout_of(by_address).await;
    // Who names somebody unknown gets the first.
    let args = ["-servername", "unknown.example", "-CAfile", super::text(&ca)];
    let args = [
        &args[..],
        &["-verify_hostname", "first.example", "-verify_return_error"],
    ]
    .concat();
    let (good, said) = s_client(address, &args).await;
    assert!(good && said.contains("Verification: OK"), "{said}");
}
