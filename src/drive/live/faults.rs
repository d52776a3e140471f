//! Plays the faults of the timeline: says when one begins and when it ends.
//!
//! In: the scenario's steps. Out: events for the harness's loop, which alone touches processes.

use super::event::{Event, Events};
use crate::clock;
use crate::scenario::{Action, Fault, Scenario, Victim};
use crate::units::{Span, Time};
use std::sync::Arc;

/// One edge of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    at: Span,
    begins: bool,
    victim: Victim,
    fault: Fault,
}

/// Why a live run cannot play a timeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the timeline has trouble with API servers at {at} (partition, slow, throttle, expire, restart): live runs play kill \
     and pause alone; use --clock virtual, or leave the fault out"
)]
pub struct Unplayable {
    /// When.
    pub at: Span,
}

/// Whether a live run can play the faults of a scenario.
///
/// # Errors
/// The first that it cannot.
pub fn playable(scenario: &Scenario) -> Result<(), Unplayable> {
    let trouble = scenario.timeline.iter().find(|step| matches!(step.action, Action::Trouble { .. }));
    trouble.map_or(Ok(()), |step| Err(Unplayable { at: step.at }))
}

/// Tells the loop of each fault at its time, and when there will be none any more.
pub(super) async fn play(scenario: Arc<Scenario>, epoch: Time, events: Events) {
    for edge in edges(&scenario) {
        let left = (epoch + edge.at).since(clock::now());
        tokio::time::sleep(left.to_std()).await;
        events.send(Event::Fault { victim: edge.victim, fault: edge.fault, begins: edge.begins });
    }
    events.send(Event::Driven);
}

fn edges(scenario: &Scenario) -> Vec<Edge> {
    let mut edges = Vec::new();
    for step in &scenario.timeline {
        if let Action::Fault { victim, fault, duration } = step.action {
            edges.push(Edge { at: step.at, begins: true, victim, fault });
            edges.push(Edge { at: step.at + duration, begins: false, victim, fault });
        }
    }
    edges.sort();
    edges
}
