//! A long day: every user has own tokens, and each answer that passes the gateway says whom the upstream saw. Nobody is ever
//! taken for somebody else, every error has a reason, and nothing grows.
//!
//! Users log in, refresh and log out. Their requests, of all users together, go over a few connections: pipelined on HTTP/1.1,
//! as streams side by side on HTTP/2. Meanwhile the gateway is reloaded (SIGHUP), one of two upstreams dies and comes back
//! again and again, and slow clients of several kinds come and go. Each request carries a number of its own, and the upstream
//! answers with that number, the user whom the gateway named to it, and the length of the body that came.
//!
//! *Wrong* is an answer with another user or number; a 200 for a session whose logout had been answered when the request was
//! sent; and every error that nothing explains. What explains one: 401 `token_revoked`, that a logout of the session had begun;
//! 502 and 503 on the route to the upstream that dies, that it was gone (up to two seconds earlier); an answer that breaks off,
//! either of the two; 408 or the end of the connection, that the client was slow by intent. A refusal may close its connection
//! of HTTP/1.1, as it says then: requests that came after it are not answered.
//!
//! Memory, open files, threads and what `/metrics` says are recorded every few seconds. In the end, once all clients have
//! gone, no connection, request, file, thread or task is left over; and from the end of the warm-up on, memory has grown by less than 5 %.
//! The short form is too short for that: there, memory may double.

mod ask;
mod echo;
mod gauge;
mod http1;
mod http2;
mod plan;
mod report;
mod rest;
mod run;
mod site;
mod slow;
mod tally;
mod trouble;
mod users;

use std::io::Write;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_taken_for_somebody_else_and_nothing_is_left_over_after_a_day_of_trouble() {
    let report = run::run(plan::Plan::asked_for()).await;
    let mut stdout = std::io::stdout();
    write!(stdout, "{report}").expect("there is a standard output");
    let wrong = report.wrong();
    assert!(wrong.is_empty(), "{wrong:#?}\n{report}");
}
