//! A log that nobody takes.

use tokio::process::Command;

use super::Client;
use crate::support::process::{Process, doorward_with_open_files};
use crate::support::{Account, DEADLINE, Upstream, eventually, metric, usual_routes, when};

/// Runs the program by a shell that first does this with its standard error, which the log goes to.
pub(super) fn with_log(redirection: &str) -> Command {
    let inner = doorward_with_open_files(128);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("exec {redirection}; exec \"$0\" \"$@\"")]);
    command
        .arg(inner.as_std().get_program())
        .args(inner.as_std().get_args());
    for (name, value) in inner.as_std().get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    command
}

/// Asks for more than would wait for a reader to come back.
async fn all_goes_on(redirection: &str) {
    let upstream = Upstream::echo().await;
    let process = Process::serve_by(&usual_routes(&upstream), with_log(redirection)).await;
    let client = Client::at(&process);
    let user = Account::sign_up_at(&client.http, &client.base).await;
    let long = format!("/c/{}", "x".repeat(7000));
    // Two MiB of lines, twice what is kept.
    for _ in 0..300 {
        assert_eq!(client.get(&long, &user.token).await, 200);
    }
    assert_eq!(client.get("/public/x", "").await, 200);
    assert_eq!(client.log_in(&user).await.0, 200);
    assert_eq!(client.log_out(&user.token).await, 204);
    assert_eq!(client.get("/c/x", &user.token).await, 401);
    assert_eq!(process.ready().await["ready"], true);
    eprintln!("a log to {redirection}: the longest answers: {}", client.longest());
    // What a pipe takes before its reader has gone are nine of these lines.
    eventually(DEADLINE, "what is lost is counted", || async {
        let lost = metric(&client.http, process.admin, "doorward_log_lines_lost_total").await;
        when(lost >= Some(250.0))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_log_that_is_taken_no_line_is_lost() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&usual_routes(&upstream)).await;
    let client = Client::at(&process);
    assert_eq!(client.get("/public/log", "").await, 200);
    eventually(DEADLINE, "the line is written", || async {
        when(process.log().contains("/public/log"))
    })
    .await;
    let lost = metric(&client.http, process.admin, "doorward_log_lines_lost_total").await;
    assert_eq!(lost, Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_for_the_log_holds_nobody_up() {
    all_goes_on("2>/dev/full").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_reader_has_gone_holds_nobody_up() {
    all_goes_on("2> >(exec true)").await;
}
