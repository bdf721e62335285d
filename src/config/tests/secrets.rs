//! No secret is ever shown, whatever is wrong around it.

use proptest::prelude::*;

use super::{Case, parse};

/// What must not be seen.
const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

/// All that a person could see of this case.
fn seen(case: &Case) -> String {
    match case.load() {
        Ok(loaded) => format!("{:?} {:?}", loaded.effective, loaded.config),
        Err(errors) => format!("{errors} {errors:?}"),
    }
}

#[test]
fn a_secret_in_the_file_is_not_shown_whatever_is_wrong() {
    for text in [
        "[store]\npassword = 'SECRET'",
        "[store]\npassword = ['SECRET']",
        "[store]\npassword = { a = 'SECRET' }",
        "[store]\npassword = 'SECRET'\npassword_file = 'x'\nurl = 'mysql://a@b/c'",
        "[store]\npassword = 'SECRET'\npassword = 'SECRET'",
        "[store]\npassword = 'SECRET",
        "[store]\npassword = SECRET",
        "[store]\npassword =\n'SECRET'",
        "[store]\npassword = '''\nSECRET\n''' x",
        "[store]\npassword = \"\"\"\nSECRET",
        "[store]\npassword 'SECRET'",
        "[store]\npassword: 'SECRET'",
        "[store]\npasword = 'SECRET'",
        "[store]\npassword_ = 'SECRET'",
        "[store]\nPASSWORD = 'SECRET'",
        "[stroe]\npassword = 'SECRET'",
        "stroe = { password = 'SECRET' }",
        "store = { password = 'SECRET', x = 1 }",
        "store = { x = 1, password = 'SECRET', max_connections = 0 }",
        "store = [{ password = 'SECRET' }]",
        "store = 'SECRET'",
        "password = 'SECRET'",
        "server.password = 'SECRET'",
        "tokens = { secret = 'SECRET', leeway = 1 }",
        "[tokens]\nsecret = 'SECRET'",
        "[tokens]\nsecret = 'SECRET'\nalgorithm = 'HS512'",
        "[tokens]\nsecrets = 'SECRET'",
        "[tokens]\nshared_key = 'SECRET'",
        "[tokens.secret]\na = 'SECRET'",
        "[[clients]]\nid = 'a'\nsecret = 'SECRET'",
        "[[clients]]\nid = 'a'\nsecret = ['SECRET']",
        "[[clients]]\nid = 'a'\nsecret = 'SECRET'\nsecret_file = 's'",
        "[[clients]]\nid = 'a'\nsecret = 'SECRET\u{e9}'",
        "[[clients]]\nid = 'a b'\nsecret = 'SECRET'",
        "[[clients]]\nid = 'a'\nsecrte = 'SECRET'",
        "[clients]\nid = 'a'\nsecret = 'SECRET'",
        "clients = ['SECRET']",
        "clients = { a = 'SECRET' }",
        "clients = 'SECRET'",
        "[[cleints]]\nid = 'a'\nsecret = 'SECRET'",
        "[store]\nurl = 'mysql://a:SECRET@b/c'",
        "[store]\nurl = 'mysql://a:SECRET@b/c'\npassword = 'SECRET'",
        "[store]\nurl = 'mysql://a:SECRET@b'",
        "[store]\nurl = 'mysql://a:SECRET/b'",
        "[store]\nurl = 'mysql://a:SECRET'",
        "[store]\nurl = 'mysql://a:x/SECRET@b/c'",
        "[store]\nurl = 'mysql://a:x\"SECRET@b/c'",
        "[store]\nurl = 'postgres://a:SECRET@b/c'",
        "[store]\nurl = 'a:SECRET@b/c'",
        "[store]\nurl = \"mysql://a\\u003aSECRET@b\"",
        "[store]\nurl = \"mysql://a:\\u0041SECRET@b\"",
        "[store]\nurl = '''mysql://a:SECRET@b'''",
        "[store]\nurl = 'mysql://a@b/c?password=SECRET'",
        "[store]\nurl = ['mysql://a:SECRET@b/c']",
        "[store]\nurl = 'mysql://a:SECRET@b/c",
        "[store]\nurl = 'mysql://a:SECRET/c",
        "[store]\nulr = 'mysql://a:SECRET@b/c'",
        "[store]\nulr = 'mysql://a:SECRET/c'",
        "[stroe]\nurl = 'mysql://a:SECRET/c'",
        "[revocation]\nurl = 'redis://a:SECRET@b'",
        "[revocation]\nurl = 'redis://:SECRET@b/x'",
        "[revocation]\nurl = 'redis://a:SECRET'",
        "[revocation]\nurl = 'rediss://a:SECRET@b'\npassword = 'SECRET'",
        "[revocation]\nurl = ['redis://a:SECRET@b/c']",
        "[revocation]\nurl = \"redis://:\\u0041SECRET@b/x\"",
        "[revocation]\nulr = 'redis://a:SECRET@b'",
        "[revocation]\npassword = 'SECRET'",
        "[upstreams.a]\nservers = 'http://a:SECRET@b'",
        "[upstreams.a]\nservers = ['http://a', 'http://a:SECRET@b']",
        "[tokens]\nissuer = 'http://a:SECRET@b'",
    ] {
        let case = Case::with_routes(&format!("{}\n", text.replace("SECRET", SECRET)));
        let seen = seen(&case);
        assert!(!seen.contains("hunter2"), "{text}\n{seen}");
    }
}

#[test]
fn a_secret_in_the_environment_or_an_option_is_not_shown() {
    let mysql = "[store]\nurl = 'mysql://a@b/c'\n";
    for (key, value) in [
        ("store.password", SECRET.to_owned()),
        ("store.pasword", SECRET.to_owned()),
        ("store.url", format!("mysql://a:{SECRET}@b/c")),
        ("store.url", format!("mysql://a:{SECRET}@b")),
        ("store.url", format!("mysql://a:{SECRET}")),
        ("revocation.url", format!("redis://:{SECRET}@b")),
        ("revocation.url", format!("redis://:{SECRET}@b/c")),
        ("revocation.password", SECRET.to_owned()),
        ("tokens.secret", SECRET.to_owned()),
        ("tokens.secret", format!("[{SECRET}")),
        ("clients", format!("[{{ id = 'a', secret = '{SECRET}' }}]")),
        ("clients", format!("[{{ id = 'a b', secret = '{SECRET}' }}]")),
        ("clients", format!("['{SECRET}']")),
        ("clients", SECRET.to_owned()),
        ("clients.secret", SECRET.to_owned()),
        ("nothing", SECRET.to_owned()),
        ("upstreams.a.servers", format!("http://a:{SECRET}@b")),
        ("upstreams.a.servers", format!("['http://a:{SECRET}@b")),
    ] {
        let variable = format!("DOORWARD_{}", key.replace('.', "__").to_uppercase());
        let seen = [
            seen(&Case::with_routes(mysql).env(&variable, &value)),
            seen(&Case::with_routes(mysql).set(&format!("{key}={value}"))),
            seen(&Case::with_routes(mysql).set(&value)),
        ];
        assert!(!seen.concat().contains("hunter2"), "{key}: {seen:#?}");
    }
}

#[test]
fn a_secret_in_a_file_of_its_own_is_not_shown() {
    let secret = format!("{SECRET}\n");
    for text in [
        "[store]\nurl = 'mysql://a@b/c'\npassword_file = 's'\n",
        "[tokens]\nalgorithm = 'HS512'\nsecret_file = 's'\n",
        "[tokens]\nalgorithm = 'HS256'\nsecret_file = 's'\n",
        "[[clients]]\nid = 'a'\nsecret_file = 's'\n",
        "[[clients]]\nid = 'a b'\nsecret_file = 's'\n",
    ] {
        let seen = seen(&Case::with_routes(text).file("s", secret.as_bytes()));
        assert!(!seen.contains("hunter2"), "{text}\n{seen}");
    }
}

#[test]
fn the_effective_settings_mask_secrets() {
    let case = Case::with_routes(
        "[store]\nurl = 'mysql://a@b/c'\npassword = 'hunter2'\n[tokens]\nalgorithm = 'HS256'\nsecret = '\
         hunter2-hunter2-hunter2-hunter2-hunter2'\n[[clients]]\nid = 'a'\nsecret = \
         'hunter2-hunter2-hunter2-hunter2-hunter2'\n",
    );
    let settings = case.load().unwrap().effective;
    let value = |key| &settings.iter().find(|setting| setting.key == key).unwrap().value;
    assert_eq!(value("store.password"), "\"[secret]\"");
    assert_eq!(value("tokens.secret"), "\"[secret]\"");
    assert_eq!(value("clients[0].id"), "\"a\"");
    assert_eq!(value("clients[0].secret"), "\"[secret]\"");
    assert_eq!(value("clients[0].allow"), "[\"introspect\", \"revoke\"]");
    let case = Case::with_routes("store.url = 'mysql://a:hunter2@b/c'\n");
    let settings = case.load().unwrap().effective;
    let url = settings.iter().find(|setting| setting.key == "store.url").unwrap();
    assert_eq!(url.value, "\"mysql://a:[secret]@b/c\"");
    let case = Case::with_routes("revocation.url = 'redis://:hunter2@cache/1'\n");
    let settings = case.load().unwrap().effective;
    let url = settings.iter().find(|setting| setting.key == "revocation.url").unwrap();
    assert_eq!(url.value, "\"redis://:[secret]@cache/1\"");
}

#[test]
fn what_is_not_secret_is_shown() {
    for (text, shown) in [
        ("[store]\nurl = 'slite://data/x.db'\n", "slite://data/x.db"),
        ("[store]\nurl = 'mysql://a:pw@b'\n", "url = 'mysql://a:[secret]@b'"),
        ("[passwords]\nbcrypt_cost = 99\n", "bcrypt_cost = 99"),
        ("[keys]\nmaster_key_file = 99\n", "master_key_file = 99"),
        ("[store]\npassword = 5\n", "password = [secret]"),
        ("[store]\npassword_file = x/y\n", "password_file = x/y"),
    ] {
        let seen = seen(&Case::with_routes(text));
        assert!(seen.contains(shown), "{text}\n{seen}");
    }
}

proptest! {
    #[test]
    fn a_secret_survives_no_damage_to_its_line(
        before in "[ -~]{0,12}", after in "[ -~]{0,12}", quote in "'|\"|'''|\"\"\"|",
        key in "password|tokens.secret|store.password"
    ) {
        let text = format!("[store]\n{before}\n{key} = {quote}{SECRET}{quote}{after}\n[[routes]]\n{after}\n");
        if let Err(errors) = parse(&text, std::path::Path::new("/")) {
            prop_assert!(!errors.to_string().contains("hunter2"), "{text}\n{errors}");
        }
    }
}
