//! Floods: each ends with its connection, others are served, and memory stays.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::clients::h2c;
use super::play::{Play, play};
use crate::support::process::Process;
use crate::support::{Reply, Upstream};

/// `ENHANCE_YOUR_CALM`.
const CALM: u64 = 11;

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
            vec![json!([
                "streams",
                5000,
                fields("/public/late"),
                true,
                3,
                0,
                "00000008",
                false
            ])],
        ),
        (
            "resets before the answer",
            vec![json!([
                "streams",
                5000,
                fields("/public/late"),
                true,
                3,
                0,
                "00000008",
                true
            ])],
        ),
        (
            "streams beyond the limit",
            vec![json!(["streams", 5000, fields("/public/late"), true, 9, 0, "", false])],
        ),
        (
            "requests that are none",
            vec![json!([
                "streams",
                5000,
                [[":method", "GET"]],
                true,
                2,
                0,
                "0000000001",
                true
            ])],
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
        ("empty CONTINUATION", vec![begin, json!(["many", 50_000, 9, 0, 1, ""])]),
        ("a bomb", vec![json!(["frame", 1, 5, 1, calm(&bomb())])]),
        ("SETTINGS", vec![json!(["many", 50_000, 4, 0, 0, "00040000ffff"])]),
        ("PING", vec![json!(["many", 50_000, 6, 0, 0, "0000000000000000"])]),
        ("PRIORITY", vec![json!(["many", 50_000, 2, 0, 1, "0000000001"])]),
        ("WINDOW_UPDATE", vec![json!(["many", 50_000, 8, 0, 0, "00000001"])]),
        ("unknown frames", vec![json!(["many", 50_000, 238, 0, 1, ""])]),
        ("empty DATA", vec![open.clone(), json!(["many", 50_000, 0, 0, 1, ""])]),
        (
            "DATA of padding",
            vec![open, json!(["many", 50_000, 0, 8, 1, "03000000"])],
        ),
    ]
}

#[tokio::test]
async fn a_flood_ends_with_its_connection_and_others_are_served() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/public/late" => Reply::Stall(Vec::new()),
        _ => Reply::ok("fine"),
    })
    .await;
    let process = Process::serve(&h2c(&upstream)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let served = || async {
        let answer = http
            .get(format!("http://{}/public/x", process.address))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    };
    served().await;
    let before = process.resident_bytes();
    for (name, mut steps) in floods(&process.address.to_string()) {
        steps.push(json!(["over"]));
        let steps = steps.into_iter().fold(Play::default(), Play::step);
        let (told, ()) = tokio::join!(play(process.address, vec![steps]), served());
        let told = &told[0];
        assert_eq!(told["closed"], true, "{name}: {told}");
        let code = told["goaway"].as_u64();
        // A frame that may not stand there at all is an error of the protocol.
        assert!(
            code.is_some_and(|code| code == CALM || (code == 1 && name.contains("beyond"))),
            "{name}: {told}"
        );
        served().await;
    }
    let grown = process.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}
