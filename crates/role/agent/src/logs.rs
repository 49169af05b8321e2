//! Where an agent says what happens: on stderr, a line each.

use tracing_subscriber::EnvFilter;

/// Logs from `info` on, or as `COUNTERSIGN_LOG` says.
pub fn log() {
    let filter = EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // an error of logging itself must not end a process whose stderr is gone
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let _ = log.with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}
