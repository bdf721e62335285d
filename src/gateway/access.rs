//! [`Access`]: the line of the log that a request gets. No query string, no token, no address of a person is in it.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::id::Principal;
use crate::log::{self, Line, Way};

/// Where its lines belong in the log.
const TARGET: &str = "doorward::access";
/// What its lines say.
const MESSAGE: &str = "request";

/// What is told of a request.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) route: &'a str,
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
    pub(super) took: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) complete: bool,
    pub(super) client: IpAddr,
    pub(super) user: Option<&'a Principal>,
    pub(super) upstream: Option<&'a str>,
    pub(super) request_id: &'a str,
    pub(super) trace_id: Option<&'a str>,
}

impl Access<'_> {
    /// Logs it, where such lines are wanted. `now` is when the answer ended.
    pub(super) fn log(&self, now: Instant) {
        match log::way() {
            Way::Ours(shape) => log::info(shape, now, TARGET, MESSAGE, |line| self.write(line)),
            Way::Tracing => self.trace(),
            Way::Off => {}
        }
    }

    fn write(&self, line: &mut Line<'_>) {
        line.text("method", self.method);
        line.shown("path", Masked(self.path));
        line.text("route", self.route);
        line.number("status", self.status.into());
        if let Some(code) = self.code {
            line.text("code", code);
        }
        line.milliseconds("ms", self.took);
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        line.truth("complete", self.complete);
        line.address("client", self.client);
        if let Some(user) = self.user {
            line.shown("user", Named(user));
        }
        if let Some(upstream) = self.upstream {
            line.text("upstream", upstream);
        }
        line.text("request_id", self.request_id);
        if let Some(trace_id) = self.trace_id {
            line.text("trace_id", trace_id);
        }
    }

    /// The same by the way of all other lines, which can have colours or a filter that asks for spans.
    fn trace(&self) {
        tracing::info!(
            target: TARGET,
            method = self.method,
            path = %Masked(self.path),
            route = self.route,
            status = self.status,
            code = self.code,
            ms = (self.took.as_secs_f64() * 1e6).round() / 1e3,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            complete = self.complete,
            client = %self.client,
            user = self.user.map(|user| tracing::field::display(Named(user))),
            upstream = self.upstream,
            request_id = self.request_id,
            trace_id = self.trace_id,
            "{MESSAGE}"
        );
    }
}

/// A path without what may be a person's address or a token: a segment with an at sign, or as long as no name is.
struct Masked<'a>(&'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let private = |segment: &str| segment.len() > 64 || segment.contains('@') || segment.contains("%40");
        if !private(self.0) {
            // The usual path, shorter than one such segment.
            return f.write_str(self.0);
        }
        for (index, segment) in self.0.split('/').enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(if private(segment) { "…" } else { segment })?;
        }
        Ok(())
    }
}

/// A principal without what may be a person's address, which some issuers call people by, and without blanks and quotes: in a
/// log of text, what follows them would look like another field.
struct Named<'a>(&'a Principal);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Principal::Foreign { issuer, subject } if subject.as_str().contains('@') => write!(f, "{issuer}:…"),
            Principal::Foreign { issuer, subject } => {
                write!(f, "{issuer}:")?;
                subject.as_str().chars().try_for_each(|c| match c {
                    '"' | '%' => write!(f, "%{:02X}", u32::from(c)),
                    c if c.is_whitespace() => f.write_str("%20"),
                    c => f.write_char(c),
                })
            }
            Principal::User(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing_subscriber::fmt::format::Writer;
    use tracing_subscriber::fmt::time::FormatTime;

    use super::*;
    use crate::log::Shape;

    /// One second after midnight, for `tracing` too.
    struct Second;

    impl FormatTime for Second {
        fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
            w.write_str("TIME")
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line as `tracing_subscriber` writes it.
    fn by_tracing(shape: Shape, access: &Access<'_>) -> String {
        let kept = Kept::default();
        let lines = kept.clone();
        let builder = tracing_subscriber::fmt()
            .with_timer(Second)
            .with_writer(move || lines.clone());
        let log = || access.trace();
        match shape {
            Shape::Text => tracing::subscriber::with_default(builder.with_ansi(false).finish(), log),
            Shape::Json => {
                let json = builder.json().flatten_event(true);
                let json = json.with_current_span(false).with_span_list(false);
                tracing::subscriber::with_default(json.finish(), log);
            }
        }
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn by_us(shape: Shape, access: &Access<'_>) -> String {
        let mut bytes = Vec::new();
        log::line(shape, &mut bytes, "TIME", (TARGET, MESSAGE), |line| access.write(line));
        String::from_utf8(bytes).unwrap()
    }

    fn request() -> Access<'static> {
        Access {
            method: "GET",
            path: "/orders/7",
            route: "/orders/{id}",
            status: 200,
            code: None,
            took: Duration::from_nanos(1_234_400),
            bytes_in: 0,
            bytes_out: 1027,
            complete: true,
            client: IpAddr::from([192, 0, 2, 7]),
            user: None,
            upstream: Some("orders"),
            request_id: "9f-1",
            trace_id: None,
        }
    }

    #[test]
    fn a_request_is_one_line_of_json_or_of_text() {
        for (shape, expected) in [
            (
                Shape::Json,
                "{\"timestamp\":\"TIME\",\"level\":\"INFO\",\"message\":\"request\",\"method\":\"GET\",\"path\":\"/orders/7\",\
                 \"route\":\"/orders/{id}\",\"status\":200,\"ms\":1.234,\"bytes_in\":0,\"bytes_out\":1027,\"complete\":true,\
                 \"client\":\"192.0.2.7\",\"upstream\":\"orders\",\"request_id\":\"9f-1\",\"target\":\"doorward::access\"}\n",
            ),
            (
                Shape::Text,
                "TIME  INFO doorward::access: request method=\"GET\" path=/orders/7 route=\"/orders/{id}\" status=200 ms=1.234 \
                 bytes_in=0 bytes_out=1027 complete=true client=192.0.2.7 upstream=\"orders\" request_id=\"9f-1\"\n",
            ),
        ] {
            assert_eq!(by_us(shape, &request()), expected);
            assert_eq!(by_tracing(shape, &request()), expected);
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_tracing_would_write(
            texts in proptest::collection::vec(any::<String>(), 5),
            path in "/[^ ]{0,80}",
            subject in proptest::option::of(any::<String>()),
            numbers: (u16, u64, u64),
            micros in 0_u64..1_000_000_000,
            client: std::net::IpAddr,
            complete: bool,
            code in proptest::option::of(proptest::sample::select(vec!["forbidden", "token_expired"])),
        ) {
            let user = subject.and_then(|subject| {
                let subject = subject.parse().ok()?;
                Some(Principal::Foreign { issuer: "corp".parse().unwrap(), subject })
            });
            let access = Access {
                method: &texts[0],
                path: &path,
                route: &texts[1],
                status: numbers.0,
                code,
                took: Duration::from_micros(micros),
                bytes_in: numbers.1,
                bytes_out: numbers.2,
                complete,
                client,
                user: user.as_ref(),
                upstream: complete.then_some(&texts[2]),
                request_id: &texts[3],
                trace_id: complete.then_some(&texts[4]),
            };
            for shape in [Shape::Json, Shape::Text] {
                prop_assert_eq!(by_us(shape, &access), by_tracing(shape, &access));
            }
            let read: serde_json::Value = serde_json::from_str(&by_us(Shape::Json, &access)).unwrap();
            prop_assert_eq!(read["request_id"].as_str(), Some(&*texts[3]));
        }
    }

    #[test]
    fn a_user_is_logged_without_an_address() {
        let foreign = |subject: &str| Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: subject.parse().unwrap(),
        };
        assert_eq!(Named(&foreign("auth0|5f7c")).to_string(), "corp:auth0|5f7c");
        assert_eq!(Named(&foreign("ann@example.com")).to_string(), "corp:…");
        let told = Named(&foreign("x user=self client=\"::1\"")).to_string();
        assert_eq!(
            told, "corp:x%20user=self%20client=%22::1%22",
            "one field, whatever the subject"
        );
    }

    #[test]
    fn a_path_is_logged_without_addresses_and_tokens() {
        assert_eq!(Masked("/orders/7").to_string(), "/orders/7");
        assert_eq!(Masked("/users/ann@example.com/x").to_string(), "/users/…/x");
        assert_eq!(Masked("/users/ann%40example.com").to_string(), "/users/…");
        assert_eq!(Masked(&format!("/reset/{}", "a".repeat(65))).to_string(), "/reset/…");
        assert_eq!(Masked(&"/abc".repeat(30)).to_string(), "/abc".repeat(30));
    }
}
