//! `doorward users add`, and the judging and hashing of a password that an operator sets.

use std::io::Write;

use anyhow::Context;

use crate::cli::failure::Failure;
use crate::cli::password_source::PasswordSource;
use crate::cli::resources::Opened;
use crate::cli::say;
use crate::config::Config;
use crate::id::{Email, Role, UserId, UserName};
use crate::password::{Hasher, Password};
use crate::secret::Secret;
use crate::store::audit::EventKind;
use crate::store::{NewUser, WriteUserError};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The e-mail address to log in with
    #[arg(long)]
    email: Email,
    /// What the user is called
    #[arg(long)]
    name: UserName,
    /// A role to give; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<Role>,
    #[command(flatten)]
    pub(super) password: PasswordSource,
}

pub(super) async fn run(args: &Args, opened: &Opened, out: &mut dyn Write) -> Result<(), Failure> {
    // Before anybody types a password for nothing. The database has the last word all the same.
    let taken = opened.store.user_by_email(&args.email).await;
    if taken.context("cannot look the address up")?.is_some() {
        return Err(taken_already(&args.email));
    }
    let password = args.password.read()?;
    let user = NewUser {
        id: UserId::generate(opened.now),
        email: args.email.clone(),
        name: args.name.clone(),
        password_hash: hash(&opened.config, password, args.email.clone(), args.name.clone()).await?,
        roles: args.roles.clone(),
        now: opened.now,
    };
    match opened
        .recording(EventKind::UserAdded, Some(user.id))
        .create_user(&user)
        .await
    {
        Ok(user) => {
            say(format_args!("added {}:", user.email));
            Ok(writeln!(out, "{}", user.id)?)
        }
        Err(WriteUserError::EmailTaken) => Err(taken_already(&args.email)),
        Err(WriteUserError::Store(error)) => Err(anyhow::Error::new(error).context("cannot add the account").into()),
    }
}

fn taken_already(email: &Email) -> Failure {
    Failure::Failed(anyhow::anyhow!("there is an account {email} already"))
}

/// Judges a new password as sign-up does, and hashes it.
pub(super) async fn hash(
    config: &Config,
    password: Secret<String>,
    email: Email,
    name: UserName,
) -> anyhow::Result<Secret<String>> {
    let password = Password::parse(password).context("the password is not acceptable")?;
    let hasher = Hasher::new(&config.passwords);
    let judged = hasher.judge(password.clone(), Some(email), Some(name)).await;
    judged
        .context("cannot judge the password")?
        .context("the password is not acceptable")?;
    hasher.hash(password).await.context("cannot hash the password")
}
