//! The endpoints that we own, as the gateway calls them: an axum router on the background runtime.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::{X_REQUEST_ID, text};
use crate::auth::{BODY_TIMEOUT, ClientAddress};
use crate::problem::{Code, Problem};
use crate::rules::path::RequestPath;

/// The longest that one of our endpoints may take, whatever it waits for: a minute, and what the client may take to send
/// its body. A slow client is answered by the endpoint, as what it is, before this is over.
const LIMIT: Duration = Duration::from_mins(1).saturating_add(BODY_TIMEOUT);

/// The endpoints and where they live.
#[derive(Debug)]
pub struct Owned {
    router: Router,
    runtime: Handle,
    path: String,
    /// What metrics and logs call each endpoint that is there.
    labels: Vec<Arc<str>>,
    other: Arc<str>,
}

impl Owned {
    /// The endpoints below `path`, driven by `runtime`. `templates` are their paths, as the OpenAPI document names them.
    #[must_use]
    pub fn new(router: Router, runtime: Handle, path: &str, templates: impl IntoIterator<Item = String>) -> Self {
        Self {
            router,
            runtime,
            path: path.to_owned(),
            labels: templates.into_iter().map(Into::into).collect(),
            other: format!("{path}/*").into(),
        }
    }

    /// Whether a path lies at or below ours. Case does not matter, nor do escapes: what some backend might read as ours
    /// never reaches a backend.
    pub(super) fn claims(&self, path: &RequestPath<'_>) -> bool {
        let decoded = path.decoded().as_bytes();
        match decoded.split_at_checked(self.path.len()) {
            Some((start, rest)) => {
                start.eq_ignore_ascii_case(self.path.as_bytes()) && matches!(rest.first(), None | Some(b'/'))
            }
            None => false,
        }
    }

    /// The template of the endpoint at a path, for metrics and logs.
    pub(super) fn label(&self, path: &RequestPath<'_>) -> Arc<str> {
        let label = self.labels.iter().find(|label| {
            let mut segments = path.as_str().split('/');
            label.split('/').all(|wanted| {
                segments
                    .next()
                    .is_some_and(|found| wanted.starts_with('{') || wanted == found)
            }) && segments.next().is_none()
        });
        Arc::clone(label.unwrap_or(&self.other))
    }

    /// Calls the endpoint. It runs on as a task of its own: a client that hangs up leaves nothing half done.
    pub(super) async fn call<B>(
        &self,
        request: Request<B>,
        client: IpAddr,
        request_id: &HeaderValue,
    ) -> Result<Response<axum::body::Body>, Problem>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(ClientAddress(client));
        parts.headers.insert(X_REQUEST_ID, request_id.clone());
        let request = Request::from_parts(parts, axum::body::Body::new(body));
        let router = self.router.clone();
        let task = self
            .runtime
            .spawn(async move { tokio::time::timeout(LIMIT, router.oneshot(request)).await });
        match task.await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                tracing::error!(limit = ?LIMIT, "an endpoint took too long");
                Err(Problem::new(Code::StoreUnavailable, "the request took too long")
                    .retry_after(Duration::from_secs(1)))
            }
            // What it says of a panic may hold what a client sent: the line of the panic itself has what may be told.
            Err(error) => {
                let request_id = text(request_id);
                tracing::error!(request_id, panicked = error.is_panic(), "an endpoint failed");
                Err(failed())
            }
        }
    }
}

/// What is answered when the gateway is at fault.
pub(super) fn failed() -> Problem {
    Problem::new(Code::Internal, "the gateway failed to answer; the log says why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_panics_is_an_internal_error_and_nobody_is_told_what_it_was_about() {
        async fn broken(request: Request<axum::body::Body>) -> &'static str {
            panic!("about {}", request.uri())
        }
        let (written, log) = (tempfile::NamedTempFile::new().unwrap(), tracing_subscriber::fmt());
        let log = log
            .with_ansi(false)
            .with_writer(written.reopen().map(std::sync::Mutex::new).unwrap());
        let _here = tracing::subscriber::set_default(log.finish());
        let router = Router::new().route("/auth/broken", axum::routing::get(broken));
        let owned = Owned::new(router, Handle::current(), "/auth", []);
        let request = Request::get("/auth/broken").body(axum::body::Body::empty()).unwrap();
        let client = IpAddr::from([127, 0, 0, 1]);
        let problem = owned
            .call(request, client, &HeaderValue::from_static("1"))
            .await
            .unwrap_err();
        assert_eq!(problem.code(), Code::Internal);
        let written = std::fs::read_to_string(written.path()).unwrap();
        assert!(
            written.contains("an endpoint failed") && written.contains("panicked=true"),
            "{written}"
        );
        assert!(
            !written.contains("about") && !problem.detail().contains("about"),
            "{written}"
        );
    }
}
