//! The private listener: `/healthz`, `/readyz` and `/metrics`. It is bound apart from the public one and knows no user.

mod readiness;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use readiness::Readiness;

use crate::metrics::Metrics;
use crate::problem::{Code, Problem};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a scraper may take to send its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub async fn serve(
    listener: &TcpListener,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut told = false;
    loop {
        let stream = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    told = false;
                    stream
                }
                Err(error) => {
                    metrics.accept_failures.inc();
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "the admin listener can't accept");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (readiness, metrics, mut stop) = (Arc::clone(readiness), Arc::clone(metrics), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = answer(&request, &readiness, &metrics);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {
                    // What is being answered is answered.
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(HEAD_TIMEOUT, connection).await;
                }
            }
        });
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the gateway is gone, which is as good as being told.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn answer(request: &Request<Incoming>, readiness: &Readiness, metrics: &Metrics) -> Response<Full<Bytes>> {
    let response = match request.uri().path() {
        "/healthz" | "/readyz" | "/metrics" if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            Problem::new(Code::MethodNotAllowed, "this is read only")
                .allow(HeaderValue::from_static("GET, HEAD"))
                .render()
        }
        "/healthz" => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
        "/readyz" => {
            let report = readiness.report();
            let status = if report.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            json(status, &report)
        }
        "/metrics" => {
            readiness.measure(metrics);
            let mut response = Response::new(Bytes::from(metrics.render()));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            response
        }
        _ => Problem::new(
            Code::NotFound,
            "the private listener has /healthz, /readyz and /metrics",
        )
        .render(),
    };
    response.map(Full::new)
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
