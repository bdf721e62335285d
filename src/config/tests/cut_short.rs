//! A file that is being written: its beginning alone.

use super::*;

const WHOLE: &str = r#"# What a team might have.
[server]
listen = ["127.0.0.1:8080", "[::1]:8080"]
drain = "45s"
trusted_proxies = [
    "10.0.0.0/8",
    "fd00::/8",
]

[upstreams.orders]
servers = ["http://10.0.0.5:3000", "http://10.0.0.6:3000"]

[[routes]]
path = "/orders/{id}"
methods = ["GET", "POST"]
roles = ["admin"]
upstream = "orders"

[[routes]]
host = "*.example.com"
path = "/"
claims = { tenant = "acme" }
upstream = "orders"
"#;

/// Whether this is TOML, with a route at least, and with no route that lacks something.
fn is_whole(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else {
        return false;
    };
    let routes = table.get("routes").and_then(toml::Value::as_array);
    routes.is_some_and(|routes| {
        routes.iter().all(|route| {
            route.get("path").is_some()
                && route
                    .get("upstream")
                    .is_some_and(|name| name.as_str() == Some("orders"))
        })
    })
}

#[test]
fn the_beginning_of_a_file_is_taken_only_where_it_is_a_whole_configuration_by_itself() {
    let mut taken = Vec::new();
    for end in 0..=WHOLE.len() {
        let beginning = &WHOLE[..end];
        let loaded = parse(beginning, Path::new("/etc/doorward"));
        assert_eq!(loaded.is_ok(), is_whole(beginning), "{beginning}\n{:?}", loaded.err());
        if loaded.is_ok() {
            taken.push(beginning.trim_end());
        }
    }
    taken.dedup();
    // After the first route, or the second: nowhere within.
    let first = WHOLE.find("\n\n[[routes]]\nhost").unwrap();
    let ends: Vec<usize> = taken.iter().map(|taken| taken.len()).collect();
    assert_eq!(ends, [first, WHOLE.trim_end().len()]);
}
