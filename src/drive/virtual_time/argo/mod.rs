//! The rim of Argo CD's machines: `manager.kind: argocd` and `flamingo` on the simulated clock.
//!
//! In: a scenario and its world. Out: what a simulation of our own manager gives too: an outcome for the record. The
//! decisions are `model::argo`'s; here are the queue of events, the clients with their rate limiters, the machines, the
//! API servers as headers, the repo-server and the informers.
//!
//! ```text
//! event    what happens                       sim      the simulation and its loop
//! control  one controller: its two queues, clients, permits, machine
//! passes   steps of passes carried out        calls    calls: limiter, way, server, effect
//! leaf     what destinations hold, and Flux on them    changes  the harness
//! close    what it all came to, and what was used up
//! ```
//!
//! A watch delivers what is stored then, so an informer is late but never behind what a pass has read. A destination's
//! events reach the cluster cache in batches. Long CPU is done in slices of ten milliseconds, as Go's scheduler does.
//!
//! Arithmetic for 10,000 apps on 100 clusters: an install takes 21 calls an app, three events each, and six passes of ten
//! events: 1.3 M events; an hour of refreshes 190 k passes of eight: 1.5 M. At 3 M/s one second.

mod calls;
mod changes;
mod close;
mod control;
mod event;
mod leaf;
mod passes;
mod sim;
#[cfg(test)]
mod tests;

pub use close::Bill;

use super::{Ending, Options, Outcome, TOLD_EVERY, Watching};
use crate::fleet::World;
use crate::scenario::Scenario;
use crate::units::Time;
use sim::Simulation;

/// Plays a scenario to its end, as [`super::run`] does.
pub(super) fn run(scenario: &Scenario, world: &World, options: Options, progress: &mut Watching<'_>) -> Outcome {
    let mut simulation = Simulation::new(scenario, world, options);
    simulation.begin();
    let (deadline, until) = (Time(0) + scenario.run.timeout, Time(0) + scenario.run.duration);
    let ending = loop {
        if simulation.is_settled() && simulation.now >= until {
            break Ending::Settled;
        }
        if simulation.now >= deadline {
            break Ending::TimedOut;
        }
        if simulation.events.is_multiple_of(TOLD_EVERY)
            && progress(simulation.progress(), simulation.now.since(Time(0))).is_break()
        {
            break Ending::Interrupted;
        }
        if !simulation.step() {
            break Ending::Stuck;
        }
    };
    simulation.end(ending)
}
