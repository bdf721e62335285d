//! What the endpoints answer with when they do what they were asked.

use serde::Serialize;
use utoipa::ToSchema;

use super::refresh_token::RefreshToken;
use crate::id::{Email, Role, UserId, UserName};
use crate::store::User;
use crate::time::Timestamp;
use crate::token::AccessToken;

/// A user, as the user sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserBody {
    /// The `sub` of the user's tokens.
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// The address in its normal form: lower-case, the domain in ASCII (IDNA).
    #[schema(value_type = String, format = Email, example = "ann@example.com")]
    email: Email,
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ann Lee")]
    name: UserName,
    /// Given by the operator; sorted.
    #[schema(value_type = Vec<String>, example = json!(["admin"]))]
    roles: Vec<Role>,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            roles: user.roles,
            created_at: user.created_at.to_string(),
        }
    }
}

/// The tokens of a session, and whose they are.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct TokensBody {
    /// The JWT (RFC 9068) to send as `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(minimum = 0, example = 900)]
    expires_in: i64,
    /// Good for one refresh. Keep it like a password.
    #[schema(min_length = 43, max_length = 43)]
    refresh_token: String,
    user: UserBody,
}

impl TokensBody {
    pub(super) fn new(access: &AccessToken, refresh: &RefreshToken, user: &User, now: Timestamp) -> Self {
        Self {
            access_token: access.text.expose().clone(),
            token_type: "Bearer",
            expires_in: access.expires_at.unix_seconds() - now.unix_seconds(),
            refresh_token: refresh.expose(),
            user: user.clone().into(),
        }
    }
}
