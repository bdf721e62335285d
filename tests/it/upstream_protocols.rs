//! Upstreams that speak HTTP/2 or TLS, and those that break either.

mod certificates;
mod grpc;
mod http2;
mod http2_faults;
pub(crate) mod python;
mod timeouts;
mod tls;

/// An upstream with these servers and settings, and one open route to it at `/up`.
fn route_to(servers: &[String], more: &str) -> String {
    format!(
        "[upstreams.app]\nservers = {servers:?}\n{more}\n[[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n"
    )
}
