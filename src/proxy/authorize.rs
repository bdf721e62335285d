//! Whether a request may pass: the way from its target to a [`Permit`].

use http::{HeaderMap, Method};

use super::{Exchange, Proxy, Refused, Route, Target, Trace, edge, upgrade};
use crate::limiter::{Client, Standing, network};
use crate::rules::bearer::{InvalidBearer, bearer_token};
use crate::rules::policy::{AuthMode, Permit, decide};
use crate::rules::route::Found;
use crate::time::{Moment, Timestamp};
use crate::token::Accepted;

/// A request that may pass.
pub(super) struct Authorized<'a> {
    pub(super) route: &'a Route,
    /// The token that says who it comes from, where one was looked at.
    pub(super) token: Option<Accepted>,
    pub(super) permit: Permit,
    /// How far the limits were used that it counted against; usually there are none.
    pub(super) standings: Vec<Standing>,
}

impl Proxy {
    /// Whether a request may pass, and by which route. What it learns is in `trace`, whatever it comes to.
    pub(super) async fn authorize(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        exchange: &Exchange<'_>,
        trace: &mut Trace,
    ) -> Result<Authorized<'_>, Refused> {
        let Exchange { target, moment, .. } = *exchange;
        let index = self.find(target, method)?;
        let route = self.routes.get(index).ok_or(Refused::NoRoute)?;
        trace.route = Some(index);
        // What needs no more than the address comes first, so that a flood of bad tokens is cheap to turn away.
        for gauge in [&self.at_once, &route.at_once].into_iter().flatten() {
            trace.places.push(gauge.enter().ok_or(Refused::Overloaded)?);
        }
        // Empty, it costs nothing.
        let mut standings = Vec::new();
        let mut client = Client {
            address: exchange.client,
            principal: None,
        };
        if !route.limits.is_empty() {
            self.count(&route.limits, client, moment, &mut standings).await?;
        }
        if route.client_certificate && exchange.caller.peer.certificate.is_none() {
            return Err(Refused::ClientCertificate);
        }
        let closed = route.edge.maintenance.as_ref();
        let closed = closed.filter(|closed| !edge::is_let_in(closed, exchange.client));
        let (token, permit) = match closed {
            None => self.identify(route, headers, moment.now, trace).await?,
            Some(closed) => {
                // Nobody but those who pass learns more than that the route is closed.
                let refused = Refused::Maintenance(closed.retry_after);
                if closed.roles.is_empty() {
                    return Err(refused);
                }
                match self.identify(route, headers, moment.now, trace).await {
                    Ok((token, permit)) if edge::is_one_of(&closed.roles, &permit) => (token, permit),
                    Ok(_) | Err(_) => return Err(refused),
                }
            }
        };
        if let Some(tally) = &route.at_once_per_user {
            let place = match &token {
                Some(token) => tally.enter(&(1, &token.identity().principal)),
                None => tally.enter(&(0, network(client.address))),
            };
            trace.places.push(place.ok_or(Refused::TooManyAtOnce)?);
        }
        client.principal = token.as_ref().map(|token| &token.identity().principal);
        if !route.user_limits.is_empty() {
            self.count(&route.user_limits, client, moment, &mut standings).await?;
        }
        Ok(Authorized {
            route,
            token,
            permit,
            standings,
        })
    }

    /// Who a request comes from, and whether that suffices.
    async fn identify(
        &self,
        route: &Route,
        headers: &mut HeaderMap,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(Option<Accepted>, Permit), Refused> {
        let token = self.authenticate(route, headers, now).await?;
        let identity = token.as_ref().map(Accepted::identity);
        trace.identity = identity.cloned();
        let permit = decide(&route.access, identity).map_err(Refused::Denied)?;
        Ok((token, permit))
    }

    /// Counts the request against these limits.
    async fn count(
        &self,
        limits: &[usize],
        client: Client<'_>,
        moment: Moment,
        standings: &mut Vec<Standing>,
    ) -> Result<(), Refused> {
        let counted = self.limiter.take(limits, client, moment.started, standings).await;
        counted.map_err(Refused::Limited)
    }

    pub(super) fn find(&self, target: &Target<'_>, method: &Method) -> Result<usize, Refused> {
        match self.table.find(target.host(), target.path(), method) {
            Found::Route(index) => Ok(index),
            Found::MethodNotAllowed(methods) => Err(Refused::Method(methods)),
            Found::None => Err(Refused::NoRoute),
        }
    }

    /// Who the request comes from. A route that asks for nobody does not look at the token at all.
    async fn authenticate(
        &self,
        route: &Route,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Accepted>, Refused> {
        if route.access.auth == AuthMode::None {
            return Ok(None);
        }
        let offered = if route.streams.token_in_protocol {
            upgrade::take_token(headers).map_err(Refused::Bearer)?
        } else {
            None
        };
        let sent = bearer_token(headers).map_err(Refused::Bearer)?;
        if offered.is_some() && sent.is_some() {
            return Err(Refused::Bearer(InvalidBearer::Several));
        }
        let issuers = &route.access.issuers;
        let token = match (&offered, sent) {
            (Some(offered), _) => offered,
            (None, Some(sent)) => match self.tokens.recall(sent.bytes(), issuers, now) {
                Some(judged) => return judged.map(Some).map_err(Refused::Token),
                None => sent.text().map_err(Refused::Bearer)?,
            },
            (None, None) => return Ok(None),
        };
        let accepted = self.tokens.accept(token, issuers, now).await;
        accepted.map(Some).map_err(Refused::Token)
    }
}
