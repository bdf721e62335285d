//! [`Code`]: every way in which a request can fail, by name.

use std::fmt;

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, as a stable name. Clients may rely on these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name that clients see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The status of an answer with this code.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// The title of an answer with this code: the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    /// The request could not be read as HTTP, or could be read in two ways.
    BadRequest = "bad_request", BAD_REQUEST, "Bad request";
    /// The request path could be read in two ways.
    AmbiguousPath = "ambiguous_path", BAD_REQUEST, "Ambiguous path";
    /// The body is not the JSON that the endpoint takes.
    Malformed = "malformed", BAD_REQUEST, "Malformed request body";
    /// The request of another service is not what the endpoint takes.
    InvalidRequest = "invalid_request", BAD_REQUEST, "Request not valid";
    /// The client asks for a protocol that the route does not relay.
    UpgradeRefused = "upgrade_refused", BAD_REQUEST, "Upgrade refused";
    /// No token was sent.
    TokenMissing = "token_missing", UNAUTHORIZED, "Authentication required";
    /// The token is not one of ours, or not intact.
    TokenInvalid = "token_invalid", UNAUTHORIZED, "Token not valid";
    /// The token's time is over.
    TokenExpired = "token_expired", UNAUTHORIZED, "Token expired";
    /// The token was revoked.
    TokenRevoked = "token_revoked", UNAUTHORIZED, "Token revoked";
    /// Unknown user, wrong password or disabled user: deliberately not told apart.
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "E-mail or password not accepted";
    /// The refresh token is unknown, expired, used before, or of an ended session.
    InvalidRefreshToken = "invalid_refresh_token", UNAUTHORIZED, "Refresh token not accepted";
    /// Another service did not prove who it is.
    InvalidClient = "invalid_client", UNAUTHORIZED, "Client not accepted";
    /// Another service may not do this.
    UnauthorizedClient = "unauthorized_client", FORBIDDEN, "Client not allowed";
    /// The identity lacks a role or claim that the route asks for.
    Forbidden = "forbidden", FORBIDDEN, "Not allowed";
    /// The route asks for a certificate, and the client has shown none.
    ClientCertificateRequired = "client_certificate_required", FORBIDDEN, "Client certificate required";
    /// Accounts are made by the operator only.
    SignupClosed = "signup_closed", FORBIDDEN, "Sign-up is closed";
    /// No route, endpoint or resource is there.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The route or endpoint is there, but not for this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The client was too slow to send its request.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "Request took too long to arrive";
    /// The address has an account already.
    EmailTaken = "email_taken", CONFLICT, "E-mail address already in use";
    /// The body is larger than the route or endpoint takes.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Request body too large";
    /// The request target is longer than the gateway takes.
    TargetTooLong = "target_too_long", URI_TOO_LONG, "Request target too long";
    /// The body is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Content type not supported";
    /// The body was read, but fields in it are not acceptable.
    InvalidFields = "invalid_fields", UNPROCESSABLE_ENTITY, "Some fields are not valid";
    /// The client has used up a limit.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Too many passwords, tokens or secrets were wrong, or too many accounts made.
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS, "Too many attempts";
    /// The header section is larger, or has more lines, than the gateway takes.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Request headers too large";
    /// The gateway failed in a way that it does not explain to clients.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error";
    /// The upstream could not be reached or broke off before it answered.
    UpstreamUnreachable = "upstream_unreachable", BAD_GATEWAY, "Upstream not reachable";
    /// The upstream answered with something that is not HTTP, or may not be relayed.
    UpstreamInvalid = "upstream_invalid", BAD_GATEWAY, "Upstream answer not valid";
    /// The queue for password hashing is full.
    Busy = "busy", SERVICE_UNAVAILABLE, "Too busy";
    /// The operator has closed the route for a while.
    Maintenance = "maintenance", SERVICE_UNAVAILABLE, "Down for maintenance";
    /// As many requests as are allowed are being answered.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Overloaded";
    /// The database did not answer in time.
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "Store not available";
    /// Revocations are not known well enough to let anybody in.
    RevocationsUnavailable = "revocations_unavailable", SERVICE_UNAVAILABLE, "Revocations not known";
    /// The keys of the token's issuer are not known.
    IssuerUnavailable = "issuer_unavailable", SERVICE_UNAVAILABLE, "Issuer not available";
    /// No server of the upstream is well, or all have as much to do as they may.
    UpstreamUnavailable = "upstream_unavailable", SERVICE_UNAVAILABLE, "Upstream not available";
    /// The upstream took too long to answer.
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT, "Upstream took too long";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
