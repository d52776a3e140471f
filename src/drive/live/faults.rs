//! Plays the faults of the timeline: says when one begins and when it ends.
//!
//! In: the scenario's steps. Out: events for the harness's loop, which alone touches processes.

use super::event::{Event, Events};
use crate::clock;
use crate::scenario::{Action, Backend, Fault, Home, Scenario, TopologyKind, Victim};
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
pub enum Unplayable {
    /// It exists on the simulated clock alone.
    #[error(
        "the timeline has trouble with API servers at {at} (partition, slow, throttle, expire, restart): live runs play \
         kill and pause alone; use --clock virtual, or leave the fault out"
    )]
    Trouble {
        /// When.
        at: Span,
    },
    /// Its topology writes more to the hub than a guest may.
    #[error(
        "`backend: {{ hub: kubeconfig }}` is one hub without leases: let topology.kind not be cells, remove topology.lease"
    )]
    Guest,
    /// It is about an API server that is not ours.
    #[error(
        "the timeline has a fault of API servers at {at} that are not the mock: leave it out, or use `backend: mock`"
    )]
    NotOurs {
        /// When.
        at: Span,
    },
}

/// Whether a hub of somebody's will do: one, and without the leases of managers, which carry no label.
fn fits_a_guest(scenario: &Scenario) -> bool {
    scenario.topology.kind != TopologyKind::Cells && scenario.topology.lease.is_none()
}

/// Whether a live run can play the faults of a scenario.
///
/// # Errors
/// The first that it cannot.
pub fn playable(scenario: &Scenario) -> Result<(), Unplayable> {
    if scenario.backend.hub == Home::Kubeconfig && !fits_a_guest(scenario) {
        return Err(Unplayable::Guest);
    }
    scenario.timeline.iter().try_for_each(|step| match step.action {
        Action::Trouble { .. } => Err(Unplayable::Trouble { at: step.at }),
        Action::Fault { victim, .. } if !is_ours(victim, scenario.backend) => Err(Unplayable::NotOurs { at: step.at }),
        _ => Ok(()),
    })
}

const fn is_ours(victim: Victim, backend: Backend) -> bool {
    match victim {
        Victim::Hub => matches!(backend.hub, Home::Mock),
        Victim::Leaves => matches!(backend.leaves, Home::Mock),
        Victim::Manager(_) => true,
    }
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
