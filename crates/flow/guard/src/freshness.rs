//! How old what is in force may be: a plane that hears nothing decides less and less.

use std::time::Duration;

use model::Tier;

/// Longest ages of what is in force, by what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    pub routine: Duration,
    pub sensitive: Duration,
    pub critical: Duration,
}

/// What a door knows of its own currency when a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Since control last said what is in force; zero where it says so itself.
    pub age: Duration,
    pub clock: Clock,
}

/// Whether the time can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Steady,
    /// It jumped, and nobody has confirmed it since: times of credentials cannot be judged beyond what is routine.
    Jumped,
}

impl Default for Staleness {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { routine: seconds(3600), sensitive: seconds(300), critical: seconds(30) }
    }
}

impl Freshness {
    /// Of who decides by its own word, with a clock that never jumped.
    pub const NOW: Self = Self { age: Duration::ZERO, clock: Clock::Steady };

    /// Why an operation of this tier cannot be decided, if it cannot.
    pub(crate) fn refuses(self, staleness: Staleness, tier: Tier) -> Option<String> {
        let budget = match tier {
            Tier::Routine => staleness.routine,
            Tier::Sensitive => staleness.sensitive,
            Tier::Critical => staleness.critical,
        };
        if self.age > budget {
            let (age, budget) = (self.age.as_secs(), budget.as_secs());
            return Some(format!("control was last heard {age} s ago; the {tier} tier allows {budget} s"));
        }
        if self.clock == Clock::Jumped && tier > Tier::Routine {
            return Some(format!("the clock jumped and is not confirmed; the {tier} tier is closed until it is"));
        }
        None
    }
}
