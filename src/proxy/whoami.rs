//! `builtin:whoami`: answers with the request as an upstream would see it, so that a first run needs no backend.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use serde::Serialize;

use super::body::ResponseBody;
use crate::upstream::{RequestBody, UpstreamError};

/// The answer: the request line, the headers in order, and how long the body was.
#[derive(Serialize)]
struct Seen<'a> {
    method: &'a str,
    target: &'a str,
    version: &'static str,
    headers: Vec<(&'a str, String)>,
    body_bytes: u64,
}

/// Reads the request to its end and says what it was.
pub(super) async fn answer(request: Request<RequestBody>) -> Result<Response<ResponseBody>, UpstreamError> {
    let (parts, mut body) = request.into_parts();
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(UpstreamError::ClientBody)?;
        body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let headers = parts.headers.iter();
    let seen = Seen {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
        version: "HTTP/1.1",
        headers: headers
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body_bytes,
    };
    let text = serde_json::to_vec_pretty(&seen).unwrap_or_default();
    let mut response = Response::new(ResponseBody::whole(Bytes::from(text)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
