//! `doorward try`: walks the main job against a running gateway, step by step, and says whether each is as it should be.

mod client;
mod guarded;
mod report;
mod walk;
mod whoami;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;

use self::client::Client;
use self::guarded::Guarded;
use self::report::Report;
use self::walk::Walk;
use super::failure::Failure;
use super::globals::Globals;
use super::{logging, resources};
use crate::config::Config;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Where the gateway listens without TLS [default: the first of server.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn run(args: &Args, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    logging::start_quiet();
    let config = globals.load()?.config;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => default_url(&config)?,
    };
    let client = Client::new(&url).map_err(|error| Failure::Usage(format!("--url {url}: {error:#}")))?;
    let guarded = Guarded::find(&config).with_context(|| {
        format!(
            "no route of {} can be tried: it takes one to `builtin:whoami` with auth = \"required\" that GET may use, \
             without roles and claims",
            globals.file.display()
        )
    })?;
    writeln!(out, "Trying the gateway at {url}\n")?;
    let mut report = Report::new(out);
    resources::block_on(async {
        Walk::new(&client, &guarded, &config, &mut report)?.run().await?;
        Ok(())
    })?;
    report.finish()
}

/// The first listener, as something that can be connected to from this machine.
fn default_url(config: &Config) -> Result<String, Failure> {
    match config.server.listen.first() {
        Some(listen) if listen.port() != 0 => Ok(format!("http://{}", reachable(*listen))),
        None => Err(Failure::Usage(
            "there is no server.listen to try without TLS: say with --url where one is".to_owned(),
        )),
        Some(_) => Err(Failure::Usage(
            "server.listen leaves the port to the system: say where the gateway listens with --url".to_owned(),
        )),
    }
}

/// The loopback address in place of "every address".
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_listens_everywhere_is_tried_on_loopback() {
        for (listen, url) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), url);
        }
    }
}
