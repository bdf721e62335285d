//! What clients may cost, and how it is known who they are.

use super::rows::WORD;
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[row(
    "server.proxy_protocol",
    "\"required\"",
    "proxy_protocol: Required",
    WORD,
)];
