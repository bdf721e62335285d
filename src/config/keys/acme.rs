//! `[acme]`

use super::Default::{Unset, Value};
use super::Kind::{Bool, Duration, List, OneOf, Text};
use super::{DAY, Key, key, ms};

pub(super) static KEYS: &[Key] = &[
    key(
        "acme.domains",
        List("a host name such as \"www.example.com\", no wildcard"),
        Value("[]"),
        "The names of a certificate that Doorward gets and renews by itself (RFC 8555). It is shown like one of \
         `[[certificates]]`, after those.",
    ),
    key(
        "acme.directory_url",
        Text("an https:// URL"),
        Value("\"https://acme-v02.api.letsencrypt.org/directory\""),
        "The directory of the authority: Let's Encrypt, where nobody says.",
    ),
    key(
        "acme.ca_file",
        Text("the path of a file"),
        Unset,
        "Certificates in PEM that vouch for the directory's server, in place of the public authorities.",
    ),
    key(
        "acme.contact",
        Text("an e-mail address"),
        Unset,
        "Where the authority may write to.",
    ),
    key(
        "acme.agree_terms",
        Bool,
        Value("false"),
        "Whether you agree to the authority's terms of service. Without that there is no certificate.",
    ),
    key(
        "acme.challenge",
        OneOf(&["tls-alpn-01", "http-01"]),
        Value("\"tls-alpn-01\""),
        "How the authority sees that the names are yours: it connects to port 443 (`tls.listen`), or to port 80 \
         (`server.listen` or `tls.redirect_listen`).",
    ),
    key(
        "acme.storage",
        Text("the path of a folder"),
        Value("\"data/acme\""),
        "Where account and certificate are kept, readable for the owner alone. It has to survive a restart.",
    ),
    key(
        "acme.retry_every",
        Duration(ms(100), DAY),
        Value("\"1m\""),
        "How long to wait after a failure; twice as long after each one more, up to 6 h.",
    ),
];
