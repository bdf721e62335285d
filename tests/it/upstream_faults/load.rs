//! Clients of others that send without pause: wrk speaks HTTP/1.1, h2load HTTP/2. Each waits for an answer before it sends
//! the next request, so that no more are in flight than it may have at once.

use std::process::Output;

use tokio::task::JoinHandle;

use crate::support::TestGateway;
use crate::support::tools::{output, program, root};

/// How many requests each of the two has in flight.
pub(super) const AT_ONCE: u64 = 8;

/// What a client saw of its answers, by its own account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// 200.
    pub(super) good: u64,
    /// Another status.
    pub(super) bad: u64,
    /// No answer, or none that was whole.
    pub(super) broken: u64,
}

/// Has both send requests of this method for this path at the same time.
pub(super) fn both(
    gateway: &TestGateway,
    method: &str,
    path: &str,
    seconds: u32,
    requests: u32,
) -> [JoinHandle<Seen>; 2] {
    let url = gateway.url(path);
    let mut wrk = program("wrk");
    wrk.args([
        "-t",
        "1",
        "-c",
        &AT_ONCE.to_string(),
        "-d",
        &format!("{seconds}s"),
        "--timeout",
        "20s",
        "-s",
    ])
    .arg(root().join("tests/it/clients/count.lua"))
    .args([&url, "--", method]);
    let mut h2load = program("h2load");
    h2load.args(["-n", &requests.to_string(), "-c", "2", "-m", &(AT_ONCE / 2).to_string()]);
    if method == "POST" {
        // It posts a file, whichever.
        h2load.arg("-d").arg(root().join("tests/it/clients/count.lua"));
    }
    h2load.arg(url);
    [
        tokio::spawn(async move { by_wrk(&output(wrk).await) }),
        tokio::spawn(async move { by_h2load(&output(h2load).await) }),
    ]
}

fn by_wrk(output: &Output) -> Seen {
    let report = String::from_utf8_lossy(&output.stdout);
    let counted = report.lines().find_map(|line| line.strip_prefix("counted "));
    let counted = counted.unwrap_or_else(|| panic!("{output:?}"));
    let counts: Vec<u64> = counted.split(' ').map(|count| count.parse().unwrap()).collect();
    let [requests, connect, read, write, bad, timeout] = counts[..] else {
        panic!("{report}");
    };
    Seen {
        good: requests - bad,
        bad,
        broken: connect + read + write + timeout,
    }
}

fn by_h2load(output: &Output) -> Seen {
    let report = String::from_utf8_lossy(&output.stdout);
    // "requests: 9 total, 9 started, …" and "status codes: 9 2xx, …"
    let count = |line: &str, name: &str| -> u64 {
        let line = report.lines().find_map(|text| text.strip_prefix(line));
        let count = line.and_then(|line| line.split(", ").find_map(|part| part.strip_suffix(name)));
        let count = count.and_then(|count| count.trim().parse().ok());
        count.unwrap_or_else(|| panic!("no{name}: {output:?}"))
    };
    let total = count("requests:", " total");
    let statuses = [" 2xx", " 3xx", " 4xx", " 5xx"].map(|class| count("status codes:", class));
    Seen {
        good: statuses[0],
        bad: statuses[1..].iter().sum(),
        broken: total - statuses.iter().sum::<u64>(),
    }
}
