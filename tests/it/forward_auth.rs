//! `/auth/verify`: other proxies ask whether a request may pass.

mod asking;
mod proxies;
