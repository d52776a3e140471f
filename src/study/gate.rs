//! `gate`: runs two programs in turns until [`compare::gate`](crate::compare::gate) can answer.
//!
//! In: where the base comes from, how the head runs, a folder for results. Out: [`Gated`], and what is going on for
//! whoever shows it. Both sides are processes of their own, started alike, so that nothing but the program differs.

mod revision;

pub use revision::{RevisionError, build};

use super::child::{Child, PlayError};
use crate::compare::gate::{Gate, GateError, Gated, Step};
use crate::record::{Clock, Reason, Status, Stored};
use std::path::Path;

/// Where the base comes from.
#[derive(Clone, Debug)]
pub enum Base {
    /// One result from earlier.
    Stored(Box<Stored>),
    /// A program that is run now.
    Program(Child),
}

/// Which side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one to compare with.
    Base,
    /// The one that is judged.
    Head,
}

impl Which {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
        }
    }
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A run starts; the first of each side, `number` 0, warms the machine and is not judged.
    Starts {
        /// Which side.
        which: Which,
        /// Which pair.
        number: usize,
    },
    /// A pair is complete: what it and those before say.
    Pair(&'a Gated),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GateFailed {
    /// The question is wrong.
    #[error(transparent)]
    Question(#[from] GateError),
    /// A run could not be made.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// The base does not end well, so it says nothing about the head.
    #[error("the base's run ended {status}: {why}; choose a baseline whose runs end, or a longer run.timeout")]
    Base {
        /// What the record says.
        status: &'static str,
        /// Why, as the record says.
        why: String,
    },
}

/// Where runs are played, and who is told.
pub struct Stage<'a> {
    /// Results lie here under `SIDE-NUMBER`.
    pub folder: &'a Path,
    /// What is going on.
    pub tell: &'a mut dyn FnMut(Progress<'_>),
}

impl Stage<'_> {
    fn play(&mut self, child: &Child, which: Which, number: usize) -> Result<Stored, PlayError> {
        (self.tell)(Progress::Starts { which, number });
        child.play(&self.folder.join(format!("{}-{number}", which.name())))
    }
}

/// Runs until there is an answer.
///
/// # Errors
/// When the question is wrong, a run cannot be made, or the base's does not end.
pub fn run(gate: &mut Gate, base: &Base, head: &Child, stage: &mut Stage<'_>) -> Result<Gated, GateFailed> {
    if let Base::Program(base) = base {
        let first = ended(stage.play(base, Which::Base, 0)?)?;
        gate.knows(&first)?;
        // A simulated run needs no warming, and is the same every time.
        if first.record.clock == Clock::Virtual {
            let second = stage.play(head, Which::Head, 1)?;
            judge(gate, &first, &second)?;
            return Ok(gate.answer());
        }
        stage.play(head, Which::Head, 0)?;
    }
    while let Step::Pair { head_first } = gate.step() {
        let number = gate.pairs() + 1;
        match base {
            Base::Stored(base) => judge(gate, base, &stage.play(head, Which::Head, number)?)?,
            Base::Program(base) if head_first => {
                let head = stage.play(head, Which::Head, number)?;
                judge(gate, &ended(stage.play(base, Which::Base, number)?)?, &head)?;
            }
            Base::Program(base) => {
                let base = ended(stage.play(base, Which::Base, number)?)?;
                judge(gate, &base, &stage.play(head, Which::Head, number)?)?;
            }
        }
        (stage.tell)(Progress::Pair(&gate.answer()));
    }
    Ok(gate.answer())
}

/// A head that does not end where the base does is worse, whatever its numbers.
fn judge(gate: &mut Gate, base: &Stored, head: &Stored) -> Result<(), GateError> {
    match unended(head) {
        Some((status, why)) => {
            gate.broke(format!("the run of the head ended {status}: {why}"));
            Ok(())
        }
        None => gate.take(base, head),
    }
}

fn ended(stored: Stored) -> Result<Stored, GateFailed> {
    match unended(&stored) {
        Some((status, why)) => Err(GateFailed::Base { status, why }),
        None => Ok(stored),
    }
}

fn unended(stored: &Stored) -> Option<(&'static str, String)> {
    let status = match stored.record.status {
        Status::Complete => return None,
        Status::Partial => "partial",
        Status::Invalid => "invalid",
    };
    let word = |reason: Reason| serde_json::to_value(reason).ok()?.as_str().map(str::to_owned);
    Some((status, stored.record.reason.and_then(word).unwrap_or_else(|| "no reason is given".to_owned())))
}
