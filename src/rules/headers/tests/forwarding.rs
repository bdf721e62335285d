//! What an upstream learns of earlier hops.

use super::{lines, request};

#[test]
fn an_untrusted_peer_says_nothing_about_earlier_hops() {
    let seen = request(&[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-anything", "1"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-envoy-original-path", "/admin"),
        ("true-client-ip", "6.6.6.6"),
        ("x-request-id", "spoofed"),
    ])
    .rewritten();
    assert_eq!(
        lines(&seen),
        [
            "forwarded: for=192.0.2.1;host=\"example.com:8080\";proto=http",
            "via: 1.1 doorward",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: example.com:8080",
            "x-forwarded-proto: http",
            "x-request-id: r-1",
        ]
    );
}

#[test]
fn a_trusted_peer_is_one_more_hop() {
    let seen = request(&[
        ("x-forwarded-for", "192.0.2.9"),
        ("x-forwarded-for", "192.0.2.8"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-real-ip", "192.0.2.9"),
        ("forwarded", "for=192.0.2.9"),
        ("via", "1.1 edge"),
    ])
    .behind("::ffff:10.0.0.1")
    .rewritten();
    assert_eq!(
        lines(&seen),
        [
            "forwarded: for=192.0.2.9, for=10.0.0.1;host=\"example.com:8080\";proto=http",
            "via: 1.1 doorward",
            "via: 1.1 edge",
            "x-forwarded-for: 192.0.2.9, 192.0.2.8, 10.0.0.1",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: https",
            "x-real-ip: 192.0.2.9",
            "x-request-id: r-1",
        ]
    );
    let first = request(&[]).behind("fd00::1").rewritten();
    assert_eq!(
        first["forwarded"],
        "for=\"[fd00::1]\";host=\"example.com:8080\";proto=http"
    );
    assert_eq!(
        (&first["x-forwarded-for"], &first["x-forwarded-proto"]),
        (&"fd00::1".parse().unwrap(), &"http".parse().unwrap())
    );
}
