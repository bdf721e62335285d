//! `/auth/verify`: what other proxies ask (forward-auth). On the proxy path, as it is asked for each of their requests.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Response};

use super::record::Record;
use super::routes::Called;
use super::{Place, Snapshot, body};
use crate::config::Config;
use crate::metrics::{Metrics, RouteMetrics};
use crate::problem::{Code, Problem};
use crate::proxy::{Caller, Exchange, Peer, Refused, Target};
use crate::rules::original::Original;
use crate::rules::path::RequestPath;

/// Where the question is asked, where it is answered at all.
#[derive(Debug)]
pub(super) struct Verify {
    path: Arc<str>,
    /// Where such questions are counted, as soon as that is known.
    counted: Option<Arc<RouteMetrics>>,
}

impl Verify {
    pub(super) fn new(config: &Config) -> Option<Self> {
        let path = format!("{}/verify", config.auth.path).into();
        config.auth.verify.then_some(Self { path, counted: None })
    }

    /// Counts here.
    pub(super) fn count_in(&mut self, metrics: &Metrics) {
        self.counted = Some(Arc::new(metrics.route(&self.path)));
    }

    fn called(&self) -> Called {
        match &self.counted {
            Some(counted) => Called::Route(Arc::clone(counted)),
            None => Called::Other(Arc::clone(&self.path)),
        }
    }

    pub(super) fn is_at(&self, path: &RequestPath<'_>) -> bool {
        path.as_str() == &*self.path
    }
}

impl Snapshot {
    /// Answers the question. Nobody but a trusted proxy is told anything: the headers are its word alone.
    pub(super) async fn verify(
        &self,
        verify: &Verify,
        parts: Parts,
        place: Place<'_>,
        record: &mut Record,
    ) -> Result<Response<body::Kind>, Problem> {
        record.called(verify.called());
        if !place.caller.trusted {
            let why = "this endpoint is for the proxies in server.trusted_proxies alone";
            return Err(Problem::new(Code::NotFound, why));
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let problem = Problem::new(Code::MethodNotAllowed, "this endpoint takes GET, HEAD");
            return Err(problem.allow(HeaderValue::from_static("GET, HEAD")));
        }
        let original =
            Original::read(&parts.headers).map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
        let problem = |refused: Refused| refused.problem();
        let target = Target::read(&original.uri, Some(&original.host)).map_err(problem)?;
        if self.owned.claims(target.path()) {
            // No backend is to see it, whatever the routes are for.
            return Err(Problem::new(
                Code::NotFound,
                "the path is at or below auth.path: send such requests to the gateway itself",
            ));
        }
        // A certificate that the proxy has shown is not its client's.
        let caller = Caller {
            peer: Arc::new(Peer {
                certificate: None,
                ..Peer::clone(&place.caller.peer)
            }),
            ..place.caller.clone()
        };
        let exchange = Exchange {
            target: &target,
            caller: &caller,
            client: place.client,
            moment: place.moment,
            pools: place.pools,
        };
        let answer = self
            .proxy
            .verify(parts, &original.method, &exchange, record.trace())
            .await;
        answer
            .map(|response| response.map(body::Kind::Proxied))
            .map_err(problem)
    }
}
