//! A client of HTTP/2 that has several requests of several users under way on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::{SendRequest, handshake};
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::ask::{Asked, Route};
use super::site::Site;
use crate::support::random::Random;
use crate::support::within;

/// How it is counted.
const HOW: &str = "request, HTTP/2";
/// After how many batches a connection is given up for a new one.
const BATCHES: usize = 200;

/// One connection.
pub(super) struct Link {
    pub(super) address: SocketAddr,
    requests: SendRequest<Bytes>,
    /// Drives it, and ends with it.
    driver: JoinHandle<()>,
}

/// Whether a request was not looked at, as the connection was idle and being closed just then: it is to be sent again.
pub(super) fn was_too_late(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let stream = within("connect", TcpStream::connect(address)).await;
        let stream = stream.expect("the gateway listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        let (requests, connection) = within("a handshake", handshake(stream)).await.expect("HTTP/2");
        let driver = tokio::spawn(async move { drop(connection.await) });
        Self {
            address,
            requests,
            driver,
        }
    }

    pub(super) async fn ask(&self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        within("an answer", ask(self.requests.clone(), request, body)).await
    }
}

async fn ask(requests: SendRequest<Bytes>, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
    let mut requests = requests.ready().await?;
    let (answer, mut upload) = requests.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        upload.send_data(body, true)?;
    }
    let (head, mut download) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = download.data().await {
        let data = data?;
        download.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let code = head.headers.get("x-doorward-error");
    Ok(Answer {
        status: head.status.as_u16(),
        code: code.and_then(|code| code.to_str().ok()).map(str::to_owned),
        body,
    })
}

/// Sends a batch of so many at each interval until the run is over.
pub(super) async fn load(site: &Site, mut random: Random, route: Route, batch: usize, every: Duration) {
    let mut pace = interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !site.is_over() {
        let link = Link::open(site.address).await;
        for _ in 0..BATCHES {
            pace.tick().await;
            if site.is_over() {
                break;
            }
            let batch = (0..batch).map(|_| one(site, &link, Asked::any(site, route, &mut random)));
            join_all(batch).await;
        }
    }
}

async fn one(site: &Site, link: &Link, asked: Asked) {
    let mut request = Request::builder()
        .method(asked.method())
        .uri(format!("http://soak.test{}", asked.path()));
    for (name, value) in asked.headers() {
        request = request.header(name, value);
    }
    let request = request.body(()).expect("a request");
    match link.ask(request, Bytes::from(vec![b'b'; asked.body])).await {
        Ok(answer) => asked.judge(site, HOW, answer.status, answer.code.as_deref(), &answer.body),
        Err(error) => asked.broken(site, HOW, &format!("{error:?}")),
    }
}
