//! The log as a file holds it: one whole line for each request, by whatever way it got there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Upstream, eventually, exchange, usual_routes, when};

/// So many clients, each with so many requests.
const CLIENTS: usize = 8;
const REQUESTS: usize = 50;

/// What a gateway with this `[log]` wrote, from its start to its end, with many requests in between.
async fn log_of(settings: &str) -> String {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&format!("[log]\n{settings}\n{}", usual_routes(&upstream))).await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let address = process.address;
            tokio::spawn(async move {
                let mut conversation = Conversation::open(address).await;
                for request in 0..REQUESTS {
                    let id = format!("{client}-{request}");
                    let head = format!("GET /public/x%22y HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n");
                    conversation.send(&head).await;
                    assert_eq!(conversation.answer().await.status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
    process.log()
}

#[tokio::test]
async fn each_request_has_one_whole_line_in_its_clients_order_whichever_way_lines_take() {
    // A filter that asks for what surrounds a line has all of them take the general way.
    let mut shapes = Vec::new();
    for filter in ["info", "info,[nowhere]=debug"] {
        let log = log_of(&format!("format = \"json\"\nfilter = \"{filter}\"")).await;
        let mut next = BTreeMap::new();
        for line in log.lines() {
            let told: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if told["target"] != "doorward::access" || told["route"] != "/public" {
                continue;
            }
            assert_eq!((&told["path"], &told["status"]), (&"/public/x%22y".into(), &200.into()));
            assert_eq!(told["timestamp"].as_str().map(str::len), Some(27), "{line}");
            let (client, request) = told["request_id"].as_str().unwrap().split_once('-').unwrap();
            let next = next.entry(client.to_owned()).or_insert(0);
            assert_eq!(request.parse::<usize>().unwrap(), *next, "{line}");
            *next += 1;
            // Names in order, without what differs.
            let names = line.split(['{', ',']).filter_map(|field| field.split_once(':'));
            shapes.push(names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
        }
        assert_eq!(
            next.values().copied().collect::<Vec<_>>(),
            [REQUESTS; CLIENTS],
            "{filter}"
        );
        assert!(log.trim_end().ends_with('}') && log.contains("\"stopped\""), "{log}");
    }
    assert_eq!(shapes.len(), 2 * CLIENTS * REQUESTS);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{:?}", shapes[0]);
}

#[tokio::test]
async fn a_text_says_the_same_and_a_filter_turns_the_lines_off() {
    let log = log_of("format = \"text\"").await;
    let lines = log.lines().filter(|line| {
        line.contains("  INFO doorward::access: request method=\"GET\" path=/public/x%22y route=\"/public\" ")
    });
    assert_eq!(lines.count(), CLIENTS * REQUESTS, "{log}");
    let log = log_of("format = \"json\"\nfilter = \"info,doorward::access=warn\"").await;
    assert!(
        !log.contains("doorward::access") && log.contains("\"stopped\""),
        "{log}"
    );
}

#[tokio::test]
async fn a_line_is_written_though_nothing_follows_it() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&usual_routes(&upstream)).await;
    for path in ["/public/one", "/public/two"] {
        let raw = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(exchange(process.address, raw).await.statuses(), [200]);
        eventually(DEADLINE, "the request is in the log", || async {
            let log = process.log();
            when(log.contains(path) && log.ends_with('\n'))
        })
        .await;
    }
}
