//! [`Record`]: what is told of a request when its answer has ended: a log line and metrics. No query string, no token, no
//! address of a person is in either.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};

use super::{NO_ROUTE, text};
use crate::metrics::Metrics;
use crate::problem::Code;
use crate::proxy::{Caller, Trace};
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
    log: bool,
    label: Option<Arc<str>>,
    trace: Trace,
    upstream: Option<Box<str>>,
    status: StatusCode,
    code: Option<Code>,
    sent: u64,
    broken: bool,
}

impl Record {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        started: Instant,
        parts: &Parts,
        client: IpAddr,
        caller: &Caller,
        log: bool,
    ) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics,
            started,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            client,
            request_id: caller.request_id.clone(),
            log,
            label: None,
            trace: Trace::default(),
            upstream: None,
            // What stands here if the client hangs up before there is an answer (nginx's 499 has no name in the standard).
            status: StatusCode::REQUEST_TIMEOUT,
            code: None,
            sent: 0,
            broken: true,
        }
    }

    pub(super) fn label(&mut self, label: Option<Arc<str>>) {
        self.label = label;
    }

    pub(super) fn traced(&mut self, trace: Trace, upstream: Option<&str>) {
        self.trace = trace;
        self.upstream = upstream.map(Into::into);
    }

    pub(super) fn problem(&mut self, code: Code) {
        self.code = Some(code);
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.status = status;
        self.broken = false;
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(super) fn broken(&mut self, error: &(dyn Error + 'static)) {
        self.broken = true;
        tracing::warn!(
            request_id = text(&self.request_id),
            upstream = self.upstream.as_deref(),
            error = chain(error),
            "an answer broke off"
        );
    }

    pub(super) fn upstream_failed(&self, upstream: &str, code: Code, error: &UpstreamError) {
        self.metrics.upstream_error(upstream, code);
        tracing::warn!(
            request_id = text(&self.request_id),
            upstream,
            code = code.as_str(),
            error = chain(error),
            "an upstream did not answer"
        );
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.in_flight.dec();
        let label = self.label.as_deref().unwrap_or(NO_ROUTE);
        self.metrics.answered(label, &self.method, self.status, took);
        if self.log {
            tracing::info!(
                target: "doorward::access",
                method = self.method.as_str(),
                path = self.uri.path(),
                route = label,
                status = self.status.as_u16(),
                code = self.code.map(Code::as_str),
                ms = took.as_secs_f64() * 1000.0,
                bytes_in = self.trace.body.as_ref().map_or(0, |body| body.bytes()),
                bytes_out = self.sent,
                complete = !self.broken,
                client = %self.client,
                user = self.trace.user.map(tracing::field::display),
                upstream = self.upstream.as_deref(),
                request_id = text(&self.request_id),
                "request"
            );
        }
    }
}
