//! What tells of a part that broke: `/readyz`, the log and the metrics, as the README sums it up below its table.

use std::time::Duration;

use super::Client;
use crate::support::process::Process;
use crate::support::{DEADLINE, eventually, metric, when};

const AGE: &str = "doorward_revocations_age_seconds";
const STORE: &str = "doorward_problems_total{code=\"store_unavailable\"}";
const REVOCATIONS: &str = "doorward_problems_total{code=\"revocations_unavailable\"}";

/// The gateway that tells, and how much it had told before.
pub(super) struct Told {
    store: f64,
    revocations: f64,
}

impl Told {
    /// By this gateway, up to now.
    pub(super) async fn by(process: &Process) -> Self {
        Self {
            store: value(process, STORE).await,
            revocations: value(process, REVOCATIONS).await,
        }
    }

    /// Waits until guarded routes are refused, and `/readyz` says why in one of these words.
    pub(super) async fn not_ready(process: &Process, words: &[&str]) {
        Self::not_ready_within(DEADLINE, process, words).await;
    }

    /// The same, where that may take longer.
    pub(super) async fn not_ready_within(deadline: Duration, process: &Process, words: &[&str]) {
        let http = Client::at(process).http;
        let why = eventually(deadline, "readiness says no", || async {
            let answer = http.get(format!("http://{}/readyz", process.admin)).send().await;
            let answer = answer.expect("an answer");
            let status = answer.status().as_u16();
            let why = answer.text().await.expect("a whole body");
            // The last read may be one that was under way when it began.
            let said = words.iter().any(|word| why.contains(word));
            when(status == 503 && said).map(|()| why)
        })
        .await;
        for word in [
            "revocations have not been read for",
            "the last read of the revocations failed",
        ] {
            assert!(why.contains(word), "{word}: {why}");
        }
    }

    /// A in the README, once guarded routes are refused: with requests of both kinds that were refused by now. `read` is in
    /// what the log says of a failed read, of which it has the first of a row, and one of `words` in all else.
    pub(super) async fn that_guarded_routes_are_refused(&self, process: &Process, read: &str, words: &[&str]) {
        Self::not_ready(process, words).await;
        assert!(
            value(process, REVOCATIONS).await > self.revocations,
            "{REVOCATIONS} has not risen"
        );
        self.that_revocations_are_not_read(process, read, words).await;
    }

    /// A in the README, whether or not guarded routes are refused already.
    pub(super) async fn that_revocations_are_not_read(&self, process: &Process, read: &str, words: &[&str]) {
        eventually(DEADLINE, "/readyz says why", || async {
            let reasons = process.ready().await["reasons"].to_string();
            let said = words.iter().any(|word| reasons.contains(word));
            when(said && reasons.contains("the last read of the revocations failed"))
        })
        .await;
        let age = value(process, AGE).await;
        eventually(DEADLINE, "the age of what is known grows", || async {
            when(value(process, AGE).await > age)
        })
        .await;
        self.of_requests(process, words).await;
        logs(process, "revocations can't be read", &[read]).await;
    }

    /// B in the README: requests are refused one by one, and the gateway stays ready, as revocations are read on.
    pub(super) async fn that_requests_are_refused(&self, process: &Process, words: &[&str]) {
        self.of_requests(process, words).await;
        // What is known grows older until it is read again: as long as it is, a later look may find it younger.
        let mut last = value(process, AGE).await;
        loop {
            let age = value(process, AGE).await;
            if age < last {
                break;
            }
            assert!(age < DEADLINE.as_secs_f64(), "revocations are not read any more");
            last = age;
        }
        let report = process.ready().await;
        assert_eq!(report["ready"], true, "{report}");
    }

    async fn of_requests(&self, process: &Process, words: &[&str]) {
        assert!(value(process, STORE).await > self.store, "{STORE} has not risen");
        logs(process, "the store is not available", words).await;
    }
}

/// The value of a metric; one that nothing has counted yet is not there.
async fn value(process: &Process, name: &str) -> f64 {
    let http = Client::at(process).http;
    metric(&http, process.admin, name).await.unwrap_or(0.0)
}

/// Waits until the log has a line with the message and one of these words.
async fn logs(process: &Process, message: &str, words: &[&str]) {
    let what = format!("the log has {message:?} with {words:?}");
    eventually(DEADLINE, &what, || async {
        let log = process.log();
        let mut lines = log.lines().filter(|line| line.contains(message));
        when(lines.any(|line| words.iter().any(|word| line.contains(word))))
    })
    .await;
}
