//! `doorward users`: the operator's hand on accounts.
//!
//! What takes rights away (roles, disabling, a new password, removal) revokes the tokens that exist, in the database; each
//! running gateway knows it after its next poll (`revocation.poll_interval`).

mod add;
mod list;
mod unlock;

use std::io::Write;
use std::str::FromStr;

use anyhow::Context;
use clap::Subcommand;

use super::failure::Failure;
use super::globals::Globals;
use super::keys::count;
use super::password_source::PasswordSource;
use super::resources::{Opened, with_current_store};
use super::say;
use crate::id::{Email, MAX_ROLES, Role, UserId};
use crate::store::audit::EventKind;
use crate::store::{PasswordChanged, Revocation, RolesChange, User};
use crate::token::revoke_until;

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Make an account, also where sign-up is closed; prints the user's id
    Add(add::Args),
    /// List all accounts, the oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an account and its live sessions
    Show {
        #[command(flatten)]
        user: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an account's roles, or change them: its tokens so far are then refused, its sessions live on
    Roles {
        #[command(flatten)]
        user: Which,
        /// Take all roles away first
        #[arg(long)]
        clear: bool,
        /// Give a role; repeatable
        #[arg(long, value_name = "ROLE")]
        add: Vec<Role>,
        /// Take a role away; repeatable
        #[arg(long, value_name = "ROLE")]
        remove: Vec<Role>,
    },
    /// Keep an account from logging in, and end its sessions
    Disable(Which),
    /// Let a disabled account log in again
    Enable(Which),
    /// Forget wrong passwords, at an account or from an address, so that nobody has to wait for theirs
    Unlock(unlock::Args),
    /// Set a new password, and end all sessions
    Password {
        #[command(flatten)]
        user: Which,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Delete an account, and end its sessions
    Remove(Which),
}

/// One account, named in one of two ways.
#[derive(clap::Args, Debug)]
pub(super) struct Which {
    /// The account's e-mail address or id
    #[arg(value_name = "USER")]
    user: Name,
}

/// What an account is named by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Id(UserId),
    Email(Email),
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Email))
            .map_err(|_| "expected an e-mail address or a user id")
    }
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    match action {
        // Before the database is opened, or made.
        Action::Add(add::Args { password, roles, .. }) => {
            few_enough(roles)?;
            password.check()?;
        }
        Action::Password { password, .. } => password.check()?,
        Action::List { .. }
        | Action::Show { .. }
        | Action::Roles { .. }
        | Action::Disable(_)
        | Action::Enable(_)
        | Action::Unlock(_)
        | Action::Remove(_) => {}
    }
    with_current_store(globals, async |opened| match action {
        Action::Add(args) => add::run(args, opened, out).await,
        Action::List { json } => list::all(opened, *json, out).await,
        Action::Show { user, json } => list::one(opened, &user.find(opened).await?, *json, out).await,
        Action::Roles {
            user,
            clear,
            add,
            remove,
        } => {
            let change = RolesChange {
                clear: *clear,
                remove: remove.clone(),
                add: add.clone(),
            };
            roles(opened, &user.find(opened).await?, &change, out).await
        }
        Action::Disable(user) => {
            let user = user.find(opened).await?;
            let ended = opened
                .recording(EventKind::UserDisabled, Some(user.id))
                .disable_user(user.id, revoke_until(opened.now), opened.now)
                .await;
            done("disabled", &user, ended.context("cannot disable the account")?)
        }
        Action::Enable(user) => {
            let user = user.find(opened).await?;
            let store = opened.recording(EventKind::UserEnabled, Some(user.id));
            let found = store.enable_user(user.id, opened.now).await;
            let found = found.context("cannot enable the account")?.then(Vec::new);
            done("enabled", &user, found)
        }
        Action::Unlock(args) => unlock::run(args, opened).await,
        Action::Password { user, password } => {
            let user = user.find(opened).await?;
            let (email, name) = (user.email.clone(), user.name.clone());
            let hash = add::hash(&opened.config, password.read()?, email, name).await?;
            let until = revoke_until(opened.now);
            let changed = opened
                .recording(EventKind::PasswordChanged, Some(user.id))
                .change_password(user.id, None, hash.expose(), None, until, opened.now)
                .await;
            let ended = match changed.context("cannot set the password")? {
                PasswordChanged::Done(ended) => Some(ended),
                // The last two are of those who knew the old password, or have a session.
                PasswordChanged::NoUser | PasswordChanged::HashReplaced | PasswordChanged::SessionEnded => None,
            };
            done("set a new password for", &user, ended)
        }
        Action::Remove(user) => {
            let user = user.find(opened).await?;
            let ended = opened
                .recording(EventKind::UserDeleted, Some(user.id))
                .delete_user(user.id, None, revoke_until(opened.now), opened.now)
                .await;
            done("removed", &user, ended.context("cannot remove the account")?)
        }
    })
}

impl Which {
    async fn find(&self, opened: &Opened) -> anyhow::Result<User> {
        self.user.find(opened).await
    }
}

impl Name {
    async fn find(&self, opened: &Opened) -> anyhow::Result<User> {
        let (found, name) = match self {
            Self::Id(id) => (opened.store.user_by_id(*id).await, id.to_string()),
            Self::Email(email) => (opened.store.user_by_email(email).await, email.to_string()),
        };
        let found = found.context("cannot look the account up")?;
        found.with_context(|| format!("there is no account {name}"))
    }
}

async fn roles(opened: &Opened, user: &User, change: &RolesChange, out: &mut dyn Write) -> Result<(), Failure> {
    let roles = if change.is_empty() {
        user.roles.clone()
    } else {
        // An account that has too many may still lose some.
        let wanted = change.apply(&user.roles);
        if wanted.len() > user.roles.len() {
            few_enough(&wanted)?;
        }
        let changed = opened
            .recording(EventKind::RolesChanged, Some(user.id))
            .change_roles(user.id, change, revoke_until(opened.now), opened.now)
            .await;
        let changed = changed.context("cannot change the roles")?;
        let changed = changed.with_context(|| is_gone(user))?;
        if changed.revoked.is_some() {
            say(format_args!("changed the roles of {}", user.email));
        }
        changed.roles
    };
    for role in &roles {
        writeln!(out, "{role}")?;
    }
    Ok(())
}

/// Refuses more roles than a token has room for: nothing would accept it.
fn few_enough(roles: &[Role]) -> Result<(), Failure> {
    if roles.len() > MAX_ROLES {
        let text = format!("{} roles are too many: an account has at most {MAX_ROLES}", roles.len());
        return Err(Failure::Usage(text));
    }
    Ok(())
}

fn is_gone(user: &User) -> String {
    format!("there is no account {} any more", user.email)
}

/// Says what was done; `None` is a user who was removed since we looked.
fn done(what: &str, user: &User, ended: Option<Vec<Revocation>>) -> Result<(), Failure> {
    let ended = ended.with_context(|| is_gone(user))?;
    let sessions = match ended.len() {
        0 => String::new(),
        number => format!("; {} ended", count(number, "session")),
    };
    say(format_args!("{what} {}{sessions}", user.email));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_address_or_id() {
        assert!(matches!("Ann@Example.com".parse(), Ok(Name::Email(email)) if email.as_str() == "ann@example.com"));
        assert!(matches!(
            "0199c3e5-0000-7000-8000-000000000000".parse(),
            Ok(Name::Id(_))
        ));
        assert!("ann".parse::<Name>().is_err());
    }
}
