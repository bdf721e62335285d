//! Behaviour, over real sockets and real databases. `tools/test` installs what these need.

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forward_auth;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod newman;
#[cfg(test)]
mod other_services;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod steady;
#[cfg(test)]
mod store;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod throttle;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod torture;
#[cfg(test)]
mod upstream_faults;
#[cfg(test)]
mod upstream_protocols;
