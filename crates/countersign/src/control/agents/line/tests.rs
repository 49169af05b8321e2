//! Who waits, who is told to come again, and in which order turns come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard::NoRoom;
use model::PrincipalId;
use tokio::task::{JoinSet, yield_now};

use super::Line;

fn agent(name: &str) -> PrincipalId {
    format!("spiffe://prod.acme.test/{name}").parse().unwrap()
}

#[tokio::test]
async fn turns_come_in_the_order_of_asking_however_much_is_brought() {
    let line = Arc::new(Line::new(4, 100, 100));
    let held = line.turn(&agent("first"), 4).await.unwrap();
    let (came, mut tasks) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
    for (name, weight) in [("large", 4), ("small", 1), ("other", 1)] {
        let (line, came) = (Arc::clone(&line), Arc::clone(&came));
        tasks.spawn(async move {
            let turn = line.turn(&agent(name), weight).await.unwrap();
            came.lock().unwrap().push(name);
            drop(turn);
        });
        yield_now().await;
    }
    assert!(came.lock().unwrap().is_empty());
    drop(held);
    tasks.join_all().await;
    assert_eq!(*came.lock().unwrap(), ["large", "small", "other"]);
}

#[tokio::test]
async fn who_would_wait_too_long_hears_so_and_leaves_nothing_behind() {
    let line = Line { longest: Duration::from_millis(5), ..Line::new(1, 3, 2) };
    let held = line.turn(&agent("a"), 1).await.unwrap();
    assert_eq!(line.turn(&agent("b"), 1).await.unwrap_err(), NoRoom);
    drop(held);
    assert!(line.turn(&agent("b"), 1).await.is_ok());
    assert!(line.turn(&agent("b"), 1).await.is_ok());
}

#[tokio::test]
async fn a_line_that_is_full_turns_away_at_once_and_an_agent_that_has_its_part_too() {
    let line = Line { longest: Duration::from_secs(3_600), ..Line::new(2, 5, 3) };
    let _held = line.turn(&agent("a"), 2).await.unwrap();
    assert_eq!(line.turn(&agent("a"), 2).await.unwrap_err(), NoRoom);
    assert_eq!(line.turn(&agent("b"), 4).await.unwrap_err(), NoRoom);
    let other = agent("b");
    let waits = line.turn(&other, 3);
    let late = async {
        yield_now().await;
        line.turn(&agent("c"), 1).await
    };
    tokio::select! {
        biased;
        _ = waits => panic!("there is no turn for it"),
        late = late => assert_eq!(late.unwrap_err(), NoRoom),
    }
    // who leaves the line gives its room back
    assert_eq!(line.room.take(&agent("c"), 3).map(drop), Ok(()));
}
