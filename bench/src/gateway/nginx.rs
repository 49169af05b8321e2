//! Debian's nginx as a TLS reverse proxy that checks nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::parties::Identity;

pub const PROGRAM: &str = "nginx";
pub const INSTALL: &str = "apt-get install --no-install-recommends nginx-light";

/// How it is started in a folder of its own.
pub fn command(folder: &Path, listen: SocketAddr, service: SocketAddr, server: &Identity) -> Command {
    fs::create_dir_all(folder.join("t")).expect("a folder of ours");
    let (cert, key) = (server.cert.display(), server.key.display());
    let text = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path t/b; proxy_temp_path t/p; fastcgi_temp_path t/f; uwsgi_temp_path t/u; scgi_temp_path t/s;
  keepalive_requests 1000000000;
  upstream service {{ server {service}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen {listen} ssl http2;
    ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
    location / {{
      proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;
    }}
  }}
}}
"
    );
    fs::write(folder.join("nginx.conf"), text).expect("a folder of ours");
    let mut command = Command::new(PROGRAM);
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}
