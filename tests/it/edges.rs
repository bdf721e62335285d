//! What routes do at their edges, beside forwarding.

mod browser;
mod closed;
mod cors;
mod headers;
mod paths;
