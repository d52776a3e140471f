//! Workload readiness: the deployment and replicaset controllers of one cluster.
//!
//! In: Deployments as an informer sees them, replies, the time. Out: the calls of kube-controller-manager until a
//! Deployment is Available: a ReplicaSet per template, its status, two status updates of the Deployment (recorded: 4
//! calls per fresh Deployment), an event and a scale of the ReplicaSet where replicas change. Pods are not modelled: they are
//! available after a drawn delay.

use crate::calls::{self, Kind, ObjectId, Target, Verb};
use crate::scenario::Delay;
use crate::seed::Seed;
use crate::units::Time;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A call of kube-controller-manager.
pub type Op = calls::Op<Write>;

/// The User-Agent of kube-controller-manager; each of its controllers adds its own name.
pub const DEPLOYMENT_AGENT: &str = "kube-controller-manager/v1.36.3 (linux/amd64) deployment-controller";
/// That of the replicaset controller.
pub const REPLICA_SET_AGENT: &str = "kube-controller-manager/v1.36.3 (linux/amd64) replicaset-controller";

/// What a call writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// The ReplicaSet of the template.
    ReplicaSet {
        /// `spec.replicas`.
        replicas: u32,
    },
    /// Its status.
    ReplicaSetStatus {
        /// Replicas that exist.
        replicas: u32,
        /// Replicas that are available.
        available: u32,
    },
    /// Another number of replicas for it.
    Scale {
        /// `spec.replicas`.
        replicas: u32,
    },
    /// The Deployment's status: its ReplicaSet exists, pods are awaited.
    Progressing,
    /// The Deployment's status: everything is available.
    Available,
    /// `ScalingReplicaSet`.
    Scaled {
        /// From so many replicas.
        from: u32,
        /// To so many.
        to: u32,
    },
}

/// A Deployment of one cluster, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// What the controllers read of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// `metadata.generation`.
    pub generation: u64,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Hash of `spec.template`.
    pub template: u32,
}

/// What a call is about: a Deployment, or its ReplicaSet of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The Deployment.
    Deployment(Slot),
    /// A ReplicaSet, by the hash of its template.
    ReplicaSet(Slot, u32),
}

impl Place {
    /// The packed form.
    #[must_use]
    pub const fn id(self) -> ObjectId {
        match self {
            Self::Deployment(slot) => ObjectId(slot.0 as u64),
            Self::ReplicaSet(slot, hash) => ObjectId(1 << 63 | (hash as u64 & 0x7fff_ffff) << 32 | slot.0 as u64),
        }
    }

    /// What a packed form means.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the fields were packed from these widths")]
    pub const fn of(id: ObjectId) -> Self {
        let slot = Slot(id.0 as u32);
        if id.0 >> 63 == 0 { Self::Deployment(slot) } else { Self::ReplicaSet(slot, (id.0 >> 32) as u32 & 0x7fff_ffff) }
    }
}

/// What the machine wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The answer to this call.
    Call(Op),
    /// Nothing more now; [`Workloads::next_deadline`] says when.
    Rest,
}

#[derive(Clone, Debug)]
struct Known {
    seen: Deployment,
    /// Template and replicas of the ReplicaSet in force.
    set: Option<(u32, u32)>,
    /// The rollout of this generation is not finished.
    pending: VecDeque<(Place, Verb, Write)>,
    /// Pods are available then.
    due: Option<Time>,
    queued: bool,
    draws: u64,
}

/// Rollouts between two moments of rest.
#[derive(Debug)]
pub struct Rollouts {
    begin: Time,
    ended: Vec<(usize, Known, u64)>,
}

/// The Deployments of one cluster.
#[derive(Clone, Debug)]
pub struct Workloads {
    seed: Seed,
    ready: Delay,
    index: FxHashMap<(Arc<str>, Arc<str>), Slot>,
    table: Vec<Option<Known>>,
    free: Vec<Slot>,
    queue: VecDeque<Slot>,
    timers: BinaryHeap<Reverse<(Time, Slot)>>,
}

impl Workloads {
    /// No Deployments yet. `ready` is the time until pods are available.
    #[must_use]
    pub fn new(seed: Seed, ready: Delay) -> Self {
        Self {
            seed: seed.child("workload"),
            ready,
            index: FxHashMap::default(),
            table: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            timers: BinaryHeap::new(),
        }
    }

    /// The same Deployments on another cluster, which draws from this seed.
    #[must_use]
    pub fn of_another(&self, seed: Seed) -> Self {
        Self { seed: seed.child("workload"), ..self.clone() }
    }

    /// Whether there is nothing to do now or later.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Everything that decides what comes next but times and draws.
    pub fn fingerprint(&self, hash: &mut impl Hasher) {
        for known in &self.table {
            let known = known.as_ref().map(|k| (k.seen.generation, k.seen.replicas, k.seen.template, k.set));
            known.hash(hash);
        }
    }

    /// What is known of Deployments and how often each drew.
    #[must_use]
    pub fn draws(&self) -> Vec<u64> {
        self.table.iter().map(|known| known.as_ref().map_or(0, |known| known.draws)).collect()
    }

    /// Rollouts that ended between two moments of rest: of Deployments that had drawn so often before, on a clock that began at
    /// `begin`; `None` if a Deployment came or went.
    #[must_use]
    pub fn course(&self, before: &[u64], begin: Time) -> Option<Rollouts> {
        if self.table.len() != before.len() {
            return None;
        }
        let drawn = self.table.iter().zip(before).enumerate();
        let drawn = drawn.filter_map(|(n, (known, before))| {
            let known = known.as_ref().filter(|known| known.draws != *before)?;
            Some((n, known.clone(), known.draws - before))
        });
        Some(Rollouts { begin, ended: drawn.collect() })
    }

    /// The same rollouts from `begin` on.
    pub fn take(&mut self, rollouts: &Rollouts, begin: Time) {
        for (n, ended, draws) in &rollouts.ended {
            if let Some(Some(known)) = self.table.get_mut(*n) {
                let draws = known.draws + draws;
                *known = Known { due: ended.due.map(|due| begin + due.since(rollouts.begin)), draws, ..ended.clone() };
            }
        }
    }

    /// A Deployment appeared or changed. Its status is the machine's own: only a new generation counts.
    pub fn on_change(&mut self, seen: Deployment) -> Option<Slot> {
        let key = (Arc::clone(&seen.namespace), Arc::clone(&seen.name));
        if let Some(slot) = self.index.get(&key).copied() {
            let known = self.table[slot.0 as usize].as_mut()?;
            if known.seen.generation == seen.generation {
                return None;
            }
            known.seen = seen;
            self.plan(slot);
            return Some(slot);
        }
        let known = Known { seen, set: None, pending: VecDeque::new(), due: None, queued: false, draws: 0 };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.table.push(None);
                Slot(u32::try_from(self.table.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.table[slot.0 as usize] = Some(known);
        self.index.insert(key, slot);
        self.plan(slot);
        Some(slot)
    }

    /// A Deployment is gone; its ReplicaSets are the garbage collector's.
    pub fn on_delete(&mut self, namespace: &str, name: &str) -> Option<Slot> {
        let slot = self.index.remove(&(Arc::from(namespace), Arc::from(name)))?;
        self.table[slot.0 as usize] = None;
        self.free.push(slot);
        Some(slot)
    }

    /// A Deployment by its slot.
    #[must_use]
    pub fn deployment(&self, slot: Slot) -> Option<&Deployment> {
        self.table.get(slot.0 as usize)?.as_ref().map(|k| &k.seen)
    }

    /// The calls that bring a new generation about, up to where pods are awaited.
    fn plan(&mut self, slot: Slot) {
        let Some(known) = self.table[slot.0 as usize].as_mut() else { return };
        let (template, replicas) = (known.seen.template & 0x7fff_ffff, known.seen.replicas);
        let (deployment, set) = (Place::Deployment(slot), Place::ReplicaSet(slot, template));
        let calls = &mut known.pending;
        calls.clear();
        known.due = None;
        let before = known.set.filter(|(hash, _)| *hash == template).map(|(_, replicas)| replicas);
        match before {
            None => calls.push_back((set, Verb::Create, Write::ReplicaSet { replicas })),
            Some(old) if old != replicas => calls.push_back((set, Verb::Update, Write::Scale { replicas })),
            Some(_) => {}
        }
        if before.unwrap_or(0) != replicas {
            let scaled = Write::Scaled { from: before.unwrap_or(0), to: replicas };
            calls.push_back((deployment, Verb::Create, scaled));
        }
        if let Some((old, replicas)) = known.set.filter(|(hash, _)| *hash != template)
            && replicas > 0
        {
            // Rolled over in one step; the old set keeps its place in the history.
            calls.push_back((Place::ReplicaSet(slot, old), Verb::Update, Write::Scale { replicas: 0 }));
        }
        calls.push_back((deployment, Verb::Update, Write::Progressing));
        calls.push_back((set, Verb::Update, Write::ReplicaSetStatus { replicas, available: 0 }));
        known.set = Some((template, replicas));
        if !known.queued {
            known.queued = true;
            self.queue.push_back(slot);
        }
    }

    /// The next call, if one can be made now.
    pub fn step(&mut self, now: Time) -> Step {
        while let Some(Reverse((at, slot))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            self.wake(slot, at);
        }
        while let Some(slot) = self.queue.front().copied() {
            let Some(known) = self.table[slot.0 as usize].as_mut() else {
                self.queue.pop_front();
                continue;
            };
            if let Some(call) = known.pending.pop_front() {
                return Step::Call(op(call));
            }
            known.queued = false;
            self.queue.pop_front();
            self.rest(slot, now);
        }
        Step::Rest
    }

    /// The calls of a rollout are made: pods are awaited, if they are not there yet.
    fn rest(&mut self, slot: Slot, now: Time) {
        let Some(known) = self.table[slot.0 as usize].as_mut() else { return };
        if known.due.is_some_and(|due| due <= now) {
            return;
        }
        known.draws += 1;
        let due = now + self.ready.draw(self.seed.entity(u64::from(slot.0)), known.draws);
        known.due = Some(due);
        if due > now {
            self.timers.push(Reverse((due, slot)));
        } else {
            self.wake(slot, due);
        }
    }

    /// Pods are available.
    fn wake(&mut self, slot: Slot, at: Time) {
        let Some(known) = self.table.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        if known.due != Some(at) {
            return;
        }
        let replicas = known.seen.replicas;
        if let Some((template, _)) = known.set.filter(|_| replicas > 0) {
            let status = Write::ReplicaSetStatus { replicas, available: replicas };
            known.pending.push_back((Place::ReplicaSet(slot, template), Verb::Update, status));
        }
        known.pending.push_back((Place::Deployment(slot), Verb::Update, Write::Available));
        if !known.queued {
            known.queued = true;
            self.queue.push_back(slot);
        }
    }

    /// The next instant at which [`Workloads::step`] has a call; in the past if it has one now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.queue.is_empty() { self.timers.peek().map(|Reverse((at, _))| *at) } else { Some(Time(0)) }
    }
}

fn op((place, verb, write): (Place, Verb, Write)) -> Op {
    let (kind, status) = match write {
        Write::ReplicaSet { .. } | Write::Scale { .. } => (Kind::REPLICA_SET, false),
        Write::ReplicaSetStatus { .. } => (Kind::REPLICA_SET, true),
        Write::Progressing | Write::Available => (Kind::DEPLOYMENT, true),
        Write::Scaled { .. } => (Kind::EVENT, false),
    };
    Op { target: Target::Leaf, verb, kind, object: place.id(), status, dry_run: false, body: write }
}

/// The name of a template hash as Kubernetes spells it: the decimal number in a vowel-free alphabet
/// (k8s.io/apimachinery `rand.SafeEncodeString`).
#[must_use]
pub fn hash_name(hash: u32) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string().bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    fn web(generation: u64, replicas: u32, template: u32) -> Deployment {
        Deployment { namespace: "web".into(), name: "web".into(), generation, replicas, template }
    }

    fn run(workloads: &mut Workloads, now: Time) -> Vec<String> {
        let mut calls = vec![];
        while let Step::Call(op) = workloads.step(now) {
            let status = if op.status { "/status" } else { "" };
            calls.push(format!("{:?} {}{status}", op.verb, op.kind.info().plural).to_lowercase());
        }
        calls
    }

    #[test]
    fn a_fresh_deployment_without_replicas_costs_the_four_recorded_calls() {
        let mut workloads = Workloads::new(Seed::new(1), Delay::Fixed(Span::ZERO));
        workloads.on_change(web(1, 0, 7));
        assert_eq!(
            run(&mut workloads, Time(0)),
            [
                "create replicasets",
                "update deployments/status",
                "update replicasets/status",
                "update deployments/status"
            ]
        );
        assert_eq!(workloads.next_deadline(), None);
        workloads.on_change(web(1, 0, 7));
        assert!(run(&mut workloads, Time(0)).is_empty(), "a change of the status is none of the spec");
    }

    #[test]
    fn pods_are_available_after_the_delay_and_a_scale_makes_no_new_replica_set() {
        let mut workloads = Workloads::new(Seed::new(1), Delay::Fixed(Span::from_secs(2)));
        workloads.on_change(web(1, 3, 7));
        assert_eq!(run(&mut workloads, Time(0)).len(), 4, "create, event, two status updates");
        let due = workloads.next_deadline().unwrap();
        assert_eq!(due, Time(2_000_000_000));
        assert_eq!(run(&mut workloads, due), ["update replicasets/status", "update deployments/status"]);
        workloads.on_change(web(2, 5, 7));
        assert_eq!(
            run(&mut workloads, due),
            ["update replicasets", "create events", "update deployments/status", "update replicasets/status"]
        );
        workloads.on_change(web(3, 5, 8));
        let calls = run(&mut workloads, due);
        assert_eq!(calls[0], "create replicasets");
        assert!(calls.contains(&"update replicasets".to_owned()), "the old set goes to zero");
        assert_eq!(workloads.on_delete("web", "web"), Some(Slot(0)));
        assert!(run(&mut workloads, Time(u64::MAX)).is_empty());
    }

    #[test]
    fn template_hashes_are_spelt_as_kubernetes_spells_them() {
        // rand.SafeEncodeString("0123456789").
        assert_eq!(hash_name(1_023_456_789).len(), 10);
        assert!(hash_name(12).bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)));
    }
}
