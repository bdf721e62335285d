//! Floods: each ends with its connection, others are served, and memory stays.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Duration;

use doorward::time::monotonic;
use serde_json::{Value, json};

use super::play::{Play, play_at};
use crate::support::mariadb::Database;
use crate::support::process::{Process, free_address};
use crate::support::{Backend, Reply, Upstream, asked_recovery, usual_routes};
use crate::tls::Authority;

/// `PROTOCOL_ERROR`.
const PROTOCOL: u64 = 1;

/// `ENHANCE_YOUR_CALM`.
const CALM: u64 = 11;

/// How long whoever behaves waits for an answer at the most, where times are held to bounds.
const BOUND: Duration = Duration::from_secs(1);

/// How long whoever behaves waits between two requests.
const PAUSE: Duration = Duration::from_millis(5);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A header block that names one large field as often as a frame holds.
fn bomb() -> Vec<u8> {
    let field = [b"\x40\x01a\x7f\xa1\x1e".to_vec(), vec![b'x'; 4000]].concat();
    [b"\x82\x86\x84\x41\x01a".to_vec(), field, vec![0xbe; 12_000]].concat()
}

/// Five thousand requests of these fields, each with a frame after it, at once or one after the other.
fn each_with(fields: &Value, kind: u8, payload: &str, settled: bool) -> Vec<Value> {
    vec![json!(["streams", 5000, fields, true, kind, 0, payload, settled])]
}

/// Steps that play each flood, and the code that the client is told at its end.
fn floods(host: &str) -> Vec<(&'static str, Vec<Value>)> {
    let fields = |path: &'static str| {
        json!([
            [":method", "GET"],
            [":scheme", "http"],
            [":authority", host],
            [":path", path]
        ])
    };
    let open = json!(["headers", 1, fields("/public/x"), false]);
    let begin = json!(["frame", 1, 0, 1, "82"]);
    let calm = |bytes: &[u8]| hex(bytes);
    vec![
        (
            "resets at once",
            each_with(&fields("/public/late"), 3, "00000008", false),
        ),
        (
            "resets before the answer",
            each_with(&fields("/public/late"), 3, "00000008", true),
        ),
        (
            "streams beyond the limit",
            each_with(&fields("/public/late"), 9, "", false),
        ),
        (
            "requests that are none",
            each_with(&json!([[":method", "GET"]]), 2, "0000000001", true),
        ),
        (
            "CONTINUATION",
            vec![
                begin.clone(),
                json!([
                    "many",
                    5000,
                    9,
                    0,
                    1,
                    calm(&[b"\0\x01x\x7f\x80\x3e", &[b'y'; 8063][..]].concat())
                ]),
            ],
        ),
        (
            "empty CONTINUATION",
            vec![begin.clone(), json!(["many", 50_000, 9, 0, 1, ""])],
        ),
        ("a bomb", vec![json!(["frame", 1, 5, 1, calm(&bomb())])]),
        ("SETTINGS", vec![json!(["many", 50_000, 4, 0, 0, "00040000ffff"])]),
        ("PING", vec![json!(["many", 50_000, 6, 0, 0, "0000000000000000"])]),
        ("PRIORITY", vec![json!(["many", 50_000, 2, 0, 1, "0000000001"])]),
        ("WINDOW_UPDATE", vec![json!(["many", 50_000, 8, 0, 0, "00000001"])]),
        (
            "resets by the gateway",
            each_with(&fields("/public/late"), 8, "00000000", true),
        ),
        (
            "a head that trickles",
            vec![begin.clone(), json!(["trickle", 1, "0001780179"])],
        ),
        ("unknown frames", vec![json!(["many", 50_000, 238, 0, 1, ""])]),
        ("empty DATA", vec![open.clone(), json!(["many", 50_000, 0, 0, 1, ""])]),
        (
            "DATA of padding",
            vec![open, json!(["many", 50_000, 0, 8, 1, "03000000"])],
        ),
    ]
}

/// Plays each flood on both listeners of a gateway on this database, beside a client that must be served all the time.
async fn withstands(backend: Backend) {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/public/late" => Reply::Stall(Vec::new()),
        _ => Reply::ok("fine"),
    })
    .await;
    let database = match backend {
        Backend::Sqlite => None,
        Backend::MariaDb => Some(Database::create().await),
    };
    let store = database.as_ref().map_or_else(String::new, |database| {
        format!(
            "[store]\nurl = {:?}\nmigrate_on_start = true\n[keys]\ncreate = true\n",
            database.url()
        )
    });
    let (authority, secure) = (Authority::new("floods"), free_address());
    let process = Process::serve(&format!(
        "[server]\nh2c = true\nheader_timeout = \"2s\"\n[tls]\nlisten = \"{secure}\"\n{}{store}{}",
        authority.certificate("server", &["localhost"]),
        usual_routes(&upstream)
    ))
    .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/public/x", process.address);
    // The answer that took longest.
    let longest = Cell::new(Duration::ZERO);
    let served = async || {
        let since = monotonic();
        let answer = http.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        longest.set(longest.get().max(since.elapsed()));
    };
    served().await;
    let before = process.resident_bytes();
    for (address, tls) in [(process.address, false), (secure, true)] {
        for (name, mut steps) in floods(&address.to_string()) {
            steps.push(json!(["over"]));
            let steps = steps.into_iter().fold(Play::default(), Play::step);
            longest.set(Duration::ZERO);
            let is_over = Cell::new(false);
            let flood = async {
                let told = play_at(address, tls, vec![steps]).await;
                is_over.set(true);
                told
            };
            let others = async {
                while !is_over.get() {
                    served().await;
                    tokio::time::sleep(PAUSE).await;
                }
                served().await;
            };
            let (told, ()) = tokio::join!(flood, others);
            let (told, longest) = (&told[0], longest.get());
            eprintln!("{name}, TLS {tls}, {backend:?}: others are served within {longest:?}");
            assert!(
                asked_recovery().is_none() || longest <= BOUND,
                "{name}, TLS {tls}, {backend:?}: another waits for {longest:?}"
            );
            assert_eq!(told["closed"], true, "{name}, TLS {tls}, {backend:?}: {told}");
            let code = told["goaway"].as_u64();
            // What may not stand there at all, or is too much of a head, is an error of the protocol.
            let expected = match name {
                "streams beyond the limit" | "resets by the gateway" | "CONTINUATION" | "empty CONTINUATION" => {
                    matches!(code, Some(CALM | PROTOCOL))
                }
                "a head that trickles" => true,
                _ => code == Some(CALM),
            };
            assert!(expected, "{name}, TLS {tls}, {backend:?}: {told}");
        }
    }
    let grown = process.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more on {backend:?}");
}

#[tokio::test]
async fn a_flood_ends_with_its_connection_and_others_are_served() {
    tokio::join!(withstands(Backend::Sqlite), withstands(Backend::MariaDb));
}
