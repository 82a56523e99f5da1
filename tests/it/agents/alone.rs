//! Nothing that runs here reaches anything but this machine's loopback.
//!
//! The strongest that needs no root: a network namespace of the test's own (`unshare`), with nothing in it but a
//! loopback, for the gateway, the simulated providers and the agents alike. Where the system allows no user namespaces,
//! agents are told of a proxy that refuses everything, which they may ignore.

#![expect(clippy::print_stdout, reason = "what the test inside the namespace says belongs to this one")]

use std::net::TcpStream;
use std::process::Command;

/// Set in the namespace.
const INSIDE: &str = "TOLLGATE_TESTS_ALONE";
/// Nothing listens here.
const REFUSING: &str = "http://127.0.0.1:9";
/// Kept for documentation (RFC 5737): nobody answers there, but whoever has a way out begins to wait.
const OUTSIDE: &str = "192.0.2.1:443";

/// Runs `test`, which is named `name`, in a namespace of its own where that is possible.
pub(super) fn run(name: &str, test: impl FnOnce()) {
    if is_inside() {
        assert!(TcpStream::connect(OUTSIDE).is_err(), "the namespace has a way out");
        return test();
    }
    let up = "ip link set lo up && exec \"$@\"";
    let namespace = |program: &std::ffi::OsStr| {
        let mut command = Command::new("unshare");
        // Some agents leave a process of theirs behind: all end with the first one of their namespace.
        let apart = ["--map-root-user", "--net", "--pid", "--fork", "--kill-child"];
        command.args(apart).args(["sh", "-c", up, "sh"]).arg(program);
        command
    };
    if !namespace("true".as_ref()).output().is_ok_and(|tried| tried.status.success()) {
        println!("no network namespace here: a refusing proxy is all that keeps agents from the internet");
        return test();
    }
    let this = std::env::current_exe().unwrap();
    let mut command = namespace(this.as_os_str());
    let ended = command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    println!("{}", String::from_utf8_lossy(&ended.stdout));
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some_and(|value| value == "1")
}

/// What an agent gets that runs outside of a namespace.
pub(super) fn without_internet(command: &mut tokio::process::Command) {
    if is_inside() {
        return;
    }
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, REFUSING).env(name.to_lowercase(), REFUSING);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        command.env(name, "127.0.0.1,localhost");
    }
}
