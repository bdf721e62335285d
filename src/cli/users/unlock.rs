//! `doorward users unlock`: forgets wrong passwords, at an account or from an address. Gateways that run go by it at once: they
//! keep none of this in memory.

use std::net::IpAddr;

use anyhow::Context;

use crate::cli::failure::Failure;
use crate::cli::keys::count;
use crate::cli::resources::Opened;
use crate::cli::say;
use crate::rules::throttle::{Kind, Rule};
use crate::store::audit::EventKind;
use crate::store::{AccountDigest, User};
use crate::time::Timestamp;

/// Whose wrong passwords are forgotten.
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The account's e-mail address or id
    #[arg(value_name = "USER", required_unless_present = "address")]
    pub(super) user: Option<super::Name>,
    /// What came from an address and its network, whatever the account
    #[arg(long, value_name = "ADDRESS")]
    pub(super) address: Option<IpAddr>,
}

pub(super) async fn run(args: &Args, opened: &Opened) -> Result<(), Failure> {
    if let Some(name) = &args.user {
        let user = name.find(opened).await?;
        let store = opened.recording(EventKind::Unlocked, Some(user.id));
        let lifted = store.lift_throttles(AccountDigest::of(Some(&user.email))).await;
        told(&user.email.to_string(), lifted.context("cannot unlock the account")?);
    }
    if let Some(address) = args.address {
        let store = opened.recording(EventKind::Unlocked, None);
        let lifted = store.lift_throttles_from(address).await;
        told(&address.to_string(), lifted.context("cannot unlock the address")?);
    }
    Ok(())
}

fn told(what: &str, lifted: u64) {
    match usize::try_from(lifted).unwrap_or(usize::MAX) {
        0 => say(format_args!("nothing was held against {what}")),
        rows => say(format_args!("unlocked {what}: {} forgotten", count(rows, "counter"))),
    }
}

/// Until when a login to the account has to wait somewhere, at the latest; `None`: nowhere.
pub(super) async fn waits(opened: &Opened, user: &User) -> anyhow::Result<Option<Timestamp>> {
    let tried = opened.store.tried(AccountDigest::of(Some(&user.email))).await;
    let tried = tried.context("cannot look up what was tried")?;
    let longest = tried.iter().filter_map(|tried| {
        let config = &opened.config.throttle;
        let rule = match tried.kind {
            Kind::KnownAddress | Kind::AccountFromNetwork => config.delays.map(Rule::Delays),
            Kind::Account => config.per_account.map(Rule::Quota),
            Kind::Address | Kind::Network | Kind::SignupAddress | Kind::SignupNetwork => None,
        };
        rule?.take(tried.count, opened.now).err()
    });
    Ok(longest.max().map(|wait| opened.now + wait))
}
