//! What a simulation of Argo CD came to, and what of it was used up.

use super::sim::Simulation;
use crate::drive::virtual_time::{Ending, ManagerOutcome, Outcome};
use crate::measure::Role;
use crate::measure::limit::Limit;
use crate::model::argo::{cluster, costs};
use crate::units::{Span, Time};

/// Memory of an API server and of what it holds, as far as this machine's runs told: 460 MiB idle, 0.55 per Application.
const SERVER_BYTES: u64 = 460 << 20;
const STORED_APP_BYTES: u64 = 560 << 10;
/// A repo-server, whatever the number of Applications: 90 idle, 110 to 117 at most.
const REPO_BYTES: u64 = 113 << 20;

/// A process of a real run as it would be billed.
#[derive(Clone, Debug)]
pub struct Bill {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// CPU time.
    pub cpu: Span,
    /// Memory at its most, if that is modelled.
    pub memory: Option<u64>,
}

impl Simulation<'_> {
    /// What it came to.
    pub(super) fn end(mut self, ending: Ending) -> Outcome {
        for signal in self.out.signals.drain(..) {
            self.ledger.take(signal);
        }
        let simulated = self.now.since(Time(0));
        let (limits, bills) = (self.limits(simulated), self.bills());
        let apps_of =
            |shard: u32| self.places.iter().zip(&self.apps).filter(move |(p, a)| p.shard == shard && a.exists);
        let managers = (0_u32..).zip(&self.controllers).map(|(shard, controller)| {
            let apps = apps_of(shard).count() as u64;
            let watches = 5 + controller.used.clusters * u64::from(cluster::KINDS);
            ManagerOutcome {
                managers: 1,
                calls: controller.counts.tally(),
                watches,
                watch_events: controller.used.watch_events,
                apps,
                objects: apps_of(shard).map(|(p, _)| 1 + self.kinds[usize::from(p.addon)].len() as u64).sum(),
                cpu: controller.used.cpu,
            }
        });
        let mut controllers = self.out.counts.tally();
        controllers.merge(&self.destination_counts.tally());
        let controllers_calls = controllers.total();
        Outcome {
            served: self.hardware.served(),
            gave_up: Vec::new(),
            ending,
            digest: self.out.digest.value(),
            folded: [0; 2],
            events: self.events,
            simulated,
            harness: self.harness.tally(),
            controllers,
            managers: managers.collect(),
            objects: [self.hub_objects.1, self.out.objects.1],
            hub_events: self.hub_events,
            state: None,
            refused: self.refused,
            used: Vec::new(),
            above: None,
            hubs: 1,
            hub_watches: 5 * self.controllers.len() as u64,
            spent: self.hardware.spent(controllers_calls),
            limits,
            bills,
            measured: self.ledger.finish(self.now),
        }
    }

    /// What could be used up, and how much of it was, over the time from the first change to the end.
    fn limits(&self, over: Span) -> Vec<Limit> {
        let seconds = over.as_secs_f64().max(1e-9);
        let (manager, mut all) = (&self.ground.scenario.manager, Vec::new());
        let argo = manager.kind.argo().unwrap_or_default();
        let mut limit = |resource: &str, place: String, share: f64, evidence: String| {
            all.push(Limit { resource: resource.to_owned(), place, share, evidence });
        };
        for (n, controller) in self.controllers.iter().enumerate() {
            let (place, used) = (format!("manager-{n}"), &controller.used);
            if manager.hub_qps_milli > 0 {
                let qps = manager.hub_qps_milli as f64 / 1e3;
                let calls = (used.calls as f64 - f64::from(manager.hub_burst)).max(0.0);
                let (share, wait) = ((calls / seconds / qps).min(1.0), used.throttled.as_secs_f64());
                let mean = wait / (used.calls as f64).max(1.0);
                limit(
                    "qps",
                    place.clone(),
                    share,
                    format!(
                        "{} calls of Applications in {seconds:.0} s at {qps}/s; one waited {mean:.2} s for its turn on average",
                        used.calls,
                    ),
                );
            }
            let workers = |busy: Span, workers: u32| (busy.as_secs_f64() / seconds / f64::from(workers)).min(1.0);
            let operating = workers(used.operating, argo.operations);
            // Workers that wait for the limiter are no limit of their own: it counts what they did beside.
            let waiting = (used.throttled.as_secs_f64() / seconds) / f64::from(argo.operations + manager.concurrency);
            limit(
                "workers",
                place.clone(),
                (operating - waiting.min(operating)).max(0.0),
                format!(
                    "{} operation processors were in operations {:.0}% of the time, {:.0}% of the time of all workers was waiting for the limiter",
                    argo.operations,
                    operating * 100.0,
                    waiting.min(1.0) * 100.0,
                ),
            );
        }
        for (n, machine) in self.machines.iter().enumerate() {
            let share = machine.spent().as_secs_f64() / seconds / f64::from(machine.cores());
            let place = if self.shared { "host".to_owned() } else { format!("machine-{n}") };
            limit(
                "cpu",
                place,
                share.min(1.0),
                format!("{:.2} of {} cores were busy", machine.spent().as_secs_f64() / seconds, machine.cores(),),
            );
        }
        all
    }

    /// CPU and memory of every process.
    fn bills(&self) -> Vec<Bill> {
        let apps = self.hub_objects.1;
        let mut all = vec![
            Bill {
                name: "hub".to_owned(),
                role: Role::Hub,
                cpu: self.server_cpu,
                memory: Some(SERVER_BYTES + apps * STORED_APP_BYTES),
            },
            Bill { name: "repo-server".to_owned(), role: Role::Manager, cpu: self.repo_cpu, memory: Some(REPO_BYTES) },
        ];
        for (n, controller) in self.controllers.iter().enumerate() {
            let shard = u32::try_from(n).unwrap_or(u32::MAX);
            let mine = self.places.iter().zip(&self.apps).filter(|(p, a)| p.shard == shard && a.exists).count() as u64;
            let used = &controller.used;
            let memory = costs::CONTROLLER_BYTES
                + mine * costs::BUSY_APP_BYTES
                + used.clusters * costs::CLUSTER_BYTES
                + u64::from(used.operating_max) * costs::OPERATION_BYTES;
            let (name, cpu) = (format!("manager-{n}"), used.cpu);
            all.push(Bill { name, role: Role::Manager, cpu, memory: Some(memory) });
        }
        all
    }
}
