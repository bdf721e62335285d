//! `doorward keys` and `doorward tokens inspect`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::sync::{Arc, mpsc};
use std::thread;

use doorward::config;
use doorward::id::{SessionId, UserId};
use doorward::store::{Revocation, Revoked, Store};
use doorward::time::{Clock, Timestamp};
use doorward::token::{Blocklist, MasterKey, Subject, Tokens, ensure_first_key, load_keys, revoke_until};

use super::{CONFIG, Folder, assert_holds, is_private};
use crate::support::DEADLINE;

#[test]
fn a_key_is_made_and_listed_without_its_private_part() {
    let folder = Folder::new();
    let done = folder.run("keys create");
    assert_holds(&done.err, &["made the master key", "data/master.key", "EdDSA"]);
    let kid = done.good().trim().to_owned();
    assert!(is_private(&folder.path("data/master.key")));
    // A second one has to be published before it signs.
    assert_holds(
        &folder.run("keys create").bad(1),
        &["a signing key already", "keys rotate"],
    );
    let done = folder.run("keys rotate --algorithm HS256");
    assert_holds(&done.err, &["HS256", "published now and signs from", "verify until"]);
    let shared = done.good().trim().to_owned();

    let keys = folder.json("keys list --json");
    assert_eq!(
        (&keys[0]["kid"], &keys[0]["algorithm"]),
        (&kid.as_str().into(), &"EdDSA".into())
    );
    assert_eq!(keys[0]["state"], "signing");
    assert!(
        keys[0]["public_jwk"]["x"].is_string() && keys[0]["public_jwk"]["d"].is_null(),
        "{keys}"
    );
    assert_eq!(
        (&keys[1]["kid"], &keys[1]["state"]),
        (&shared.as_str().into(), &"waiting".into())
    );
    assert!(keys[1]["public_jwk"].is_null(), "{keys}");
    assert_holds(
        &folder.run("keys list").good(),
        &[&kid, &shared, "HS256", "signing", "waiting"],
    );
}

#[test]
fn a_gateway_that_asserts_identities_wants_a_key_that_others_can_verify_with() {
    let folder = Folder::new();
    folder.run("keys create --algorithm HS256").good();
    assert_holds(&folder.run("check").good(), &["1 signing key"]);
    folder.write("gateway.toml", &format!("identity.assertion = true\n{CONFIG}"));
    let wanted = ["routes with `assertion` need a signing key with a public half"];
    assert_holds(&folder.run("serve").bad(1), &wanted);
    let checked = folder.run("check");
    assert_eq!(checked.code, Some(1), "{checked:#?}");
    assert_holds(&checked.out, &wanted);
}

#[test]
fn a_gateway_that_asserts_identities_starts_right_after_its_only_key_was_revoked() {
    let folder = Folder::new();
    folder.write("gateway.toml", &format!("identity.assertion = true\n{CONFIG}"));
    let kid = folder.run("keys create").good().trim().to_owned();
    folder.run(&format!("keys revoke {kid}")).good();
    // Its successor signs in a moment.
    assert_holds(&folder.run("check").good(), &["1 signing key"]);
}

#[test]
fn a_lost_master_key_is_not_replaced_while_keys_need_it() {
    let folder = Folder::new();
    folder.run("keys create").good();
    fs::remove_file(folder.path("data/master.key")).unwrap();
    assert_holds(
        &folder.run("keys create").bad(1),
        &["1 key sealed with a master key", "data/master.key"],
    );
    assert!(!folder.path("data/master.key").exists());
}

#[test]
fn the_gateway_does_not_replace_a_lost_master_key_either() {
    let folder = Folder::new();
    folder.run("keys create").good();
    fs::remove_file(folder.path("data/master.key")).unwrap();
    assert_holds(
        &folder.run("serve").bad(1),
        &["1 key sealed with a master key", "data/master.key"],
    );
    assert!(!folder.path("data/master.key").exists());
}

#[test]
fn no_key_is_made_with_a_master_key_that_does_not_open_those_there() {
    let folder = Folder::new();
    let kid = folder.run("keys create").good();
    fs::write(folder.path("data/master.key"), "07".repeat(32)).unwrap();
    assert_holds(
        &folder.run("keys create").bad(1),
        &[
            "cannot create the key",
            kid.trim(),
            "does not open with this master key",
        ],
    );
    assert_eq!(folder.json("keys list --json").as_array().unwrap().len(), 1);
}

#[test]
fn a_rotation_waits_for_the_one_before_it_unless_it_is_forced() {
    let folder = Folder::new();
    let first = folder.run("keys rotate");
    assert_holds(&first.bad(1), &["cannot use the master key", "no master key"]);
    folder.run("keys create").good();
    let waiting = folder.run("keys rotate").good();
    assert_holds(
        &folder.run("keys rotate").bad(1),
        &["cannot rotate the keys", waiting.trim(), "begins to sign at", "--force"],
    );
    let forced = folder.run("keys rotate --force").good();
    let keys = folder.json("keys list --json");
    let kids: Vec<&str> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    assert_eq!(kids[1..], [waiting.trim(), forced.trim()]);
    assert!(keys[0]["retires_at"].is_string() && keys[1]["retires_at"].is_string() && keys[2]["retires_at"].is_null());
}

#[test]
fn a_revoked_key_is_replaced_and_listed_as_such() {
    let folder = Folder::new();
    let kid = folder.run("keys create").good().trim().to_owned();
    assert_holds(&folder.run("keys revoke no-such").bad(1), &["no key no-such", &kid]);
    // A name may begin with a dash.
    assert_holds(&folder.run("keys revoke -no-such").bad(1), &["no key -no-such"]);
    assert_holds(&folder.run("keys revoke a.b").bad(2), &["a.b"]);
    let done = folder.run(&format!("keys revoke {kid}"));
    assert_holds(&done.err, &["revoked", &kid, "every replica", "logins wait until then"]);
    let successor = done.good().trim().to_owned();
    let keys = folder.json("keys list --json");
    assert_eq!(
        (keys.as_array().unwrap().len(), &keys[0]["kid"]),
        (1, &successor.as_str().into())
    );
    let keys = folder.json("keys list --all --json");
    assert_eq!(
        (&keys[0]["kid"], &keys[0]["state"]),
        (&kid.as_str().into(), &"revoked".into())
    );
    assert_holds(&folder.run("keys list --all").good(), &[&kid, &successor, "revoked"]);
}

#[test]
fn keys_are_sealed_anew_with_a_file_that_is_made_only_when_asked_for() {
    let folder = Folder::new();
    folder.run("keys create").good();
    let reseal = "keys reseal --new-master-key-file new.key";
    assert_holds(&folder.run(reseal).bad(1), &["new master key", "new.key"]);
    let same = "keys reseal --new-master-key-file data/master.key";
    assert_holds(&folder.run(same).bad(1), &["sealed with the new master key already"]);
    let done = folder.run(&format!("{reseal} --create"));
    assert_holds(
        &done.err,
        &["1 signing key", "new.key", "data/master.key", "every replica"],
    );
    done.good();
    assert!(is_private(&folder.path("new.key")));
    let done = folder.run("check");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["does not open with this master key"]);
    assert_holds(&folder.run(reseal).bad(1), &["already"]);
    fs::rename(folder.path("new.key"), folder.path("data/master.key")).unwrap();
    folder.run("check").good();
    folder.run("keys rotate").good();
}

#[test]
fn a_gateway_whose_tokens_are_signed_with_another_algorithm_says_so() {
    let folder = Folder::new();
    folder.run("keys create").good();
    let mut serve = folder
        .command(["serve", "--set", "tokens.algorithm=ES256"])
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let log = BufReader::new(serve.stderr.take().unwrap());
    let reader = thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            // Nobody listens once the line has come.
            let _ = tell.send(line);
        }
    });
    let warning = loop {
        let line = told.recv_timeout(DEADLINE).expect("a warning");
        if line.contains("another algorithm") {
            break line;
        }
    };
    serve.kill().unwrap();
    serve.wait().unwrap();
    reader.join().unwrap();
    assert_holds(&warning, &["EdDSA", "ES256", "keys rotate"]);
}

#[test]
fn a_shared_secret_does_not_rotate() {
    let folder = Folder::new();
    let set =
        "--set keys.rotate_every=90d --set tokens.algorithm=HS256 --set tokens.secret=0123456789abcdef0123456789abcdef";
    let done = folder.run(&format!("check {set}"));
    assert_holds(
        &done.bad(78),
        &["keys.rotate_every", "tokens.secret", "without a shared secret"],
    );
}

/// Issues a token as the gateway of this folder would have at that time, with its first key made then if it had none. Gives the session
/// too.
async fn issue(folder: &Folder, now: Timestamp) -> (String, SessionId, Store) {
    let config = config::parse(CONFIG, &folder.path("")).unwrap();
    let store = Store::connect(&config.store).await.unwrap();
    let master = MasterKey::load_or_create(&folder.path("data/master.key")).unwrap();
    let first = ensure_first_key(&store, &master, config.tokens.algorithm, now).await;
    first.unwrap();
    let keys = load_keys(&store, &master, now).await.unwrap();
    let tokens = Tokens::new(&config.tokens, keys, Arc::new(Blocklist::new(&config.revocation)));
    let session = SessionId::generate(now);
    let subject = Subject {
        user: UserId::generate(now),
        email: &"ann@example.com".parse().unwrap(),
        name: &"Ann".parse().unwrap(),
        roles: &["admin".parse().unwrap()],
        session,
        generation: 1,
        session_expires_at: revoke_until(now),
    };
    let token = tokens.issue(&subject, now).unwrap();
    (token.text.expose().clone(), session, store)
}

#[tokio::test]
async fn a_token_is_shown_and_judged_without_its_signature() {
    let folder = Folder::new();
    folder.run("keys create").good();
    let now = Clock::system().now();
    let (token, session, store) = issue(&folder, now).await;
    let signature = token.rsplit('.').next().unwrap();

    let out = folder.run_with("tokens inspect", &format!("Bearer {token}\n")).good();
    assert_holds(&out, &["\"at+jwt\"", "ann@example.com", "verdict valid until"]);
    assert!(!out.contains(signature), "{out}");
    folder.write("token", &token);
    let shown = folder.json("tokens inspect token --json");
    assert_eq!(
        (&shown["valid"], &shown["claims"]["roles"][0]),
        (&true.into(), &"admin".into())
    );
    assert!(!shown.to_string().contains(signature));

    let session = Revoked::Session {
        id: session,
        up_to: u32::MAX,
    };
    let revocation = Revocation {
        target: session,
        expires_at: revoke_until(now),
    };
    store.block(&[revocation], now).await.unwrap();
    let done = folder.run("tokens inspect token");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["verdict token revoked"]);
}

#[tokio::test]
async fn a_token_that_is_not_ours_fails_with_the_reason() {
    let folder = Folder::new();
    folder.run("migrate up").good();
    let now = Clock::system().now();
    let (expired, ..) = issue(&folder, Timestamp::from_unix_seconds(1_700_000_000)).await;
    let (token, ..) = issue(&folder, now).await;
    let tampered = format!("{}AAAA", &token[..token.len() - 4]);
    for (token, verdict) in [
        (expired.as_str(), "token expired"),
        (tampered.as_str(), "signature does not fit"),
        ("not a token", "not three non-empty parts"),
    ] {
        let done = folder.run_with("tokens inspect -", token);
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert_holds(&done.out, &[verdict]);
    }
    assert_holds(
        &folder.run_with("tokens inspect", " \n").bad(1),
        &["no token on standard input"],
    );
    assert_holds(&folder.run("tokens inspect nowhere").bad(1), &["nowhere"]);
}

#[test]
fn without_keys_no_token_can_be_judged() {
    let folder = Folder::new();
    assert_holds(&folder.run_with("tokens inspect", "a.b.c").bad(1), &["master key"]);
}
