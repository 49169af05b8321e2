//! Keys over months, with every step that is due and, between them, whatever an operator or a thief of time does.

use std::time::Duration;

use model::Time;
use proptest::prelude::*;

use super::{KeyLife, KeyStep, LONGEST_SVID, NotTaken, Standing, check, due};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(hours: u32) -> Time {
    Time::from_unix_seconds(1_800_000_000).plus(HOUR * hours)
}

/// Keys of one kind, as whoever keeps them does what is due.
struct Kept {
    keys: Vec<KeyLife>,
    life: Duration,
    made: usize,
    /// What was done, each with its time.
    log: Vec<(Time, String)>,
}

impl Kept {
    fn new(life: Duration) -> Self {
        Self { keys: Vec::new(), life, made: 0, log: Vec::new() }
    }

    fn take(&mut self, step: &KeyStep, now: Time) -> Result<(), NotTaken> {
        check(&self.keys, step, self.life, now)?;
        let stand = |key: &mut KeyLife, standing| (key.standing, key.since) = (standing, now);
        match step {
            KeyStep::Prepare => {
                self.made += 1;
                let id = format!("k{}", self.made);
                let ends = now.plus(self.life);
                self.keys.push(KeyLife { id, standing: Standing::Prepared, made: now, since: now, ends });
            }
            KeyStep::Activate(id) => {
                for key in &mut self.keys {
                    match key.standing {
                        Standing::Active => stand(key, Standing::Retired),
                        Standing::Prepared if key.id == *id => stand(key, Standing::Active),
                        Standing::Prepared | Standing::Retired | Standing::Tainted | Standing::Nested => {}
                    }
                }
            }
            KeyStep::Taint(id) => {
                self.keys.iter_mut().filter(|key| key.id == *id).for_each(|key| stand(key, Standing::Tainted));
            }
            KeyStep::Revoke(id) | KeyStep::Drop(id) => self.keys.retain(|key| key.id != *id),
        }
        self.log.push((now, format!("{} {}", step.as_str(), step.id().unwrap_or_default()).trim().to_owned()));
        Ok(())
    }

    fn settle(&mut self, now: Time) {
        for _ in 0..64 {
            let Some(step) = due(&self.keys, self.life, now) else { return };
            self.take(&step, now).unwrap();
        }
        panic!("it never settles: {:?}", self.keys);
    }

    fn active(&self) -> &KeyLife {
        let active: Vec<_> = self.keys.iter().filter(|key| key.standing == Standing::Active).collect();
        assert_eq!(active.len(), 1, "{:?}", self.keys);
        active[0]
    }
}

#[test]
fn a_key_of_a_day_is_prepared_at_half_and_activated_at_a_sixth_and_kept_a_day_longer_than_what_it_signed() {
    let mut kept = Kept::new(DAY);
    for hour in 0..=60 {
        kept.settle(at(hour));
    }
    let log: Vec<String> =
        kept.log.iter().map(|(time, done)| format!("{}h {done}", time.since(at(0)).as_secs() / 3600)).collect();
    assert_eq!(
        log,
        [
            "0h prepare",
            "0h activate k1",
            "12h prepare",
            "20h activate k2",
            "24h prepare",
            "32h activate k3",
            "36h prepare",
            "44h activate k4",
            "48h prepare",
            "48h drop k1",
            "56h activate k5",
            "60h prepare",
            "60h drop k2",
        ]
    );
}

#[test]
fn a_key_that_came_from_elsewhere_with_a_longer_life_works_no_longer_than_ours_and_is_published_for_what_it_signed() {
    let mut kept = Kept::new(DAY);
    let imported = KeyLife {
        id: "old".to_owned(),
        standing: Standing::Active,
        made: at(0),
        since: at(0),
        ends: at(0).plus(DAY * 300),
    };
    kept.keys.push(imported);
    for hour in 0..=80 {
        kept.settle(at(hour));
    }
    assert!(kept.log.contains(&(at(20), "activate k1".to_owned())), "{:?}", kept.log);
    // what it signed last ends a day later
    assert!(kept.log.contains(&(at(68), "drop old".to_owned())), "{:?}", kept.log);
}

#[test]
fn after_a_long_sleep_a_prepared_key_signs_and_without_one_another_is_made() {
    let mut kept = Kept::new(DAY);
    kept.settle(at(0));
    kept.settle(at(12));
    kept.settle(at(30));
    assert_eq!(kept.active().id, "k2", "it was published before");
    kept.settle(at(300));
    assert_eq!((kept.active().id.as_str(), kept.active().made), ("k4", at(300)));
    assert_eq!(kept.keys.len(), 1, "{:?}", kept.keys);
}

#[test]
fn a_key_that_was_prepared_late_is_published_for_a_while_before_it_signs() {
    let mut kept = Kept::new(DAY);
    kept.settle(at(0));
    kept.settle(at(22));
    assert_eq!(kept.active().id, "k1", "the next was published just now");
    kept.settle(at(23));
    assert_eq!(kept.active().id, "k2");
}

/// The words of the refusal; empty where the step may be taken.
fn refused(keys: &[KeyLife], step: &KeyStep) -> String {
    check(keys, step, DAY, at(10)).err().map(|why| why.to_string()).unwrap_or_default()
}

#[test]
fn a_step_that_would_leave_nobody_to_sign_or_something_unreplaced_is_refused_with_its_reason() {
    let key = |id: &str, standing| KeyLife { id: id.to_owned(), standing, made: at(0), since: at(0), ends: at(24) };
    let mut keys = vec![
        key("now", Standing::Active),
        key("next", Standing::Prepared),
        key("old", Standing::Retired),
        key("bad", Standing::Tainted),
    ];
    let id = |id: &str| id.to_owned();
    for (step, words) in [
        (KeyStep::Prepare, "`next` is prepared already: activate it, or taint and revoke it"),
        (KeyStep::Activate(id("now")), "`now` is active already"),
        (KeyStep::Activate(id("old")), "`old` is retired: only a prepared authority is activated"),
        (KeyStep::Activate(id("bad")), "`bad` is tainted: only a prepared authority is activated"),
        (KeyStep::Activate(id("next")), ""),
        (KeyStep::Taint(id("now")), "`now` is active: activate another one before it is tainted"),
        (KeyStep::Taint(id("bad")), "`bad` is tainted already"),
        (KeyStep::Taint(id("old")), ""),
        (KeyStep::Taint(id("next")), ""),
        (KeyStep::Revoke(id("now")), "`now` is active: activate another one, and taint this one, before it is revoked"),
        (
            KeyStep::Revoke(id("old")),
            "`old` is retired: taint it before it is revoked, so that what it signed is replaced",
        ),
        (KeyStep::Revoke(id("bad")), ""),
        (KeyStep::Drop(id("old")), "`old` may still have signed what counts: it is dropped once that has ended"),
        (
            KeyStep::Taint(id("gone")),
            "`gone` is no authority of this kind that is published: `countersign authority show` lists them",
        ),
    ] {
        assert_eq!(refused(&keys, &step), words, "{step:?}");
    }
    keys.retain(|key| key.standing != Standing::Prepared);
    keys.extend((0..5).map(|nth| key(&format!("old{nth}"), Standing::Retired)));
    assert_eq!(
        refused(&keys, &KeyStep::Prepare),
        "8 authorities of this kind are published, and at most 8 are when another is prepared: revoke one"
    );
    let late = [KeyLife { ends: at(10), ..key("late", Standing::Prepared) }];
    assert_eq!(refused(&late, &KeyStep::Activate(id("late"))), "`late` has ended: prepare another");
}

proptest! {
    /// Time passes in leaps of any length (a server that is stopped sees nothing), and an operator steps in between.
    #[test]
    fn something_published_before_always_signs_and_little_is_published(
        life in 60_u64..400_000,
        leaps in prop::collection::vec((0_u64..2_000, 0_usize..5, 0_usize..8), 1..200),
    ) {
        let life = Duration::from_secs(life);
        let mut kept = Kept::new(life);
        let mut now = at(0);
        kept.settle(now);
        for (permille, act, which) in leaps {
            let was = kept.active().clone();
            now = now.plus(life.mul_f64(f64::from(u32::try_from(permille).unwrap()) / 1000.0));
            kept.settle(now);
            let active = kept.active().clone();
            prop_assert!(active.ends > now, "what signs has not ended");
            let in_time = was.ends > now;
            prop_assert!(
                active.id == was.id || !in_time || now.since(active.made) >= life / 24,
                "what takes over in time was published before",
            );
            prop_assert!(kept.keys.len() <= 13, "{} are published", kept.keys.len());
            let id = kept.keys.get(which).map_or_else(String::new, |key| key.id.clone());
            let step = match act {
                0 => KeyStep::Prepare,
                1 => KeyStep::Activate(id),
                2 => KeyStep::Taint(id),
                3 => KeyStep::Revoke(id),
                _ => KeyStep::Drop(id),
            };
            let _ = kept.take(&step, now);
            prop_assert!(kept.active().ends > now, "no step leaves nobody to sign");
        }
    }

    /// What may still count is published, unless an operator revokes it.
    #[test]
    fn a_key_is_published_as_long_as_what_it_signed_may_count(leaps in prop::collection::vec(0_u64..1_500, 1..100)) {
        let mut kept = Kept::new(DAY);
        let (mut now, mut counts) = (at(0), Vec::<(String, Time)>::new());
        for permille in leaps {
            kept.settle(now);
            let active = kept.active();
            counts.push((active.id.clone(), active.ends.min(now.plus(LONGEST_SVID))));
            now = now.plus(DAY.mul_f64(f64::from(u32::try_from(permille).unwrap()) / 1000.0));
            kept.settle(now);
            for (id, until) in counts.iter().filter(|(_, until)| *until > now) {
                prop_assert!(kept.keys.iter().any(|key| key.id == *id), "{id} is gone, and counts until {until}");
            }
        }
    }
}
