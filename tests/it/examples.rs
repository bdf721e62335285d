//! Whatever is in examples/ works.

use std::fs;
use std::path::Path;

use doorward::config::{self, Config};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::process::free_address;
use crate::support::tools::{installed, program, root};
use crate::support::{Account, DEADLINE, TestGateway, eventually, when};

/// A copy of examples/ with the secrets that its files ask for.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    for secret in [
        "mysql.password",
        "shared.secret",
        "reports.secret",
        "support.secret",
        "master.key",
    ] {
        fs::write(dir.path().join(secret), "0123456789abcdef".repeat(4) + "\n").unwrap();
    }
    dir
}

fn load(dir: &Path, name: &str) -> Config {
    let text = fs::read_to_string(dir.join(name)).unwrap();
    config::parse(&text, dir).unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

#[test]
fn every_configuration_loads() {
    let dir = copy();
    let mut loaded = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            assert!(!load(dir.path(), &name).routes.is_empty(), "{name}");
            loaded += 1;
        }
    }
    assert!(loaded > 10, "only {loaded}");
    let shipped = fs::read_to_string(root().join("gateway.toml")).unwrap();
    config::parse(&shipped, &root()).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn every_example_is_named_in_the_readme() {
    let readme = fs::read_to_string(root().join("examples/README.md")).unwrap();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || name == ".gitignore" || readme.contains(&format!("]({name})")),
            "{name}"
        );
    }
}

/// The text of an example with its addresses replaced, so that it can run beside other tests.
fn example(name: &str, upstreams: &[(&str, std::net::SocketAddr)]) -> String {
    let text = fs::read_to_string(root().join("examples").join(name)).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    for section in ["server", "admin"] {
        let section = config
            .entry(section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        section
            .as_table_mut()
            .unwrap()
            .insert("listen".into(), "127.0.0.1:0".into());
    }
    for (name, address) in upstreams {
        config["upstreams"][*name]["servers"] = vec![format!("http://{address}")].into();
    }
    toml::to_string(&config).unwrap()
}

async fn run(mut command: Command, address: std::net::SocketAddr) -> Child {
    let child = command.spawn().unwrap();
    eventually(DEADLINE, "the example listens", || async {
        when(tokio::net::TcpStream::connect(address).await.is_ok())
    })
    .await;
    child
}

#[tokio::test]
async fn the_upstream_greets_a_user_by_the_name_in_the_identity_headers() {
    let (api, app) = (free_address(), free_address());
    let mut python = program("python3");
    python
        .arg(root().join("examples/upstream-with-identity.py"))
        .arg(api.port().to_string());
    let _api = run(python, api).await;
    let mut files = program("python3");
    files
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(root().join("examples"))
        .arg(app.port().to_string());
    let _app = run(files, app).await;
    let gateway = TestGateway::start(&example("spa-and-api.toml", &[("api", api), ("app", app)])).await;

    let user = Account::sign_up_as(&gateway, "zoe@example.com", "Zo\u{eb} 100%").await;
    let get = async |path: &str, token: Option<&str>| -> (u16, Value) {
        let (status, body) = gateway.get(path, token).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    };
    let (status, answer) = get("/api/orders", Some(&user.token)).await;
    assert_eq!(
        (status, &answer["greeting"]),
        (200, &Value::from("Hello, Zo\u{eb} 100%!"))
    );
    assert_eq!(answer["you"]["id"], user.id);
    assert_eq!(answer["you"]["roles"], serde_json::json!([]));
    assert_eq!(answer["path"], "/orders");
    assert_eq!(get("/api/orders", None).await.0, 401);
    let (status, answer) = get("/api/prices", None).await;
    assert_eq!((status, &answer["greeting"]), (200, &Value::from("Hello, stranger!")));
    let (status, page) = get("/README.md", None).await;
    assert!(
        status == 200 && page.as_str().is_some_and(|page| page.starts_with("# Examples")),
        "{page}"
    );
}

#[tokio::test]
async fn the_backend_that_verifies_tokens_itself_takes_good_ones_and_no_others() {
    let backend = free_address();
    let public = free_address();
    let issuer = format!("http://{public}/auth");
    let gateway = TestGateway::start(&format!(
        "[server]\nlisten = \"{public}\"\n[tokens]\nissuer = \"{issuer}\"\naudience = \"doorward\"\n\
         [identity]\nforward_token = true\n[upstreams.backend]\nservers = [\"http://{backend}\"]\n\
         [[routes]]\npath = \"/c\"\nupstream = \"backend\"\n",
    ))
    .await;
    let mut python = installed("python/bin/python");
    python
        .arg(root().join("examples/verify-with-jwks.py"))
        .args([&backend.port().to_string(), &issuer, "doorward"]);
    let _backend = run(python, backend).await;

    let user = Account::sign_up(&gateway).await;
    let (status, answer) = gateway.get("/c/x", Some(&user.token)).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&answer["user"], &answer["email"]),
        (&Value::from(user.id), &Value::from(user.email))
    );

    // Past the gateway, to the backend itself.
    let direct = async |token: &str| {
        let request = gateway.http.get(format!("http://{backend}/c/x")).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(direct(&user.token).await, 200);
    assert_eq!(direct("nonsense").await, 401);
    let (front, signature) = user.token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(direct(&format!("{front}.{flipped}{}", &signature[1..])).await, 401);
    // {"alg":"none","typ":"at+jwt"}
    let none = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.",
        front.split_once('.').unwrap().1
    );
    assert_eq!(direct(&none).await, 401);
}

#[tokio::test]
async fn the_backend_that_verifies_the_assertion_takes_the_gateway_s_word_and_nobody_else_s() {
    let (backend, public) = (free_address(), free_address());
    let issuer = format!("http://{public}/auth");
    let mut config: toml::Table = example("other-services.toml", &[("orders", backend)]).parse().unwrap();
    config["server"]["listen"] = public.to_string().into();
    config["tokens"]["issuer"] = issuer.as_str().into();
    for client in config["clients"].as_array_mut().unwrap() {
        let client = client.as_table_mut().unwrap();
        client.remove("secret_file");
        client.insert("secret".into(), "0123456789abcdef0123456789abcdef".into());
    }
    let gateway = TestGateway::start(&toml::to_string(&config).unwrap()).await;
    let mut python = installed("python/bin/python");
    python
        .arg(root().join("examples/verify-assertion.py"))
        .args([&backend.port().to_string(), &issuer, "orders"]);
    let _backend = run(python, backend).await;

    let user = Account::sign_up_as(&gateway, "zoe@example.com", "Zo\u{eb}").await;
    let (status, answer) = gateway.get("/orders/7", Some(&user.token)).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["sub"], user.id);
    assert_eq!(
        (&answer["email"], &answer["name"]),
        (&"zoe@example.com".into(), &"Zo\u{eb}".into())
    );

    // Past the gateway, with all that a client of it has.
    for assertion in ["", "nonsense", &user.token, &user.refresh_token] {
        let request = gateway.http.get(format!("http://{backend}/orders/7"));
        let answer = request.header("X-Auth-Assertion", assertion).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{assertion}");
    }
}
