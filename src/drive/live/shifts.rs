//! Plays the shifts of the timeline: who manages what changes while the run goes.
//!
//! In: the scenario's steps, the harness's client and routes. Out: what people would do: a key in a cluster Secret
//! (`sharded`), a label in the orchestrator's inventory or a word to it that a cell is to be left (`cells`); for managers
//! that come or go an event for the harness's loop, which alone touches processes.

use super::above::cells;
use super::event::{Event, Events};
use super::net::{Call, Client, MERGE_PATCH, Refusal, Route};
use crate::calls::{Kind, Target};
use crate::clock;
use crate::fleet::ARGOCD_NAMESPACE;
use crate::scenario::{Action, Scenario, Shift, TopologyKind};
use crate::units::{Span, Time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::sync::Arc;

/// Tries of one write, and the pause before the next.
const TRIES: u32 = 5;
const PAUSE: Span = Span::from_millis(100);

/// Somebody who may write to the hubs.
pub(super) struct Hand {
    pub(super) client: Arc<Client>,
    /// That of an orchestrator is the last.
    pub(super) hubs: Vec<Route>,
}

/// Plays every shift at its time and says when the last has begun.
pub(super) async fn play(hand: Hand, scenario: Arc<Scenario>, epoch: Time, events: Events) {
    let mut steps: Vec<_> = scenario.timeline.iter().collect();
    steps.sort_by_key(|step| step.at);
    for step in steps {
        let Action::Shift(shift) = &step.action else { continue };
        let left = (epoch + step.at).since(clock::now());
        tokio::time::sleep(left.to_std()).await;
        let done = match shift {
            Shift::Managers { delta } => {
                events.send(Event::Managers { delta: *delta });
                Ok(())
            }
            Shift::Move { clusters, to } => hand.move_all(clusters, *to, scenario.topology.kind).await,
            Shift::Drain { cell } => hand.drain(*cell).await,
        };
        if let Err(refusal) = done {
            events.send(Event::Undone { message: format!("{shift}: {}", refusal.message) });
        }
    }
    events.send(Event::Driven);
}

impl Hand {
    async fn move_all(&self, clusters: &[String], to: u32, kind: TopologyKind) -> Result<(), Refusal> {
        let chosen = if kind == TopologyKind::Cells {
            json!({ "metadata": { "labels": { cells::CELL: to.to_string() } } })
        } else {
            json!({ "data": { "shard": BASE64.encode(to.to_string()) } })
        };
        // A cluster's Secret has its name.
        for cluster in clusters {
            self.write(Kind::SECRET, cluster, &chosen).await?;
        }
        Ok(())
    }

    async fn drain(&self, cell: u32) -> Result<(), Refusal> {
        let word = json!({ "metadata": { "annotations": { cells::DRAIN: "true" } } });
        self.write(Kind::CONFIG_MAP, &cells::sum_name(cell), &word).await
    }

    async fn write(&self, kind: Kind, name: &str, body: &Value) -> Result<(), Refusal> {
        let Some(hub) = self.hubs.last() else { return Ok(()) };
        let mut tries = 1;
        loop {
            let path = kind.info().path(kind.info().version, ARGOCD_NAMESPACE, name);
            let call = Call { target: Target::Hub, method: "PATCH", kind, path, media: MERGE_PATCH, body };
            match self.client.send(hub, call).await {
                Err(refusal) if (refusal.may_pass || refusal.absent) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE.scaled(u64::from(tries), 1).to_std()).await;
                }
                result => return result.map(drop),
            }
        }
    }
}
