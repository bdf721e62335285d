//! `[[issuers]]`

use std::path::PathBuf;
use std::time::Duration;

use super::Algorithm;
use crate::id::IssuerName;
use crate::rules::claim_path::ClaimPath;

/// `[[issuers]]`: somebody else whose tokens are accepted on the routes that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What routes and upstreams call it. No other issuer is called so.
    pub name: IssuerName,
    /// The `iss` of its tokens, compared byte by byte. No other issuer has it, nor have we.
    pub issuer: String,
    /// What its tokens are for: `aud` has to name one of these. At least one.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub source: KeySource,
    /// Authorities that vouch for the servers its keys come from, in PEM, in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The algorithms of its tokens (default RS256). At least one, none symmetric.
    pub algorithms: Vec<Algorithm>,
    /// What `typ` in the header of its tokens may be.
    pub token_types: TokenTypes,
    /// Which claims become the identity.
    pub claims: IssuerClaims,
    /// How often its keys are fetched (default 5 min; 100 ms to 1 d).
    pub refresh_every: Duration,
    /// How much time lies at the least between two fetches, whatever tokens ask for (default 30 s; 100 ms to 1 h).
    pub cooldown: Duration,
    /// How long keys count after they were last fetched (default 1 d; 100 ms to 365 d, more than `refresh_every`).
    pub keep: Duration,
    /// How long one fetch may take (default 5 s; 10 ms to 1 min).
    pub timeout: Duration,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK Set at this URL.
    Url(FetchUrl),
    /// The `jwks_uri` of the metadata at this URL (`OpenID Connect` Discovery 1.0, section 4).
    Discovery(FetchUrl),
    /// A JWK Set in this file.
    File(PathBuf),
}

/// Which claims of an issuer's tokens become the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerClaims {
    /// Who it is (default `sub`). A token without it is refused.
    pub user: ClaimPath,
    /// Their e-mail address.
    pub email: Option<ClaimPath>,
    /// Their name.
    pub name: Option<ClaimPath>,
    /// Their roles.
    pub roles: Option<ClaimPath>,
    /// What is put in front of each role (default nothing): at most 32 characters that a role may have.
    pub role_prefix: String,
}

/// What `typ` in the header of a token may be. At least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTypes {
    /// Whether it may be missing.
    pub none: bool,
    /// These, in lower case and without `application/` in front.
    pub named: Vec<String>,
}

impl TokenTypes {
    /// Whether a header with this `typ` (`None`: without) is of one of the types. Media types are compared without
    /// regard to case, and `application/` goes without saying (RFC 7515, section 4.1.9).
    #[must_use]
    pub fn contains(&self, typ: Option<&str>) -> bool {
        match typ {
            None => self.none,
            Some(typ) => {
                let typ = Self::fold(typ);
                self.named.contains(&typ)
            }
        }
    }

    /// A media type as it is compared.
    #[must_use]
    pub fn fold(typ: &str) -> String {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
    }
}

/// Where something may be fetched from: `https://`, or `http://` at a loopback address, where nobody else listens in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchUrl {
    /// Whether it is `https://`.
    pub secure: bool,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Host and port as written: the `Host` to send.
    pub authority: String,
    /// Path and query: begins with `/`.
    pub path: String,
}

/// Why a text is not a [`FetchUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFetchUrl {
    /// It is not such a URL.
    #[error("not an https:// URL, or one with a user, a password or a fragment")]
    Malformed,
    /// It would be fetched over the network without TLS.
    #[error("keys are fetched over https:// only; http:// is for loopback addresses")]
    Insecure,
}

impl FetchUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidFetchUrl> {
        use InvalidFetchUrl::{Insecure, Malformed};
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
        let uri: http::Uri = text.parse().ok().filter(|_| plain).ok_or(Malformed)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(Malformed),
        };
        let authority = uri.authority().ok_or(Malformed)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let has_port = authority.as_str().len() > authority.host().len();
        if host.is_empty() || authority.as_str().contains('@') || (has_port && authority.port_u16().is_none()) {
            return Err(Malformed);
        }
        if !secure && !is_loopback(host) {
            return Err(Insecure);
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

impl std::fmt::Display for FetchUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        // A query may hold a key to the service.
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_tls_unless_nobody_can_listen_in() {
        for (text, host, port, path) in [
            (
                "https://id.example.com/realms/x/certs",
                "id.example.com",
                443,
                "/realms/x/certs",
            ),
            ("https://ID.example.com:8443?a=b", "id.example.com", 8443, "/?a=b"),
            ("http://127.0.0.1:8080/keys", "127.0.0.1", 8080, "/keys"),
            ("http://[::1]/keys", "::1", 80, "/keys"),
            ("http://localhost/", "localhost", 80, "/"),
        ] {
            let url = FetchUrl::parse(text).unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.path.as_str()),
                (host, port, path),
                "{text}"
            );
        }
        for insecure in [
            "http://id.example.com/",
            "http://127.0.0.1.example.com/",
            "http://10.0.0.1/",
        ] {
            assert_eq!(FetchUrl::parse(insecure), Err(InvalidFetchUrl::Insecure), "{insecure}");
        }
        for bad in [
            "",
            "keys",
            "/keys",
            "ftp://a/",
            "https://",
            "https:///x",
            "https://u:p@a/",
            "https://a/#x",
            "https://a:x/",
            "https://a:/",
            "https://a b/",
            "https://ä/",
            "https://a:99999/",
        ] {
            assert_eq!(FetchUrl::parse(bad), Err(InvalidFetchUrl::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_token_type_is_compared_as_a_media_type() {
        let types = TokenTypes {
            none: false,
            named: vec!["at+jwt".to_owned()],
        };
        assert!(types.contains(Some("AT+JWT")) && types.contains(Some("application/at+jwt")));
        assert!(!types.contains(Some("jwt")) && !types.contains(None) && !types.contains(Some("")));
    }
}
