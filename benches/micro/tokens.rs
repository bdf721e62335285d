//! Judging a bearer token that was seen before, and one that was not.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use doorward::config::{self, Algorithm};
use doorward::id::{Email, Role, SessionId, UserId, UserName};
use doorward::issuer::Issuers;
use doorward::time::{Clock, Timestamp, monotonic};
use doorward::token::{Subject, Tokens};
use tokio::runtime::Runtime;

use crate::state;

/// How many tokens are verified in a row: each for the first time since the cache was made anew, which is not counted.
const FEW: usize = 256;

pub(crate) fn bench(criterion: &mut Criterion, runtime: &Runtime) {
    let now = Clock::system().now();
    let mut group = criterion.benchmark_group("token");
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256] {
        let settings = state::settings(algorithm);
        let tokens = runtime.block_on(state::tokens(&settings, now));
        let texts: Vec<String> = (0..FEW).map(|_| issued(&tokens, now)).collect();
        let text = &texts[0];

        let first = tokens.authenticate(text, now).expect("a good token");
        let again = tokens.authenticate(text, now).expect("a good token");
        assert!(Arc::ptr_eq(&first, &again), "it is remembered");
        group.bench_function(BenchmarkId::new("seen before", algorithm.as_str()), |bencher| {
            bencher.iter(|| tokens.authenticate(black_box(text), black_box(now)));
        });

        let elsewhere = forgetful(&tokens, &settings)
            .authenticate(text, now)
            .expect("a good token");
        assert!(!Arc::ptr_eq(&first, &elsewhere), "it is verified");
        group.bench_function(BenchmarkId::new("verified", algorithm.as_str()), |bencher| {
            bencher.iter_custom(|times| {
                let (mut left, mut took) = (times, Duration::ZERO);
                while left > 0 {
                    let few = FEW.min(usize::try_from(left).unwrap_or(FEW));
                    took += verified(&forgetful(&tokens, &settings), &texts[..few], now);
                    left -= few as u64;
                }
                took
            });
        });
    }
    group.finish();
}

/// How long it takes to judge these, and to remember them.
fn verified(tokens: &Tokens, texts: &[String], now: Timestamp) -> Duration {
    let since = monotonic();
    for text in texts {
        black_box(
            tokens
                .authenticate(black_box(text), black_box(now))
                .expect("a good token"),
        );
    }
    since.elapsed()
}

/// The same keys and revocations, and no token that was seen before: under other settings none counts.
fn forgetful(tokens: &Tokens, settings: &config::Tokens) -> Tokens {
    let other = config::Tokens {
        leeway: settings.leeway + Duration::from_secs(1),
        ..settings.clone()
    };
    tokens.renewed(&other, Arc::new(Issuers::default()))
}

/// The token of somebody with three roles.
fn issued(tokens: &Tokens, now: Timestamp) -> String {
    let email: Email = "ann@example.com".parse().expect("an e-mail address");
    let name: UserName = "Ann Example".parse().expect("a name");
    let roles: Vec<Role> = ["billing", "support", "user"]
        .map(|role| role.parse().expect("a role"))
        .into();
    let subject = Subject {
        user: UserId::generate(now),
        email: &email,
        name: &name,
        roles: &roles,
        session: SessionId::generate(now),
        generation: 1,
        session_expires_at: now + Duration::from_hours(24),
    };
    tokens.issue(&subject, now).expect("a token").text.expose().to_owned()
}
