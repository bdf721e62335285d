//! Behaviour of the endpoints, in process, on SQLite.

mod account;
mod answers;
mod crowd;
mod documents;
mod guarded;
mod login;
mod logout;
mod refresh;
mod revoke_token;
mod sessions;
mod signup;
mod support;
