//! Percentiles of many short runs, each timed alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of which the best is taken: what else the machine does only ever adds to a figure.
const ROUNDS: usize = 5;

#[derive(Debug, Clone, Copy)]
pub struct Percentiles {
    pub half: Duration,
    pub most: Duration,
}

/// The 50th and the 99th percentile of `runs` calls, for each the best of five rounds.
pub fn percentiles<T, R>(runs: usize, over: &[T], call: impl Fn(&T) -> R) -> Percentiles {
    let rounds = (0..ROUNDS).map(|_| {
        let mut times: Vec<Duration> = over.iter().cycle().take(runs).map(|one| timed(|| call(one)).0).collect();
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    let rounds: Vec<_> = rounds.collect();
    let best = |of: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(of).min().unwrap_or_default();
    Percentiles { half: best(|round| round.0), most: best(|round| round.1) }
}

/// How long a call takes, and what comes of it.
pub fn timed<R>(call: impl FnOnce() -> R) -> (Duration, R) {
    let start = Instant::now();
    let result = black_box(call());
    (start.elapsed(), result)
}
