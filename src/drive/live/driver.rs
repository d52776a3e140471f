//! Makes the changes of the timeline happen at their times: an open-loop generator.
//!
//! In: the world's changes and clients of hub and leaves. Out: an [`Event`] before and after each write. A change that is
//! late is made as soon as it can be, and its latency counts from the time it was intended for; how late the generator
//! was is reported, not hidden. Changes of one app keep their order, those of different apps run side by side.

use super::above::cells;
use super::event::{Event, Events};
use super::net::{APPLY, AccessError, Call, Client, JSON, MERGE_PATCH, Pools, Refusal, Route};
use super::settings::Access;
use super::shifts::Hand;
use crate::calls::{Kind, Tally, Target};
use crate::clock;
use crate::drive::drifted;
use crate::fleet::{ARGOCD_NAMESPACE, Change, ChangeKind, FLUX_NAMESPACE, World};
use crate::ids::AppId;
use crate::model::flux::Catalogue;
use crate::scenario::{Delivery, DriftKind, ManagerKind, Mode, Scenario, TopologyKind};
use crate::topology::{Course, Layout};
use crate::units::{Span, Time};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Changes that may wait for one worker: behind a full queue the generator is late, which is reported.
const WAITING: usize = 1_024;
/// Tries of one write, and the pause before the next: the hub may answer 429 or break off.
const TRIES: u32 = 5;
const PAUSE: Span = Span::from_millis(100);
/// HTTP/2 connections of the harness to each API server process.
const CONNECTIONS: u32 = 2;
/// What the harness calls itself towards API servers; its calls are counted apart.
pub(super) const USER_AGENT: &str = "flamboyance-harness";

/// What the driver works with.
pub(super) struct Driver {
    workers: usize,
    world: Arc<World>,
    catalogue: Arc<Catalogue>,
    /// A route to each hub.
    hubs: Vec<Route>,
    /// A Flux on the hub takes the place of whoever reads Applications.
    flux_on_hub: bool,
    /// The label of everything written to a hub of somebody's.
    run: Option<String>,
    /// Whose Applications are on which hub.
    layout: Layout,
    /// What the timeline makes of that.
    course: Course,
    epoch: Time,
    /// A route to each leaf.
    leaves: Vec<Route>,
    servers: Access,
    client: Arc<Client>,
    events: Events,
}

/// A change on its way to a worker: its index in the world's list.
type Due = usize;

impl Driver {
    /// A driver of a crew that is ready.
    ///
    /// # Errors
    /// When the crew's addresses make no sense.
    pub(super) fn new(
        scenario: &Scenario,
        world: &Arc<World>,
        catalogue: &Arc<Catalogue>,
        (hubs, leaves, run): (&[Access], &Access, Option<&str>),
        events: Events,
    ) -> Result<Self, AccessError> {
        let mut pools = Pools::new(CONNECTIONS, Arc::default());
        let mut route = |access: &Access, number: usize, name: &str| pools.route(&access.config(number, name)?);
        let hubs = hubs.iter().map(|hub| route(hub, 0, super::servers::HUB)).collect::<Result<_, _>>()?;
        let clusters = world.clusters();
        let routes = clusters.ids().map(|id| route(leaves, id.index(), &clusters.name(id)));
        Ok(Self {
            leaves: routes.collect::<Result<_, _>>()?,
            workers: scenario.run.driver_concurrency.max(1) as usize,
            world: Arc::clone(world),
            catalogue: Arc::clone(catalogue),
            servers: leaves.clone(),
            hubs,
            flux_on_hub: scenario.manager.kind == ManagerKind::Flux,
            run: run.map(str::to_owned),
            layout: Layout::of(world, &scenario.topology),
            course: Course::of(world, scenario),
            epoch: Time(0),
            events,
            client: Arc::new(Client::new(USER_AGENT)),
        })
    }

    /// The same client and hubs, for what else the timeline asks for.
    pub(super) fn hand(&self) -> Hand {
        Hand { client: Arc::clone(&self.client), hubs: self.hubs.clone() }
    }

    /// The calls made so far, for whoever tells them.
    pub(super) fn tally(&self) -> Arc<Mutex<Tally>> {
        self.client.tally()
    }

    /// Plays the timeline from `epoch` on; returns when the last change was made.
    pub(super) async fn play(mut self, epoch: Time) {
        self.epoch = epoch;
        let driver = Arc::new(self);
        let workers = driver.workers;
        let (queues, tasks): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (queue, due) = mpsc::channel(WAITING);
                (queue, tokio::spawn(Arc::clone(&driver).work(due)))
            })
            .unzip();
        for (index, change) in driver.world.changes().iter().enumerate() {
            sleep_until(epoch + change.at).await;
            driver.events.send(Event::Intend { index });
            if queues[change.app.index() % workers].send(index).await.is_err() {
                return;
            }
        }
        drop(queues);
        for task in tasks {
            // A worker that panicked is our bug; its changes stay open and the run times out with their names.
            let _ = task.await;
        }
        driver.events.send(Event::Driven);
    }

    async fn work(self: Arc<Self>, mut due: mpsc::Receiver<Due>) {
        while let Some(index) = due.recv().await {
            let change = self.world.changes()[index];
            let mut tries = 1;
            let result = loop {
                match self.make(&change).await {
                    Err(refusal) if refusal.may_pass && tries < TRIES => {
                        tries += 1;
                        tokio::time::sleep(PAUSE.scaled(u64::from(tries), 1).to_std()).await;
                    }
                    result => break result,
                }
            };
            self.events.send(match result {
                Ok(generation) => Event::Stored { index, generation },
                Err(Refusal { sort, message, .. }) => Event::Refused { index, sort, message },
            });
        }
    }

    /// Makes one change and gives the Application's generation afterwards, 0 where none was written.
    async fn make(&self, change: &Change) -> Result<u64, Refusal> {
        match change.kind {
            ChangeKind::Install => {
                if self.by_hand(change.app) {
                    self.write_flux(change).await?;
                }
                let mut wanted = self.wanted(change);
                if let Some(run) = &self.run {
                    crate::backend::guest::label(&mut wanted, run);
                }
                self.on_hub(change.app, "POST", JSON, &wanted).await
            }
            ChangeKind::Upgrade | ChangeKind::Scale => {
                if self.by_hand(change.app) {
                    self.write_flux(change).await?;
                }
                let patch = if self.flux_on_hub {
                    self.world.hub_patch(change.app, change.target)
                } else {
                    self.world.application_patch(change.app, change.target)
                };
                self.on_hub(change.app, "PATCH", MERGE_PATCH, &patch).await
            }
            ChangeKind::Decommission => {
                let gone = self.on_hub(change.app, "DELETE", JSON, &delete_options()).await;
                if !self.by_hand(change.app) {
                    return gone.map(|_| 0);
                }
                // A second try finds the Application gone.
                gone.map(drop).or_else(|refusal| if refusal.absent { Ok(()) } else { Err(refusal) })?;
                self.remove_flux(change).await.map(|()| 0)
            }
            // The loop tells the leaves when it hears of the intention: there is nothing to write.
            ChangeKind::Commit { .. } => Ok(0),
            ChangeKind::Drift { object, kind } => self.drift(change.app, object, kind).await.map(|()| 0),
        }
    }

    /// What asks for an app: an Application, or what a Flux on the hub knows in its place.
    fn wanted(&self, change: &Change) -> Value {
        if self.flux_on_hub {
            return self.world.hub_workload(change.app, change.target);
        }
        let cluster = self.world.cluster_of(change.app);
        let server = self.servers.server(cluster.index(), &self.world.clusters().name(cluster));
        self.world.application(change.app, change.target, &server)
    }

    /// Its kind and namespace.
    fn asks(&self, app: AppId) -> (Kind, &'static str) {
        match (self.flux_on_hub, self.world.addon(app).delivery) {
            (false, _) => (Kind::APPLICATION, ARGOCD_NAMESPACE),
            (true, Delivery::Helm) => (Kind::HELM_RELEASE, FLUX_NAMESPACE),
            (true, _) => (Kind::KUSTOMIZATION, FLUX_NAMESPACE),
        }
    }

    /// Whether an app's Flux objects are ours to write: in Reference mode somebody wrote them by hand.
    fn by_hand(&self, app: AppId) -> bool {
        let addon = self.world.addon(app);
        addon.flux_subsystem && addon.mode == Mode::Reference
    }

    /// Makes the Flux objects of an app what its target asks for, the source first.
    async fn write_flux(&self, change: &Change) -> Result<(), Refusal> {
        for object in self.world.flux_objects(change.app, change.target) {
            let Some((kind, path)) = place(&object) else { continue };
            let path = format!("{path}?fieldManager={USER_AGENT}&force=true");
            let call = Call { target: Target::Leaf, method: "PATCH", kind, path, media: APPLY, body: &object };
            let answer = self.on_leaf(change.app, call).await?;
            let answer: Answer = serde_json::from_slice(&answer).unwrap_or_default();
            if answer.metadata.deletion_timestamp.is_some() {
                let message = format!("{} is still being deleted", self.world.app_name(change.app));
                let sort = "still being deleted".to_owned();
                return Err(Refusal { may_pass: true, absent: false, sort, message });
            }
        }
        Ok(())
    }

    /// Deletes the Flux objects of an app, the source last.
    async fn remove_flux(&self, change: &Change) -> Result<(), Refusal> {
        for object in self.world.flux_objects(change.app, change.target).iter().rev() {
            let Some((kind, path)) = place(object) else { continue };
            let body = delete_options();
            let call = Call { target: Target::Leaf, method: "DELETE", kind, path, media: JSON, body: &body };
            self.on_leaf(change.app, call).await.map(drop).or_else(|r| if r.absent { Ok(()) } else { Err(r) })?;
        }
        Ok(())
    }

    async fn on_leaf(&self, app: AppId, call: Call<'_>) -> Result<Bytes, Refusal> {
        self.client.send(&self.leaves[self.world.cluster_of(app).index()], call).await
    }

    async fn on_hub(
        &self,
        app: AppId,
        method: &'static str,
        media: &'static str,
        body: &Value,
    ) -> Result<u64, Refusal> {
        let (kind, namespace) = self.asks(app);
        let info = kind.info();
        let name = if method == "POST" { String::new() } else { self.world.app_name(app) };
        let path = info.path(info.version, namespace, &name);
        let send = |hub: u32| {
            let path = path.clone();
            let call = Call { target: Target::Hub, method, kind, path, media, body };
            self.client.send(&self.hubs[hub as usize], call)
        };
        let (home, before) = self.home(app);
        let answer = match send(home).await {
            // On its way between two cells it is in the one or the other.
            Err(refusal) if refusal.absent && before != home => send(before).await,
            answer => answer,
        }?;
        let answer: Answer = serde_json::from_slice(&answer).unwrap_or_default();
        let before = answer.metadata.annotations.get(cells::BEFORE).and_then(|text| text.parse().ok());
        Ok(answer.metadata.generation + before.unwrap_or(0))
    }

    /// The hub of an app by now, and the one before.
    fn home(&self, app: AppId) -> (u32, u32) {
        let cluster = self.world.cluster_of(app);
        let first = self.layout.homes[cluster.index()].hub;
        if self.layout.kind != TopologyKind::Cells {
            return (first, first);
        }
        let now = clock::now().since(self.epoch);
        let home = self.course.owner(cluster, now).0;
        let before = self.course.before(cluster, now).0;
        (home, before)
    }

    /// Somebody deletes or edits an object of the app behind the controllers' backs.
    async fn drift(&self, app: AppId, nth: u32, kind: DriftKind) -> Result<(), Refusal> {
        let Some(object) = drifted::object(&self.world, &self.catalogue, app, nth) else {
            let message = format!("app {} has no object number {nth}", self.world.app_name(app));
            let sort = "no such object".to_owned();
            return Err(Refusal { may_pass: false, absent: false, sort, message });
        };
        let (method, media, body) = match kind {
            DriftKind::Delete => ("DELETE", JSON, delete_options()),
            DriftKind::Edit => ("PATCH", MERGE_PATCH, object.edit()),
        };
        let info = object.kind.info();
        let path = info.path(info.version, &object.namespace, &object.name);
        let call = Call { target: Target::Leaf, method, kind: object.kind, path, media, body: &body };
        let drifted = self.on_leaf(app, call).await;
        // What is not installed yet will be: somebody who wants to meddle tries again.
        drifted.map(drop).map_err(|refusal| Refusal { may_pass: refusal.may_pass || refusal.absent, ..refusal })
    }
}

/// Kind and path of an object of ours.
fn place(object: &Value) -> Option<(Kind, String)> {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/')?;
    let kind = Kind::find(group, text("/kind"))?;
    Some((kind, kind.info().path(version, text("/metadata/namespace"), text("/metadata/name"))))
}

fn delete_options() -> Value {
    json!({ "apiVersion": "v1", "kind": "DeleteOptions" })
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Answer {
    metadata: AnswerMeta,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct AnswerMeta {
    generation: u64,
    annotations: BTreeMap<String, String>,
    #[serde(rename = "deletionTimestamp")]
    deletion_timestamp: Option<String>,
}

async fn sleep_until(at: Time) {
    let left = at.since(clock::now());
    if left > Span::ZERO {
        tokio::time::sleep(left.to_std()).await;
    }
}
