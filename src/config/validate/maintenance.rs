//! `routes[].maintenance`.

use super::routes::Reader;
use super::server::network;
use crate::config::error::Complaint;
use crate::config::{raw, typed};

impl Reader<'_, '_> {
    /// Whether the route is closed for a while, and for whom it is not.
    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    pub(super) fn maintenance(&mut self, route: &raw::Route) -> Option<Option<typed::Maintenance>> {
        let said = &route.maintenance;
        let (mut networks, mut roles) = (Vec::new(), Vec::new());
        for (index, text) in said.networks.iter().enumerate() {
            match network(text) {
                Some(network) => networks.push(network),
                None => self.invalid(&format!("maintenance.networks[{index}]"), "not a network", text),
            }
        }
        for (index, text) in said.roles.iter().enumerate() {
            match text.parse() {
                Ok(role) => roles.push(role),
                Err(error) => self.invalid(&format!("maintenance.roles[{index}]"), format!("{error}"), text),
            }
        }
        if !said.roles.is_empty() && route.auth == "none" {
            let complaint = Complaint::new("asked of requests whose token is not looked at")
                .found("auth = \"none\"")
                .allowed("only with auth = \"required\" or \"optional\"");
            self.check
                .conflict(&self.key("maintenance.roles"), &self.key("auth"), complaint);
            return None;
        }
        if networks.len() != said.networks.len() || roles.len() != said.roles.len() {
            return None;
        }
        Some(said.on.then_some(typed::Maintenance {
            retry_after: said.retry_after,
            networks,
            roles,
        }))
    }
}
