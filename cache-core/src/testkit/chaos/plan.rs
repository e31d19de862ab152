//! What is planned for the calls that come, and what each of them draws.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Fault, Operation};
use crate::error::ErrorKind;

/// The plan of one provider.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) error_rate: f64,
    pub(super) delay: Option<RangeInclusive<Duration>>,
    pub(super) away: bool,
    pub(super) every: HashMap<Operation, Fault>,
    pub(super) garbled: usize,
    pub(super) pending: bool,
    pub(super) calls: HashMap<Operation, usize>,
    scripts: HashMap<Operation, VecDeque<Fault>>,
    chance: Chance,
}

/// What one call meets.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) delay: Duration,
    pub(super) fault: Fault,
}

impl Plan {
    pub(super) fn seed(&mut self, seed: u64) {
        self.chance = Chance(seed);
    }

    pub(super) fn script(&mut self, operation: Operation, fault: Fault) {
        self.scripts.entry(operation).or_default().push_back(fault);
    }

    pub(super) fn draw(&mut self, operation: Operation) -> Drawn {
        *self.calls.entry(operation).or_default() += 1;
        Drawn {
            delay: self.drawn_delay(),
            fault: self.drawn_fault(operation),
        }
    }

    fn drawn_delay(&mut self) -> Duration {
        let Some(range) = self.delay.clone() else {
            return Duration::ZERO;
        };
        let width = range.end().saturating_sub(*range.start());
        *range.start() + width.mul_f64(self.chance.fraction())
    }

    fn drawn_fault(&mut self, operation: Operation) -> Fault {
        let scripted = self.scripts.get_mut(&operation);
        if let Some(fault) = scripted.and_then(VecDeque::pop_front) {
            return fault;
        }
        if let Some(fault) = self.every.get(&operation) {
            return fault.clone();
        }
        if self.away {
            return Fault::Error(ErrorKind::Connection);
        }
        match self.chance.fraction() {
            drawn if drawn >= self.error_rate => Fault::None,
            drawn if drawn < self.error_rate / 2.0 => Fault::Error(ErrorKind::Connection),
            _ => Fault::Lost(ErrorKind::Connection),
        }
    }

    /// Whether the entry that is being stored is to be garbled.
    pub(super) fn garbles(&mut self) -> bool {
        let garbles = self.garbled > 0;
        self.garbled = self.garbled.saturating_sub(1);
        garbles
    }
}

/// Random numbers that a seed repeats (SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
#[derive(Debug, Default)]
struct Chance(u64);

impl Chance {
    /// From 0, inclusive, to 1, exclusive.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
