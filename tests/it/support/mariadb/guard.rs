//! How a MariaDB is made and started, and how none outlives its test.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{PASSWORD, PLAIN_USER, USER};

/// Makes the system tables and the user.
pub(super) fn install(dir: &Path) {
    // A server that starts removes temporary tables that it finds: those of others, where the folder is shared.
    std::fs::create_dir(dir.join("tmp")).expect("the folder takes another");
    let made = program("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", dir.join("data").display()))
        .arg(format!("--tmpdir={}", dir.join("tmp").display()))
        .args([
            "--user=root",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ])
        .args(["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"])
        .output()
        .expect("mariadb-install-db runs");
    assert!(made.status.success(), "mariadb-install-db: {made:?}");
    let mut init = std::fs::File::create(dir.join("init.sql")).expect("the folder takes a file");
    writeln!(
        init,
        "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';"
    )
    .expect("it takes a line");
    writeln!(init, "GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;").expect("it takes a line");
    writeln!(
        init,
        "CREATE USER IF NOT EXISTS '{PLAIN_USER}'@'%' IDENTIFIED BY '{PASSWORD}';"
    )
    .expect("it takes a line");
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES";
    writeln!(init, "GRANT {rights} ON *.* TO '{PLAIN_USER}'@'%';").expect("it takes a line");
}

/// The server under a shell that kills it, and removes its folder, once nobody holds the other end of its input: that is
/// when the test process is gone, also when it was killed. A server that ends is started again where there is a file `again`,
/// once there is no file `hold`.
pub(super) fn spawn(user: &str, dir: &Path, port: u16, settings: &[&str]) -> Child {
    // A shell gives what it runs in the background an empty input: 3 is the real one. 4 is where a person reads.
    const GUARD: &str = r#"dir=$1; shift; trap '' INT TERM HUP XFSZ; exec 3<&0 4>&2 2>/dev/null
        (cat <&3 4>&-; : >"$dir/over"; kill -KILL $(cat "$dir/server")) & guard=$!
        while :; do
            "$@" $(cat "$dir/once") </dev/null 3<&- 4>&- >>"$dir/log" 2>&1 & server=$!; echo $server >"$dir/server"
            [ -e "$dir/over" ] && kill -KILL $server
            wait $server
            while [ -e "$dir/hold" ] && [ ! -e "$dir/over" ]; do sleep 0.05; done
            [ -e "$dir/again" ] && [ ! -e "$dir/over" ] || break
            : >"$dir/once"; sleep 0.1
        done
        [ -e "$dir/over" ] || grep ERROR "$dir/log" >&4; rm -rf "$dir"; kill -KILL $guard"#;
    let server = program("mariadbd");
    Command::new("sh")
        .args(["-c", GUARD, "sh"])
        .arg(dir)
        .arg(server.get_program())
        .args([
            "--no-defaults",
            &format!("--user={user}"),
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
        ])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", dir.join("data").display()))
        .arg(format!("--tmpdir={}", dir.join("tmp").display()))
        .arg(format!("--socket={}", dir.join("socket").display()))
        .arg(format!("--pid-file={}", dir.join("pid").display()))
        .arg(format!("--init-file={}", dir.join("init.sql").display()))
        // Small and fast: what these tests ask of durability they ask of SQLite.
        .args([
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ])
        .args(["--skip-log-bin", "--performance-schema=OFF", "--max-connections=1000"])
        // Not what we want, so that it shows what we leave to the server.
        .args([
            "--character-set-server=latin1",
            "--collation-server=latin1_swedish_ci",
            "--sql-mode=",
        ])
        .args(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell runs")
}

/// A command that runs `name` from the PATH or, where Debian keeps servers, from /usr/sbin.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tools/test, which installs what is missing"));
    Command::new(found)
}

/// Waits until none of the threads of a process that was told to stop runs any more: it may take each a moment to hear of it.
pub(crate) fn stands_still(process: u32) {
    let is_stopped = || {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
        let states = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        // proc(5): the state comes after the name, which is in parentheses.
        states
            .into_iter()
            .all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    };
    for _ in 0..10_000 {
        if is_stopped() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("process {process} does not stop");
}
