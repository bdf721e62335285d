//! [`EventKind`]: what can happen.

use std::fmt;
use std::str::FromStr;

/// How it went for whoever did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or did not come to anything.
    Failure,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// The kinds, each with its name, so that none is without one.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// Every kind, in the order of the README.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name by which it is stored, logged and asked for.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Somebody made an account for themselves.
    Signup = "signup",
    /// A session began: with a login, or with a sign-up.
    Login = "login",
    /// Somebody tried to log in and was refused.
    LoginFailed = "login_failed",
    /// An attempt to log in was not looked at, as there were too many.
    LoginThrottled = "login_throttled",
    /// A sign-up was not looked at, as there were too many.
    SignupThrottled = "signup_throttled",
    /// A refresh token was not looked at, as there were too many that were no good, or its session was refreshed too often.
    RefreshThrottled = "refresh_throttled",
    /// The secret of a client was not looked at, as there were too many wrong ones.
    ClientThrottled = "client_throttled",
    /// What was held against an account, or an address, was forgotten.
    Unlocked = "unlocked",
    /// A refresh token was used again after its successor was: the session was ended.
    RefreshReplayed = "refresh_replayed",
    /// A user ended this session, the others, or all.
    Logout = "logout",
    /// A user ended one session by its id.
    SessionEnded = "session_ended",
    /// A user or the operator set a new password.
    PasswordChanged = "password_changed",
    /// A user did not know the password that they wanted to change.
    PasswordChangeFailed = "password_change_failed",
    /// A user's change of their password was not looked at, as there were too many attempts.
    PasswordChangeThrottled = "password_change_throttled",
    /// A user changed name, e-mail address, or both.
    UserChanged = "user_changed",
    /// An account was deleted.
    UserDeleted = "user_deleted",
    /// The operator made an account.
    UserAdded = "user_added",
    /// The operator kept an account from logging in.
    UserDisabled = "user_disabled",
    /// The operator let it log in again.
    UserEnabled = "user_enabled",
    /// The operator gave or took roles.
    RolesChanged = "roles_changed",
    /// A token was revoked by another service.
    TokenRevoked = "token_revoked",
    /// The first signing key was made.
    KeyCreated = "key_created",
    /// A signing key was made that replaces the others.
    KeyRotated = "key_rotated",
    /// A signing key was revoked.
    KeyRevoked = "key_revoked",
    /// All signing keys were sealed with another master key.
    KeysResealed = "keys_resealed",
    /// Signing keys whose time was over were deleted.
    KeyDeleted = "key_deleted",
    /// A gateway began to serve.
    Started = "started",
    /// A gateway took another configuration.
    ConfigReloaded = "config_reloaded",
    /// A gateway refused another configuration.
    ConfigRefused = "config_refused",
    /// Events were not recorded, as they came faster than they could be written.
    NotRecorded = "not_recorded",
}

impl EventKind {
    /// How it went for whoever did it.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Signup
            | Self::Login
            | Self::Logout
            | Self::SessionEnded
            | Self::PasswordChanged
            | Self::UserChanged
            | Self::UserDeleted
            | Self::UserAdded
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::RolesChanged
            | Self::Unlocked
            | Self::TokenRevoked
            | Self::KeyCreated
            | Self::KeyRotated
            | Self::KeyRevoked
            | Self::KeysResealed
            | Self::KeyDeleted
            | Self::Started
            | Self::ConfigReloaded => Outcome::Success,
            Self::LoginFailed
            | Self::LoginThrottled
            | Self::SignupThrottled
            | Self::RefreshThrottled
            | Self::ClientThrottled
            | Self::RefreshReplayed
            | Self::PasswordChangeFailed
            | Self::PasswordChangeThrottled
            | Self::ConfigRefused
            | Self::NotRecorded => Outcome::Failure,
        }
    }

    /// Whether it tells of an attempt that had to wait: whoever is refused can have as many of these as they like.
    #[must_use]
    pub const fn is_of_waiting(self) -> bool {
        matches!(
            self,
            Self::LoginThrottled
                | Self::SignupThrottled
                | Self::RefreshThrottled
                | Self::ClientThrottled
                | Self::PasswordChangeThrottled
        )
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of event")]
pub struct UnknownKind;

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own_that_fits_its_column() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(kind.as_str().len() <= 32, "{kind}");
        }
        assert_eq!("Login".parse::<EventKind>(), Err(UnknownKind));
    }
}
