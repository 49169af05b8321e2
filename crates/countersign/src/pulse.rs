//! How current this process is: when control last said what is in force, and whether the clock can be believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use guard::{Clock, Freshness};
use model::Time;

use net::now;

/// A clock that moved so much more, or less, than time did has jumped.
const JUMP: Duration = Duration::from_secs(60);
/// How often the clock's slow drift is forgiven.
const FORGIVEN: Duration = Duration::from_secs(10);

/// When control was last heard. Read by every call: atomics, and no lock.
pub struct Pulse {
    started: Instant,
    /// Whether this process says itself what is in force.
    own: bool,
    /// Time of the last heartbeat, by control's clock; and when it came, in microseconds after `started`.
    heard: AtomicI64,
    heard_after: AtomicI64,
    /// A moment at which clock and time agreed.
    clock: AtomicI64,
    clock_after: AtomicI64,
    jumped: AtomicBool,
}

impl Pulse {
    /// Of a process that says itself what is in force.
    pub fn own(at: Time) -> Arc<Self> {
        Arc::new(Self::new(true, at, at))
    }

    /// Of a plane that last heard control at `heard`, before it was started.
    pub fn heard(heard: Time, at: Time) -> Arc<Self> {
        Arc::new(Self::new(false, heard, at))
    }

    fn new(own: bool, heard: Time, at: Time) -> Self {
        // what was heard before the start ages from then, by the clock
        let before = i64::try_from(at.since(heard).as_micros()).unwrap_or(i64::MAX);
        Self {
            started: Instant::now(),
            own,
            heard: AtomicI64::new(heard.as_micros()),
            heard_after: AtomicI64::new(-before),
            clock: AtomicI64::new(at.as_micros()),
            clock_after: AtomicI64::new(0),
            jumped: AtomicBool::new(false),
        }
    }

    /// Control was heard at `at`, and sent this at `time` by its own clock. A clock that agrees with control's is confirmed.
    pub fn beat(&self, time: Time, at: Time) {
        let after = self.elapsed();
        self.heard.store(time.as_micros(), Ordering::Release);
        self.heard_after.store(after, Ordering::Release);
        let apart = at.since(time).max(time.since(at));
        if apart <= JUMP {
            self.clock.store(at.as_micros(), Ordering::Release);
            self.clock_after.store(after, Ordering::Release);
            self.jumped.store(false, Ordering::Release);
        }
    }

    /// The time that is believed now.
    pub fn time(&self) -> Time {
        self.read(now()).0
    }

    /// How current this process is at `at`, by its clock.
    pub fn freshness(&self, at: Time) -> Freshness {
        self.read(at).1
    }

    /// The time that is believed when the clock says `at`, and how current this process is then. Age is counted by time that
    /// passed, and so is time itself once the clock jumped, until control confirms it: a clock that goes back makes nothing
    /// younger, and brings nothing back that has ended.
    pub fn read(&self, at: Time) -> (Time, Freshness) {
        let after = self.elapsed();
        let passed = after.saturating_sub(self.clock_after.load(Ordering::Acquire));
        let moved = at.as_micros().saturating_sub(self.clock.load(Ordering::Acquire));
        if moved.abs_diff(passed) > micros(JUMP) {
            self.jumped.store(true, Ordering::Release);
        } else if passed.unsigned_abs() > micros(FORGIVEN) && !self.jumped.load(Ordering::Acquire) {
            self.clock.store(at.as_micros(), Ordering::Release);
            self.clock_after.store(after, Ordering::Release);
        }
        let clock = if self.jumped.load(Ordering::Acquire) { Clock::Jumped } else { Clock::Steady };
        let believed = match clock {
            Clock::Steady => at,
            Clock::Jumped => Time::from_micros(self.clock.load(Ordering::Acquire).saturating_add(passed)),
        };
        if self.own {
            return (believed, Freshness { age: Duration::ZERO, clock });
        }
        let by_time = after.saturating_sub(self.heard_after.load(Ordering::Acquire));
        let by_clock = at.as_micros().saturating_sub(self.heard.load(Ordering::Acquire));
        let age = u64::try_from(by_time.max(by_clock)).unwrap_or(0);
        (believed, Freshness { age: Duration::from_micros(age), clock })
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn what_was_heard_before_the_start_is_as_old_as_the_clock_says() {
        let pulse = Pulse::heard(at(-120), at(0));
        let freshness = pulse.freshness(at(0));
        assert!(freshness.age >= Duration::from_secs(120));
        assert_eq!(freshness.clock, Clock::Steady);
        pulse.beat(at(0), at(0));
        assert!(pulse.freshness(at(0)).age < Duration::from_secs(60));
    }

    #[test]
    fn a_clock_that_jumps_back_makes_nothing_younger_and_is_not_believed() {
        let pulse = Pulse::heard(at(-120), at(0));
        let freshness = pulse.freshness(at(-3600));
        assert!(freshness.age >= Duration::from_secs(120));
        assert_eq!(freshness.clock, Clock::Jumped);
        // what ended in between has ended
        let (believed, _) = pulse.read(at(-3600));
        assert!(believed >= at(0) && believed < at(60), "{believed}");
        // coming back is another jump: only control confirms the clock
        assert_eq!(pulse.freshness(at(0)).clock, Clock::Jumped);
        pulse.beat(at(0), at(3600));
        assert_eq!(pulse.freshness(at(3600)).clock, Clock::Jumped);
        pulse.beat(at(0), at(0));
        assert_eq!(pulse.freshness(at(0)).clock, Clock::Steady);
    }

    #[test]
    fn a_clock_that_jumps_ahead_ages_what_was_heard() {
        let pulse = Pulse::heard(at(0), at(0));
        let freshness = pulse.freshness(at(600));
        assert!(freshness.age >= Duration::from_secs(600));
        assert_eq!(freshness.clock, Clock::Jumped);
    }

    #[test]
    fn whoever_says_what_is_in_force_is_never_old() {
        let pulse = Pulse::own(at(0));
        assert_eq!(pulse.freshness(at(50)), Freshness { age: Duration::ZERO, clock: Clock::Steady });
        assert_eq!(pulse.freshness(at(3600)).clock, Clock::Jumped);
    }
}
