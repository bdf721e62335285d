//! Makes access tokens by the thousand for `benches/compare/run`, as the gateway of a configuration would issue them: with its
//! own key, each for a user and a session of its own.
//!
//! `mint CONFIG COUNT FILE` writes one token a line. `mint CONFIG verify FILE` prints how many microseconds it takes to verify one
//! of them: signature and claims, without a cache. The gateway must have been started once, so that it has a key.
#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "figures are what this is for")]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use doorward::config::{self, Config};
use doorward::id::{Email, SessionId, UserId, UserName};
use doorward::store::Store;
use doorward::time::{Clock, Timestamp, monotonic};
use doorward::token::{Blocklist, KeySet, MasterKey, Subject, Tokens, load_keys};

fn main() {
    // Cargo adds `--bench` where it runs this itself.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let [file, what, tokens_file] = words.as_slice() else {
        return;
    };
    let file = PathBuf::from(file);
    let toml = std::fs::read_to_string(&file).expect("a configuration");
    let config = config::parse(&toml, file.parent().unwrap_or(Path::new("."))).expect("a configuration");
    let now = Clock::system().now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let keys = runtime.expect("a runtime").block_on(keys(&config, now));
    let tokens = Tokens::new(&config.tokens, keys, Arc::new(Blocklist::new(&config.revocation)));
    if what == "verify" {
        println!("{:.3}", verify(&tokens, tokens_file));
    } else {
        let made = mint(&tokens, what.parse().expect("a number"), now);
        write(&made, tokens_file);
    }
}

fn write(tokens: &[String], file: &str) {
    let mut out = BufWriter::new(std::fs::File::create(file).expect("a file"));
    for token in tokens {
        writeln!(out, "{token}").expect("room for it");
    }
    out.flush().expect("room for it");
}

/// Microseconds for each of the tokens in the file, none of which was seen before.
fn verify(tokens: &Tokens, file: &str) -> f64 {
    let text = std::fs::read_to_string(file).expect("tokens");
    let since = monotonic();
    let mut count = 0_u32;
    for token in text.lines() {
        tokens.read(token).expect("a token of this gateway");
        count += 1;
    }
    (since.elapsed() / count).as_secs_f64() * 1e6
}

async fn keys(config: &Config, now: Timestamp) -> KeySet {
    if let Some(secret) = &config.tokens.secret {
        return KeySet::from_secret(config.tokens.algorithm, secret).expect("a key");
    }
    let store = Store::connect(&config.store).await.expect("the database");
    let master = MasterKey::load(&config.keys.master_key_file).expect("the master key");
    let keys = load_keys(&store, &master, now).await.expect("a key");
    store.close().await;
    keys
}

/// So many tokens, by all cores.
fn mint(tokens: &Tokens, count: usize, now: Timestamp) -> Vec<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let hands: Vec<_> = (0..cores)
            .map(|hand| {
                let numbers = (hand..count).step_by(cores);
                scope.spawn(move || numbers.map(|number| token(tokens, number, now)).collect::<Vec<_>>())
            })
            .collect();
        hands
            .into_iter()
            .flat_map(|hand| hand.join().expect("a thread that ended well"))
            .collect()
    })
}

fn token(tokens: &Tokens, number: usize, now: Timestamp) -> String {
    let email: Email = format!("user{number}@example.com").parse().expect("an e-mail address");
    let name: UserName = "Ann Example".parse().expect("a name");
    let subject = Subject {
        user: UserId::generate(now),
        email: &email,
        name: &name,
        roles: &[],
        session: SessionId::generate(now),
        generation: 1,
        session_expires_at: now + Duration::from_hours(24),
    };
    let issued = tokens.issue(&subject, now).expect("a token");
    issued.text.expose().to_owned()
}
