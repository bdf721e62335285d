//! `doorward users list` and `show`.

use std::io::Write;

use anyhow::Context;
use serde_json::{Value, json};

use super::unlock;
use crate::cli::failure::Failure;
use crate::cli::resources::Opened;
use crate::cli::table;
use crate::id::Role;
use crate::store::{Session, User};

/// How many users one query asks for.
const PAGE: u32 = 500;

pub(super) async fn all(opened: &Opened, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|user| user.id);
        let page = opened.store.list_users(after, PAGE).await;
        let page = page.context("cannot list the accounts")?;
        let full = page.len() >= PAGE as usize;
        users.extend(page);
        if !full {
            break;
        }
    }
    if json {
        let rows: Vec<Value> = users.iter().map(as_json).collect();
        return Ok(writeln!(out, "{:#}", json!(rows))?);
    }
    let row = |user: &User| {
        let state = if user.disabled_at.is_some() {
            "disabled"
        } else {
            "active"
        };
        let (email, name) = (user.email.to_string(), user.name.to_string());
        [
            user.id.to_string(),
            email,
            name,
            joined(&user.roles),
            state.to_owned(),
            user.created_at.to_string(),
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    table::print(out, ["ID", "E-MAIL", "NAME", "ROLES", "STATE", "SINCE"], &rows)
}

pub(super) async fn one(opened: &Opened, user: &User, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let sessions = opened.store.live_sessions(user.id, opened.now).await;
    let sessions = sessions.context("cannot list the sessions")?;
    let waits = unlock::waits(opened, user).await?;
    if json {
        let mut shown = as_json(user);
        shown["throttled_until"] = json!(waits.map(|until| until.to_string()));
        shown["sessions"] = sessions.iter().map(session_as_json).collect();
        return Ok(writeln!(out, "{shown:#}")?);
    }
    let disabled = user
        .disabled_at
        .map_or_else(|| "no".to_owned(), |at| format!("since {at}"));
    let throttled = waits.map_or_else(
        || "no".to_owned(),
        |until| format!("somewhere, until {until} at the latest"),
    );
    for (label, value) in [
        ("id", user.id.to_string()),
        ("e-mail", user.email.to_string()),
        ("name", user.name.to_string()),
        ("roles", joined(&user.roles)),
        ("disabled", disabled),
        ("throttled", throttled),
        ("created", user.created_at.to_string()),
        ("changed", user.updated_at.to_string()),
        ("sessions", sessions.len().to_string()),
    ] {
        writeln!(out, "{label:<9} {value}")?;
    }
    if sessions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<_> = sessions.iter().map(session_row).collect();
    table::print(
        out,
        ["SESSION", "SINCE", "LAST USED", "ENDS", "ADDRESS", "USER AGENT"],
        &rows,
    )
}

fn joined(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "-".to_owned();
    }
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(",")
}

fn session_row(session: &Session) -> [String; 6] {
    [
        session.id.to_string(),
        session.created_at.to_string(),
        session.last_used_at.to_string(),
        session.expires_at.to_string(),
        session.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
        table::plain(session.user_agent.as_deref().unwrap_or("-")),
    ]
}

fn as_json(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "roles": user.roles,
        "disabled_at": user.disabled_at.map(|at| at.to_string()),
        "created_at": user.created_at.to_string(),
        "updated_at": user.updated_at.to_string(),
    })
}

fn session_as_json(session: &Session) -> Value {
    json!({
        "id": session.id,
        "created_at": session.created_at.to_string(),
        "last_used_at": session.last_used_at.to_string(),
        "expires_at": session.expires_at.to_string(),
        "ip": session.ip,
        "user_agent": session.user_agent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_listed_with_commas() {
        let roles = ["a", "b"].map(|role| role.parse().unwrap());
        assert_eq!((joined(&roles), joined(&[])), ("a,b".to_owned(), "-".to_owned()));
    }
}
