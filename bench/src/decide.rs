//! What a decision costs, by the number of policies in force: the engine beside Cedar alone, on the same questions.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use policy::{Engine, Facts, Finding};

use crate::cedar;
use crate::clock::{Percentiles, percentiles, timed};
use crate::estate::{self, Asked, Estate, Expected};

/// How much is measured.
pub struct Extent {
    sizes: &'static [usize],
    /// Decisions in one round.
    decisions: usize,
    /// Policies that Cedar evaluates in one round.
    evaluations: usize,
}

pub const FULL: Extent = Extent { sizes: &[10, 1_000, 10_000, 100_000], decisions: 20_000, evaluations: 2_000_000 };
pub const QUICK: Extent = Extent { sizes: &[10, 1_000], decisions: 2_000, evaluations: 20_000 };

/// No question of the estates here is put to more.
const MOST_CANDIDATES: usize = 8;

const HEAD: &str = "\
| policies | allowed p50 | p99 | rare p50 | p99 | refused p50 | p99 | Cedar alone p50 | p99 | times as fast | compile | swap | drop | memory |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

const REQUESTS: &str = "\
| policies | allowed p50 | p99 | rare p50 | p99 | refused p50 | p99 |
|---:|---:|---:|---:|---:|---:|---:|";

/// How an engine is asked.
type Ask = fn(&Engine, &Facts<'_>) -> Finding;

pub fn run(extent: &Extent) {
    println!("One decision, best of 5 rounds; Cedar alone evaluates every policy. Then one snapshot.\n\n{HEAD}");
    let mut requests = Vec::new();
    for size in extent.sizes {
        let (afresh, remembered) = rows(*size, extent);
        println!("{afresh}");
        requests.push(remembered);
    }
    println!("\nAs requests are decided: what was decided before is recalled.\n\n{REQUESTS}\n{}", requests.join("\n"));
}

/// An engine that decides each time afresh; and one that is asked as requests ask it.
fn rows(size: usize, extent: &Extent) -> (String, String) {
    let estate = estate::of(size);
    let alone = alone(&estate, extent.evaluations / size);
    let before = resident();
    let (compiled, engine) = timed(|| compile(&estate));
    let memory = resident().saturating_sub(before) >> 20;
    assert!(engine.most_candidates() <= MOST_CANDIDATES, "{} candidates", engine.most_candidates());
    let [allowed, rare, refused] = decided(&engine, &estate, Engine::decide, extent.decisions);
    let requests = decided(&engine, &estate, Engine::decide_or_recall, extent.decisions);
    let (swap, drop) = swapped(engine);
    let faster = alone.half.as_nanos() / allowed.half.as_nanos().max(1);
    let columns = |of: Percentiles| format!("{} | {}", micros(of.half), micros(of.most));
    let times = [allowed, rare, refused, alone].map(columns);
    let snapshot = [format!("{faster}"), millis(compiled), micros(swap), millis(drop), format!("{memory} MiB")];
    let afresh = format!("| {size} | {} | {} |", times.join(" | "), snapshot.join(" | "));
    (afresh, format!("| {size} | {} |", requests.map(columns).join(" | ")))
}

fn compile(estate: &Estate) -> Engine {
    Engine::compile(&estate.files, &estate.vocabulary, &estate.directory).expect("an estate that loads")
}

/// What is allowed, what is seldom asked, and what is refused.
fn decided(engine: &Engine, estate: &Estate, ask: Ask, runs: usize) -> [Percentiles; 3] {
    [&estate.allowed, &estate.rare, &estate.refused].map(|asked| {
        for asked in asked {
            let finding = ask(engine, &asked.facts());
            assert_eq!(finding.code.is_none(), asked.expected == Expected::Allowed, "{finding:?}");
        }
        let all: Vec<Facts<'_>> = asked.iter().map(Asked::facts).collect();
        percentiles(runs, &all, |facts| ask(engine, facts))
    })
}

fn alone(estate: &Estate, runs: usize) -> Percentiles {
    let policies = cedar::policies(estate);
    let asked: Vec<&Asked> = estate.allowed.iter().take(runs).collect();
    let cases: Vec<cedar::Case> = asked.iter().map(|asked| cedar::case(asked)).collect();
    assert!(cases.first().is_some_and(|case| cedar::allows(&policies, case)), "Cedar alone answers otherwise");
    percentiles(runs, &cases, |case| cedar::allows(&policies, case))
}

/// How long it takes to put a snapshot in the place of another, and then to free the other.
fn swapped(engine: Engine) -> (Duration, Duration) {
    let next = compile(&estate::of(estate::POLICIES_A_TEAM));
    let current = ArcSwap::from_pointee(engine);
    let (swap, last) = timed(|| current.swap(Arc::new(next)));
    let (drop, ()) = timed(|| drop(last));
    (swap, drop)
}

/// Memory that the process holds, in bytes; nothing where the system does not say.
fn resident() -> usize {
    let Ok(text) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok()).unwrap_or_default() << 10
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
