//! Where time and randomness enter.

use std::io;
use std::time::{Duration, SystemTime};

use model::{RecordId, Time, TraceId};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The wall clock, in microseconds.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A fresh name for a judgement: 128 random bits.
pub fn record_id() -> RecordId {
    RecordId::new(random())
}

/// A fresh trace.
pub fn trace_id() -> TraceId {
    TraceId::new(random())
}

/// A fresh serial number of a certificate: 128 random bits.
pub fn serial() -> [u8; 16] {
    random()
}

/// A fresh challenge: 256 random bits.
pub fn challenge() -> [u8; 32] {
    random()
}

/// A part of a span, between four fifths of it and all, by chance: what many began at once should not stay together.
pub fn jittered(span: Duration) -> Duration {
    let [chance] = random();
    span.saturating_sub(span / 5 * u32::from(chance) / 255)
}

/// A part of a span, all alike by chance: what many are told at once, they should not do at once.
pub fn spread(span: Duration) -> Duration {
    let [chance, more] = random();
    span * u32::from(u16::from_be_bytes([chance, more])) / u32::from(u16::MAX)
}

/// Hears when this process is asked to end.
pub struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupted {
    /// Returns once it is.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Listens for SIGINT and SIGTERM from here on. A file at its size limit is a failed write, which the ledger knows to refuse
/// by: unhandled, SIGXFSZ would end the process.
///
/// # Errors
/// If a signal cannot be listened for.
pub fn interrupted() -> io::Result<Interrupted> {
    drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
    Ok(Interrupted { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without the system's randomness no identifier may be made: stop at once")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
