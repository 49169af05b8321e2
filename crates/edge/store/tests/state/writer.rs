//! Nodes that are processes of their own: killed while they write, or on a full disk. The process is this one again, which
//! is told by its environment to be a node, and says on standard error what the state acknowledged.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use store::{Position, StateFault};

use crate::node::{history, try_next};
use crate::place::{Place, open, run};

/// Set in the environment of a node: its path or URL, and its name.
const ADDRESS: &str = "STATE_NODE_ADDRESS";
const NAME: &str = "STATE_NODE_NAME";
const KILLS: usize = 10;

#[test]
fn a_node_writes_as_fast_as_it_can() {
    if let (Ok(address), Ok(name)) = (std::env::var(ADDRESS), std::env::var(NAME)) {
        run(be_node(&address, &name));
    }
}

async fn be_node(address: &str, name: &str) {
    let state = open(address).await.unwrap();
    eprintln!("started");
    for turn in 0.. {
        match try_next(&state, &format!("{name}, turn {turn}")).await {
            Ok(Some(position)) => eprintln!("kept {position}"),
            Ok(None) => {}
            Err(fault) => {
                let source = fault.source().map(ToString::to_string).unwrap_or_default();
                eprintln!("fault {fault}: {source}");
                if !matches!(fault, StateFault::Late { .. }) {
                    return;
                }
            }
        }
    }
}

struct Node {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Node {
    fn start(place: &Place, name: &str) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), place, name)
    }

    /// One that cannot make a file longer than so many bytes.
    fn starved(place: &Place, bytes: u64) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap '' XFSZ; exec prlimit --fsize="$0" "$@""#]);
        command.arg(bytes.to_string()).arg(std::env::current_exe().unwrap());
        Self::run(command, place, "starved")
    }

    fn run(mut command: Command, place: &Place, name: &str) -> Self {
        command.args(["--exact", "writer::a_node_writes_as_fast_as_it_can", "--nocapture"]);
        command.env(ADDRESS, place.address()).env(NAME, name);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut node = Self { said: BufReader::new(child.stderr.take().unwrap()), child };
        assert_eq!(node.line(), Some("started".to_owned()));
        node
    }

    /// The next thing that it says; none when it has ended. A last line that was cut counts as none.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// What was acknowledged to it, up to so many.
    fn kept(&mut self, most: usize) -> Vec<Position> {
        let mut kept = Vec::new();
        while kept.len() < most {
            let Some(line) = self.line() else { break };
            kept.extend(line.strip_prefix("kept ").map(|position| position.parse::<Position>().unwrap()));
        }
        kept
    }

    /// SIGKILL. Gives what it had said that was not read yet.
    fn kill(mut self) -> Vec<Position> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.kept(usize::MAX)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_killed_node_loses_nothing_and_holds_nobody_up(place: &Place) {
    run(async { place.node().await.close().await });
    let mut acknowledged = Vec::new();
    let mut survivor = Node::start(place, "survivor");
    for kill in 0..KILLS {
        let mut victim = Node::start(place, &format!("victim {kill}"));
        acknowledged.extend(victim.kept(1 + kill % 3));
        acknowledged.extend(victim.kill());
        let more = survivor.kept(3);
        assert_eq!(more.len(), 3, "the other node goes on");
        acknowledged.extend(more);
    }
    acknowledged.extend(survivor.kill());
    run(async {
        let state = place.node().await;
        let kept: Vec<Position> = history(&state).await.into_iter().map(|epoch| epoch.position).collect();
        let every: BTreeSet<Position> = kept.iter().copied().collect();
        assert!(acknowledged.len() >= KILLS * 4);
        let distinct: BTreeSet<Position> = acknowledged.iter().copied().collect();
        assert_eq!(distinct.len(), acknowledged.len(), "no epoch was acknowledged to two");
        assert_eq!(distinct.difference(&every).count(), 0, "what was acknowledged is there");
        let epochs: Vec<u64> = kept.iter().map(|position| position.epoch.0).collect();
        assert_eq!(epochs, (1..=kept.len() as u64).collect::<Vec<_>>());
        assert_eq!(state.last_change().await.unwrap(), kept.len() as u64, "each has its change");
        for epoch in history(&state).await {
            assert!(state.estate(epoch.estate).await.unwrap().is_some(), "and its estate");
        }
    });
}

#[test]
fn a_killed_node_on_sqlite_loses_nothing_and_holds_nobody_up() {
    a_killed_node_loses_nothing_and_holds_nobody_up(&Place::sqlite());
}

#[test]
fn a_killed_node_on_postgres_loses_nothing_and_holds_nobody_up() {
    if let Some(place) = Place::postgres() {
        a_killed_node_loses_nothing_and_holds_nobody_up(&place);
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let place = Place::sqlite();
    run(async { place.node().await.close().await });
    let mut starved = Node::starved(&place, 400_000);
    let acknowledged = starved.kept(10);
    assert_eq!(acknowledged.len(), 10, "there is room for some");
    let (mut kept, mut fault) = (10, None);
    while let Some(line) = starved.line() {
        kept += u64::from(line.starts_with("kept "));
        fault = fault.or_else(|| line.strip_prefix("fault ").map(str::to_owned));
    }
    let name = place.name();
    let words = format!("the state in `{name}` cannot be written; is its disk full?: disk I/O error");
    assert_eq!(fault, Some(words));
    run(async {
        let state = place.node().await;
        assert_eq!(history(&state).await.len() as u64, kept, "exactly what was acknowledged");
        assert!(try_next(&state, "with room again").await.unwrap().is_some());
        state.close().await;
    });
    assert!(fs::metadata(place.address()).unwrap().len() > 0);
}
