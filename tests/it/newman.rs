//! The Postman collection that we ship, run as a reader of the README would run it.

use crate::support::TestGateway;
use crate::support::tools::{installed, output, root};

#[tokio::test]
async fn the_postman_collection_runs_green_against_a_fresh_gateway() {
    run("", &[]).await;
}

#[tokio::test]
async fn the_postman_collection_runs_green_as_a_client_of_the_gateway() {
    let client = "[[clients]]\nid = \"newman\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    run(
        client,
        &["clientId=newman", "clientSecret=0123456789abcdef0123456789abcdef"],
    )
    .await;
}

async fn run(more: &str, variables: &[&str]) {
    let gateway = TestGateway::start(&format!(
        "{more}[upstreams.whoami]\nservers = [\"builtin:whoami\"]\n\
         [[routes]]\npath = \"/whoami\"\nupstream = \"whoami\"\n\
         [[routes]]\npath = \"/public/whoami\"\nupstream = \"whoami\"\nauth = \"none\"\n",
    ))
    .await;
    let collection = root().join("examples/doorward.postman_collection.json");
    let mut newman = installed("newman/node_modules/.bin/newman");
    newman
        .arg("run")
        .arg(&collection)
        .args(["--env-var", &format!("baseUrl={}", gateway.url(""))])
        .args(["--color", "off", "--disable-unicode", "--timeout-request", "20000"])
        .env("NO_PROXY", "127.0.0.1");
    for variable in variables {
        newman.args(["--env-var", variable]);
    }
    let output = output(newman).await;
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(
        report.contains("assertions"),
        "the collection checks what it gets: {report}"
    );
}
