//! [`Record`]: what is told of a request when its answer has ended: a log line and metrics.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::request::Parts;
use http::{Extensions, HeaderValue, Method, StatusCode, Uri};

use super::access::Access;
use super::body::Progress;
use super::routes::{Called, NO_ROUTE};
use super::text;
use crate::chain::Chain;
use crate::limiter::Place;
use crate::metrics::Metrics;
use crate::problem::Code;
use crate::proxy::{Caller, Trace, Traffic, TunnelEnd};
use crate::rules::trace_context::trace_id;
use crate::time::{recent, refresh};
use crate::upstream::UpstreamError;

/// One request, told of when dropped.
#[derive(Debug)]
pub(super) struct Record {
    metrics: Arc<Metrics>,
    started: Instant,
    method: Method,
    uri: Uri,
    client: IpAddr,
    request_id: HeaderValue,
    /// The `traceparent` of the trace that the request is part of.
    span: Option<HeaderValue>,
    log: bool,
    has_body: bool,
    /// How far the body of a request to one of our own endpoints has been read.
    own_body: Option<Arc<Progress>>,
    called: Called,
    trace: Trace,
    upstream: Option<Arc<str>>,
    status: StatusCode,
    code: Option<Code>,
    sent: u64,
    end: End,
    /// What passed in the tunnel that followed, where one did.
    traffic: Option<Arc<Traffic>>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not yet, or not as it should.
    Open,
    /// It was given out as a whole.
    Whole,
    /// It was ended for its token's sake.
    Cut,
}

impl Record {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        started: Instant,
        parts: &Parts,
        client: IpAddr,
        caller: &Caller,
        log: bool,
        has_body: bool,
    ) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics,
            started,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            client,
            request_id: caller.request_id.clone(),
            span: None,
            log,
            has_body,
            own_body: None,
            called: Called::Nothing,
            trace: Trace::default(),
            upstream: None,
            // What stands here if the client hangs up before there is an answer (nginx's 499 has no name in the standard).
            status: StatusCode::REQUEST_TIMEOUT,
            code: None,
            sent: 0,
            end: End::Open,
            traffic: None,
        }
    }

    /// What takes the request.
    pub(super) fn called(&mut self, called: Called) {
        self.called = called;
    }

    /// The request is part of the trace that this `traceparent` names.
    pub(super) fn part_of(&mut self, span: Option<HeaderValue>) {
        self.span = span;
    }

    /// What the pipeline learns of the request, as it learns it: it is there whatever becomes of the pipeline.
    pub(super) const fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// An upstream was asked.
    pub(super) fn reached(&mut self, upstream: Arc<str>) {
        self.upstream = Some(upstream);
    }

    /// What the request takes until its answer has ended.
    pub(super) fn holds(&mut self, place: Place) {
        self.trace.places.push(place);
    }

    /// Where to note how far the request's body has been read.
    pub(super) fn own_body(&mut self) -> Arc<Progress> {
        Arc::clone(self.own_body.get_or_insert_default())
    }

    /// Whether the request has a body of which something is left to read, as far as we know.
    pub(super) fn body_is_unread(&self) -> bool {
        let by_upstream = self.trace.body.as_ref().is_some_and(|body| body.has_ended());
        let by_us = self.own_body.as_ref().is_some_and(|body| body.has_ended());
        self.has_body && !by_upstream && !by_us
    }

    pub(super) fn problem(&mut self, code: Code) {
        self.code = Some(code);
    }

    /// The answer is one of our own endpoints', which says beside it what is wrong, if anything is.
    pub(super) fn own_problem(&mut self, beside: &mut Extensions) {
        if let Some(code) = beside.remove::<Code>() {
            self.metrics.problem(code);
            self.code = Some(code);
        }
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        // To a client of gRPC, every answer has the status 200.
        self.status = self.code.map_or(status, Code::status);
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// The answer's body has been given out to its end.
    pub(super) fn ended(&mut self) {
        if self.end == End::Open {
            self.end = End::Whole;
        }
    }

    /// What was under way was ended, unless it was whole: its token is not good any more.
    pub(super) fn ended_for(&mut self, code: Code) {
        if self.end != End::Open {
            return;
        }
        self.end = End::Cut;
        self.metrics.exchange_ended(code);
        self.code = Some(code);
    }

    /// A tunnel begins: where to count what passes.
    pub(super) fn tunnel(&mut self) -> Arc<Traffic> {
        self.metrics.tunnels.inc();
        self.end = End::Open;
        Arc::clone(self.traffic.get_or_insert_default())
    }

    /// How the tunnel ended.
    pub(super) fn tunnelled(&mut self, end: Result<(), TunnelEnd>) {
        match end {
            Ok(()) => self.ended(),
            Err(error) => {
                if let Some(code) = error.code() {
                    self.ended_for(code);
                } else {
                    let error = Chain(&error).to_string();
                    tracing::debug!(request_id = text(&self.request_id), error, "a tunnel broke off");
                }
            }
        }
    }

    /// An answer broke off, of itself if it was not ended.
    pub(super) fn broken(&mut self, error: &(dyn Error + 'static)) {
        if self.end == End::Cut {
            return;
        }
        tracing::warn!(
            request_id = text(&self.request_id),
            upstream = self.upstream.as_deref(),
            error = Chain(error).to_string(),
            "an answer broke off"
        );
    }

    pub(super) fn upstream_failed(&self, upstream: &str, code: Code, error: &UpstreamError) {
        self.metrics.upstream_error(upstream, code);
        tracing::warn!(
            request_id = text(&self.request_id),
            upstream,
            code = code.as_str(),
            error = Chain(error).to_string(),
            "an upstream did not answer"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // An answer that took an upstream was waited for, and the clock read when it came.
        if self.upstream.is_none() {
            refresh();
        }
        let now = recent();
        let took = now.saturating_duration_since(self.started);
        self.metrics.in_flight.dec();
        if self.traffic.is_some() {
            self.metrics.tunnels.dec();
        }
        match &self.called {
            Called::Route(counted) => counted.answered(&self.method, self.status, took),
            Called::Nothing => self.metrics.answered(NO_ROUTE, &self.method, self.status, took),
            Called::Other(name) => self.metrics.answered(name, &self.method, self.status, took),
        }
        if self.log {
            let forwarded = self.trace.body.as_ref().map(|body| body.bytes());
            let bytes_in = forwarded.or_else(|| Some(self.own_body.as_ref()?.bytes())).unwrap_or(0);
            let passed = |count: fn(&Traffic) -> &AtomicU64| {
                let traffic = self.traffic.as_ref();
                traffic.map_or(0, |traffic| count(traffic).load(Ordering::Relaxed))
            };
            let access = Access {
                method: self.method.as_str(),
                path: self.uri.path(),
                route: self.called.name(),
                status: self.status.as_u16(),
                code: self.code.map(Code::as_str),
                took,
                bytes_in: bytes_in + passed(|traffic| &traffic.received),
                bytes_out: self.sent + passed(|traffic| &traffic.sent),
                complete: self.end == End::Whole,
                client: self.client,
                user: self.trace.identity.as_ref().map(|identity| &identity.principal),
                upstream: self.upstream.as_deref(),
                request_id: text(&self.request_id),
                trace_id: self.span.as_ref().map(trace_id),
            };
            access.log(now);
        }
    }
}
