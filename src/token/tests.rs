//! The room as a whole: every kind of wrong token, and what is issued.

mod assertion;
mod encodings;
mod flood;
mod forge;
mod keys;
mod known;
mod properties;
mod revoked;
mod round_trip;
mod stored;
mod wrong_claims;
mod wrong_headers;
mod wrong_payloads;
mod wrong_signatures;
