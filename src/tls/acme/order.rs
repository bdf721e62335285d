//! One order, from the account to the certificate.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::AcmeError;
use super::challenges::Challenges;
use super::client::Client;
use super::storage::Storage;
use crate::config::{self, AcmeChallenge};

/// How an authority that takes its time is asked again.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .timeout(Duration::from_mins(2));

/// Closes the challenges, whatever became of the order.
struct Open<'a>(&'a Challenges);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Gets a certificate: key and chain, in PEM.
pub(super) async fn order(
    acme: &config::Acme,
    storage: &Storage,
    challenges: &Challenges,
) -> Result<String, AcmeError> {
    let account = account(acme, storage).await?;
    let names: Vec<Identifier> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let _open = Open(challenges);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let (kind, text) = match acme.challenge {
            AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
            AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
        };
        let challenge = authorization.challenge(kind);
        let mut challenge = challenge.ok_or_else(|| AcmeError::NoChallenge(text, name.clone()))?;
        let answer = challenge.key_authorization();
        match acme.challenge {
            AcmeChallenge::TlsAlpn01 => challenges.open_tls_alpn01(&name, answer.digest().as_ref())?,
            AcmeChallenge::Http01 => challenges.open_http01(&challenge.token, answer.as_str()),
        }
        challenge.set_ready().await?;
    }
    if order.poll_ready(&POLLING).await? != OrderStatus::Ready {
        return Err(AcmeError::Invalid);
    }
    let mut params = CertificateParams::new(acme.domains.clone())?;
    params.distinguished_name = DistinguishedName::new();
    // A key of its own for each certificate.
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    Ok(format!("{}{chain}", key.serialize_pem()))
}

/// The account that is kept, or one that is made.
async fn account(acme: &config::Acme, storage: &Storage) -> Result<Account, AcmeError> {
    let builder = || Ok::<_, AcmeError>(Account::builder_with_http(Box::new(Client::new(acme)?)));
    if let Some(kept) = storage.account()? {
        return Ok(builder()?.from_credentials(kept).await?);
    }
    let contact = acme.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        // Without it the configuration is not valid.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let made = builder()?.create(&wanted, acme.directory_url.clone(), None).await;
    let (account, credentials): (Account, AccountCredentials) = made?;
    storage.keep_account(&credentials)?;
    Ok(account)
}
