//! The attacks that a gateway must withstand, as tables of what is sent and what must be seen: on both databases, with TLS
//! and without.

mod accounts;
mod book;
mod decided;
mod http1;
mod http2;
pub(crate) mod place;
mod replies;
mod slow;
mod tokens;

/// A test that plays a table.
macro_rules! tables {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                http1::hold($file).await;
            }
        )*

        /// Every table that is played.
        const PLAYED: &[&str] = &[$($file),*];
    };
}

tables! {
    a_body_whose_end_is_in_doubt_ends_its_connection_and_reaches_nobody: "framing.toml",
    a_chunked_body_that_is_none_is_never_a_whole_request: "chunks.toml",
    a_head_that_is_none_is_refused_with_its_connection: "heads.toml",
    a_request_is_for_one_host_and_one_that_is_served: "hosts.toml",
    no_spelling_of_a_path_gets_past_the_guard_and_what_passes_is_not_rewritten: "paths.toml",
    the_upstream_sees_one_identity_and_it_is_the_token_s: "identity.toml",
    a_token_counts_in_one_authorization_header_alone: "authorization.toml",
    expectations_upgrades_and_pipelines_are_judged_request_by_request: "connections.toml",
    a_head_beyond_all_measure_is_refused_and_an_ordinary_one_is_not: "limits.toml",
    an_answer_that_is_none_reaches_no_client_and_the_next_one_is_its_own: "replies.toml",
}

#[test]
fn every_table_is_played() {
    let mut files: Vec<String> = std::fs::read_dir(book::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    let mut played: Vec<&str> = PLAYED.to_vec();
    played.sort_unstable();
    assert_eq!(files, played);
}
