//! nginx as the plain proxy to compare with: one worker, a map of the same keys, keep-alive to the backends, no
//! buffering, no log.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tollgate_tests::harness::http::Client;
use tollgate_tests::harness::process::Process;
use tollgate_tests::harness::wait;

/// Starts nginx on core 0. `routes` are pairs of an address to listen on and the backend behind it.
pub(crate) async fn start(
    folder: &Path,
    keys: &[String],
    backend_key: &str,
    routes: &[(SocketAddr, SocketAddr)],
) -> Result<Process> {
    std::fs::create_dir_all(folder.join("logs"))?;
    std::fs::write(folder.join("keys.map"), key_map(keys)?)?;
    std::fs::write(folder.join("nginx.conf"), config(backend_key, routes)?)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0", program(), "-e", "stderr", "-p"]).arg(folder).args(["-c", "nginx.conf"]);
    let mut process =
        Process::start("nginx", &mut command).context("nginx is needed: apt-get install nginx-light")?;
    let first = routes.first().context("nginx needs a route")?.0;
    // Without a key the answer is 401, which is answer enough.
    process.ready(wait::START, || async move { Client::new(first).get("/v1/models").await.is_ok() }).await?;
    Ok(process)
}

/// Debian keeps it where users do not look.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").is_file() { "/usr/sbin/nginx" } else { "nginx" }
}

fn key_map(keys: &[String]) -> Result<String> {
    let mut map = String::new();
    for key in keys {
        writeln!(map, "\"Bearer {key}\" 1;")?;
    }
    Ok(map)
}

fn config(backend_key: &str, routes: &[(SocketAddr, SocketAddr)]) -> Result<String> {
    let mut text = String::from(HEAD);
    for (number, (listen, backend)) in routes.iter().enumerate() {
        write!(
            text,
            // Headers set here replace all those set further up: without the empty Connection every request would
            // have a connection of its own.
            "  upstream b{number} {{ server {backend}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      if ($known = 0) {{ return 401; }}
      proxy_pass http://b{number};
      proxy_set_header Connection \"\";
      proxy_set_header Authorization \"Bearer {backend_key}\";
    }}
  }}
"
        )?;
    }
    Ok(text + "}\n")
}

const HEAD: &str = "user root;
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 128k;
  proxy_http_version 1.1;
  proxy_buffering off;
  map_hash_max_size 65536;
  map_hash_bucket_size 128;
  map $http_authorization $known { default 0; include keys.map; }
";
