//! What routes do at their edges, beside forwarding.

mod paths;
