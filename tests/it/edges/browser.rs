//! A browser's own word on which pages may read answers.

use crate::support::browser::browse;
use crate::support::{Reply, TestGateway, Upstream};

#[tokio::test]
async fn a_browser_lets_a_page_of_a_listed_origin_log_in_and_read_and_no_other() {
    let upstream = Upstream::start(|seen| {
        if seen.target.starts_with("/page") {
            let page = include_str!("page.html");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                page.len()
            );
            return Reply::raw(&format!("{head}{page}"));
        }
        Reply::ok("read")
    })
    .await;
    let origin = upstream.url();
    let gateway = TestGateway::start(&format!(
        "[auth]\ncors.origins = \"{origin}\"\n[upstreams.app]\nservers = [\"{origin}\"]\n\
         [[routes]]\npath = \"/c\"\nupstream = \"app\"\ncors.origins = \"{origin}\"\n\
         [[routes]]\npath = \"/silent\"\nupstream = \"app\"\n\
         [[routes]]\npath = \"/others\"\nupstream = \"app\"\ncors.origins = \"https://app.example\"\n",
    ))
    .await;
    let (page, log) = browse(&format!("{origin}/page?{}", gateway.url(""))).await;
    let seen = page
        .split("<p id=\"seen\">")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    assert_eq!(
        seen,
        Some("401 token_missing 201 200 read blocked blocked"),
        "{page}\n{log}"
    );
    // Neither the question nor the request of a page that may not: the browser asks first.
    assert!(upstream.seen_with("/silent").is_empty() && upstream.seen_with("/others").is_empty());
}
