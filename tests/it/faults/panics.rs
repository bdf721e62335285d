//! A panic in the midst of a request: whose it is suffers it, and nobody else does.

use std::panic;
use std::sync::Once;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, exchange, when, within};

/// The upstream of which nothing can be told without a panic.
const FATAL: &str = "fatal";

const WANTED: &str = "a panic that a test wanted";

/// Where the log of this process goes: it panics over what is told of the upstream [`FATAL`], in the midst of the request to
/// it, and takes nothing else.
struct Trap;

impl Trap {
    fn set() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            set_global_default(Self).expect("no other test wants the log of its process");
            // Not told of where people read what the tests say.
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                if panic.payload().downcast_ref() != Some(&WANTED) {
                    before(panic);
                }
            }));
            doorward::log::tell_of_panics();
        });
    }

    fn is_wanted(metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target() == "doorward::gateway::record"
    }
}

impl Subscriber for Trap {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::is_wanted(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::is_wanted(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Spring);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Spring;

impl Visit for Spring {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        assert!(
            field.name() != "upstream" || value != FATAL,
            "a panic that a test wanted"
        );
    }
}

/// A gateway of one worker, whose requests below `/fatal` panic: in the midst of the answer below `/fatal/late`, else before it.
async fn gateway(server: &str) -> (Upstream, TestGateway) {
    Trap::set();
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/late" => Reply::Late(
            std::time::Duration::from_millis(500),
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        "/fatal/late" => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()),
        path if path.starts_with("/fatal") => Reply::Last(Vec::new()),
        _ => Reply::ok("well"),
    })
    .await;
    let toml = format!(
        "[server]\n{server}\n[upstreams.app]\nservers = [\"{url}\"]\n\
         [upstreams.{FATAL}]\nservers = [\"{url}\"]\neject.after = 0\n\
         [[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n\
         [[routes]]\npath = \"/{FATAL}\"\nupstream = \"{FATAL}\"\nauth = \"none\"\n",
        url = upstream.url()
    );
    (upstream, TestGateway::start(&toml).await)
}

async fn has(gateway: &TestGateway, metric: &str, value: f64) {
    let what = format!("{metric} is {value}");
    eventually(DEADLINE, &what, || async {
        when(gateway.metric(metric).await == Some(value))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_internal_error_or_ends_its_own_connection_and_leaves_nothing_behind() {
    // More panics than places of any kind.
    let (upstream, gateway) = gateway("max_connections = 4\nmax_connections_per_ip = 3\nmax_requests = 2").await;
    let ask = |path: &str| gateway.fill(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"), "");
    let before = gateway.metric("doorward_panics_total").await.expect("the metric");
    let mut witness = Conversation::open(gateway.address).await;
    witness.send(ask("/x")).await;
    assert_eq!(witness.answer().await.status, 200);
    for _ in 0..12 {
        // Nothing of an answer is out, so the client is told, and its connection goes on.
        witness.send(ask("/fatal")).await;
        assert_eq!(witness.answer().await.problem(), "internal");
        let ended = exchange(gateway.address, ask("/fatal/late")).await;
        assert!(
            ended.answers.is_empty() && ended.rest.starts_with(b"HTTP/1.1 200 OK\r\n"),
            "{ended:?}"
        );
    }
    witness.send(ask("/x")).await;
    assert_eq!(witness.answer().await.status, 200, "the same worker goes on");
    assert_eq!(gateway.get("/x", None).await.0, 200, "it accepts connections as well");
    drop(witness);
    let told = gateway.metric("doorward_panics_total").await.expect("the metric");
    assert!(told >= before + 24.0, "{told} after {before}");
    has(&gateway, "doorward_requests_in_flight", 0.0).await;
    let in_flight = format!(
        "doorward_upstream_server_requests_in_flight{{upstream=\"{FATAL}\",server=\"{}\"}}",
        upstream.url()
    );
    has(&gateway, &in_flight, 0.0).await;
    // The client's own connection idles on.
    has(&gateway, "doorward_connections", 1.0).await;
    let ready = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_on_http_2_ends_its_own_stream_alone() {
    let (upstream, gateway) = gateway("h2c = true").await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str| {
        let request = http::Request::get(gateway.url(path))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    };
    let late = tokio::spawn(ask("/late"));
    eventually(DEADLINE, "it is with the upstream", || async {
        when(upstream.seen_with("late").len() == 1)
    })
    .await;
    for _ in 0..3 {
        let told = within("the answer", ask("/fatal")).await.unwrap();
        assert_eq!(told.status(), 500);
        let cut = within("the head of the answer", ask("/fatal/late")).await.unwrap();
        let error = within("the end of the stream", cut.into_body().collect())
            .await
            .unwrap_err();
        assert!(!connection.is_finished(), "{error}");
    }
    assert_eq!(within("the answer", late).await.unwrap().unwrap().status(), 200);
    let answer = within("the answer", ask("/x")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "well");
    has(&gateway, "doorward_requests_in_flight", 0.0).await;
}
