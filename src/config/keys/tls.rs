//! `[tls]` and `[[certificates]]`.

use super::Default::{Derived, Required, Unset, Value};
use super::Kind::{Duration, Integer, List, OneOf, Text};
use super::{DAY, Key, key, ms};

pub(super) static KEYS: &[Key] = &[
    key(
        "tls.listen",
        List("an IP address and port such as \"0.0.0.0:443\" or \"[::]:443\""),
        Value("[]"),
        "Where HTTPS is served. Needs a certificate. Port 0 asks the system for a free one.",
    ),
    key(
        "tls.min_version",
        OneOf(&["1.2", "1.3"]),
        Value("\"1.2\""),
        "The oldest TLS that is spoken.",
    ),
    key(
        "tls.reload_every",
        Duration(ms(100), DAY),
        Value("\"10s\""),
        "How often the files are read again: a certificate that was renewed is served from then on.",
    ),
    key(
        "tls.redirect_listen",
        List("an IP address and port such as \"0.0.0.0:80\" or \"[::]:80\""),
        Value("[]"),
        "Where clients without TLS are sent to the same host and path with it (308), and nothing else is served.",
    ),
    key(
        "tls.redirect_port",
        Integer(1, 65_535),
        Derived("the port of the first `tls.listen`"),
        "The port that they are sent to.",
    ),
    key(
        "tls.hsts",
        Text("the value of Strict-Transport-Security, such as \"max-age=31536000; includeSubDomains\""),
        Unset,
        "What answers over TLS tell browsers in `Strict-Transport-Security`, in place of what an upstream says.",
    ),
    key(
        "tls.client_auth",
        OneOf(&["off", "optional", "required"]),
        Value("\"off\""),
        "Whether clients are asked for a certificate. `optional`: one that is shown has to be good. `required`: no other \
         client is served over TLS.",
    ),
    key(
        "tls.client_ca_file",
        Text("the path of a file"),
        Unset,
        "The authorities (PEM) that vouch for clients. Needed where clients are asked.",
    ),
    key(
        "tls.client_crl_file",
        Text("the path of a file"),
        Unset,
        "The lists (PEM) of certificates that these authorities have revoked. What is on no list that is in date is refused, \
         too.",
    ),
    key(
        "certificates[].cert_file",
        Text("the path of a file"),
        Required,
        "The certificate and those between it and its authority, in PEM. It is shown to clients that ask for one of its \
         names; the first `[[certificates]]` to all others.",
    ),
    key(
        "certificates[].key_file",
        Text("the path of a file"),
        Required,
        "Its private key, in PEM and not encrypted.",
    ),
];
