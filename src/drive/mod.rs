//! How a scenario runs: real processes and sockets (`live`), or a simulated clock (`virtual_time`).

mod drifted;
mod intent;
pub mod live;
pub mod parallel;
pub mod virtual_time;

use crate::measure::RoundOutcome;
use crate::reconcile::{Outcome, Verdict};

/// How a manager's round ended, in the words of `measure`; `refused` is the last code that was no success.
const fn round_outcome(outcome: &Outcome, refused: Option<u16>) -> RoundOutcome {
    match (outcome.verdict, refused) {
        (Verdict::Failed, Some(409)) => RoundOutcome::Conflict,
        (Verdict::Failed, Some(429)) => RoundOutcome::Throttled,
        (Verdict::Failed, _) => RoundOutcome::Failed,
        (_, _) if outcome.again.is_some() => RoundOutcome::Retry,
        (_, _) => RoundOutcome::Ok,
    }
}
