/// Who a client is by the certificate that it has proved to hold the key of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's distinguished name (RFC 4514), the most specific part first.
    pub subject: String,
    /// The subject's alternative names, each with its kind: `DNS:`, `IP:`, `EMAIL:` or `URI:`.
    pub names: Vec<String>,
    /// SHA-256 of the certificate in DER, in lower-case hex.
    pub fingerprint: String,
}
