//! What was written -> what it means. Comes after the rules, so every reference leads somewhere.

mod instances;
mod prices;

use super::model::{self, Action, Scenario, Shift};
use super::spec::{self, Change};
use crate::ids::AddonId;
use crate::units::{Rate, Share, Span};
use sha2::{Digest, Sha256};

/// The meaning of a file that passed every check.
pub(super) fn meaning(mut file: spec::File, sets: &[String]) -> Scenario {
    fill(&mut file);
    // It says what else may be run, not what this is.
    let matrix = std::mem::take(&mut file.spec.matrix).into_iter().map(axis).collect();
    let hash = hash(&file);
    let effective = serde_saphyr::to_string(&file).unwrap_or_default();
    instances::expand(&mut file.spec);
    let spec = &file.spec;
    let names: Vec<&str> = spec.addons.iter().map(|addon| addon.name.0.as_str()).collect();
    let mut timeline: Vec<model::Step> =
        spec.timeline.iter().filter_map(|step| self::step(step, spec, &names)).collect();
    timeline.sort_by_key(|step| step.at);
    Scenario {
        name: file.metadata.name.0.clone(),
        hash,
        set: sets.to_vec(),
        effective,
        fleet: fleet(&spec.fleet),
        addons: spec.addons.iter().map(|addon| self::addon(addon, &names)).collect(),
        topology: topology(&spec.topology, &names),
        manager: manager(&spec.manager),
        backend: backend(spec.backend),
        timeline,
        run: run(&spec.run),
        model: prices::meaning(&spec.model),
        measure: model::Measure { window: spec.measure.window },
        expect: model::Expect { all_healthy: spec.expect.all_healthy, end_to_end_p99: spec.expect.end_to_end_p99 },
        gate: spec.gate.clone(),
        matrix,
    }
}

const fn backend(backend: spec::Backend) -> model::Backend {
    match backend {
        spec::Backend::Mock => model::Backend::MOCK,
        spec::Backend::LocalControlPlane => model::Backend::of(model::Home::LocalControlPlane),
        spec::Backend::Kind => model::Backend::of(model::Home::Kind),
        spec::Backend::Hub(home) => model::Backend { hub: self::home(home), ..model::Backend::MOCK },
    }
}

const fn home(home: spec::Elsewhere) -> model::Home {
    match home {
        spec::Elsewhere::LocalControlPlane => model::Home::LocalControlPlane,
        spec::Elsewhere::Kind => model::Home::Kind,
        spec::Elsewhere::KindHa => model::Home::KindHa,
        spec::Elsewhere::Kubeconfig => model::Home::Kubeconfig,
    }
}

fn axis(axis: spec::Axis) -> model::Axis {
    let point = |point: spec::Point| model::Point { name: point.name.0, sets: point.set };
    model::Axis { name: axis.axis.0, points: axis.points.into_iter().map(point).collect() }
}

/// Fills in the defaults that depend on other values.
fn fill(file: &mut spec::File) {
    let names: Vec<String> = file.spec.addons.iter().map(|addon| addon.name.0.clone()).collect();
    for addon in &mut file.spec.addons {
        // Without a word each instance has a namespace of its own.
        if addon.instances == 1 {
            addon.namespace.get_or_insert_with(|| addon.name.clone());
        }
        match (addon.mode, &addon.source) {
            (spec::Mode::Ordinary, _) => {}
            (_, spec::Source::Helm { .. }) => _ = addon.drift_detection.get_or_insert(false),
            _ => _ = addon.wait.get_or_insert(true),
        }
    }
    let manager = &mut file.spec.manager;
    if manager.kind == spec::ManagerKind::Flamingo {
        // The original is what is simulated.
        manager.behaviour = spec::Behaviour::Faithful;
    }
    if manager.kind.is_argo() {
        file.spec.model.manager.cores.get_or_insert(4.0);
        manager.version.get_or_insert_default();
        manager.operations.get_or_insert(10);
        manager.kubectl.get_or_insert(20);
        manager.hub.get_or_insert(spec::Limit { qps: Rate { milli: 50_000 }, burst: 100 });
    } else {
        manager.hub.get_or_insert_default();
    }
    for step in &mut file.spec.timeline {
        if let Some(Change::Install { addons, .. }) = &mut step.change
            && addons.is_empty()
        {
            addons.clone_from(&names);
        }
    }
    prices::fill(file);
}

/// SHA-256 of the canonical JSON (sorted keys, no blanks) in 64 hex digits.
fn hash(file: &spec::File) -> String {
    let canonical = serde_json::to_value(file).unwrap_or_default().to_string();
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fleet(fleet: &spec::Fleet) -> model::Fleet {
    let weighted = |choices: &[spec::Weighted]| {
        let choices = choices.iter();
        choices.map(|choice| model::Weighted { name: choice.name.0.clone(), weight: choice.weight }).collect()
    };
    let versions = fleet.kubernetes.iter();
    model::Fleet {
        clusters: fleet.clusters,
        name_prefix: fleet.name_prefix.0.clone(),
        regions: weighted(&fleet.regions),
        environments: weighted(&fleet.environments),
        kubernetes: versions.map(|v| model::Weighted { name: v.version.to_string(), weight: v.weight }).collect(),
        nodes: match fleet.nodes {
            spec::Nodes::Fixed(nodes) => model::Nodes::Fixed(nodes),
            spec::Nodes::Zipf { exponent, max } => model::Nodes::Zipf { exponent_milli: milli(exponent), max },
        },
        labels: fleet.labels.clone(),
    }
}

/// Thousandths of a number that the schema limits to 0..=100.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates and the schema bounds it")]
fn milli(number: f64) -> u32 {
    (number * 1000.0).round() as u32
}

fn addon(addon: &spec::Addon, names: &[&str]) -> model::Addon {
    let (delivery, repo_url, path, chart) = match &addon.source {
        spec::Source::Git { url, path } => (model::Delivery::Git, url, path.clone(), String::new()),
        spec::Source::Oci { url, path } => (model::Delivery::Oci, url, path.clone(), String::new()),
        spec::Source::Helm { url, chart } => (model::Delivery::Helm, url, String::new(), chart.clone()),
    };
    let namespace = addon.namespace.as_ref().unwrap_or(&addon.name);
    model::Addon {
        name: addon.name.0.clone(),
        weight: addon.weight,
        delivery,
        repo_url: repo_url.clone(),
        path,
        chart,
        versions: addon.versions.clone(),
        namespace: namespace.0.clone(),
        mode: match addon.mode {
            spec::Mode::Reference => model::Mode::Reference,
            spec::Mode::AutoCreate | spec::Mode::Ordinary => model::Mode::AutoCreate,
        },
        flux_subsystem: addon.mode != spec::Mode::Ordinary,
        objects: objects(&addon.objects),
        selector: selector(&addon.selector),
        depends_on: addon.depends_on.iter().map(|name| id(name, names)).collect(),
        kubernetes: model::VersionRange { min: addon.kubernetes.min.0, max: addon.kubernetes.max.0 },
        values: addon.values.clone(),
        interval: addon.interval,
        wait: addon.wait.unwrap_or(true),
        drift_detection: addon.drift_detection.unwrap_or(false),
        automated: addon.automated,
        self_heal: addon.self_heal,
        cascade_delete: addon.cascade_delete,
    }
}

fn objects(objects: &spec::Objects) -> model::Objects {
    model::Objects {
        deployments: objects.deployments,
        replicas: objects.replicas,
        config_maps: objects.config_maps,
        config_map_bytes: u32::try_from(objects.config_map_size.0).unwrap_or(u32::MAX),
        service_accounts: objects.service_accounts,
        services: objects.services,
    }
}

fn selector(selector: &spec::Selector) -> model::Selector {
    model::Selector { labels: selector.labels.clone(), share_ppm: selector.share.ppm }
}

fn topology(topology: &spec::Topology, names: &[&str]) -> model::Topology {
    let cost_of = |name: &&str| topology.cost.addons.get(*name).copied().unwrap_or(1);
    model::Topology {
        kind: match topology.kind {
            spec::TopologyKind::Single => model::TopologyKind::Single,
            spec::TopologyKind::Sharded => model::TopologyKind::Sharded,
            spec::TopologyKind::Cells => model::TopologyKind::Cells,
            spec::TopologyKind::HubAndSpoke => model::TopologyKind::HubAndSpoke,
        },
        shards: topology.shards,
        scheme: match topology.scheme {
            spec::Scheme::Legacy => model::Scheme::Legacy,
            spec::Scheme::RoundRobin => model::Scheme::RoundRobin,
            spec::Scheme::ConsistentHashing => model::Scheme::ConsistentHashing,
            spec::Scheme::GreedyMinimum => model::Scheme::GreedyMinimum,
            spec::Scheme::WeightedRing => model::Scheme::WeightedRing,
            spec::Scheme::Rendezvous => model::Scheme::Rendezvous,
            spec::Scheme::Label => model::Scheme::Label,
            spec::Scheme::Manual => model::Scheme::Manual,
        },
        weight: match topology.weight {
            spec::Weight::Clusters => model::Weight::Clusters,
            spec::Weight::Apps => model::Weight::Apps,
            spec::Weight::Cost => model::Weight::Cost,
        },
        bound_milli: topology.bound.map(milli),
        weights: topology.weights.clone(),
        cost: model::Cost { cluster: topology.cost.cluster, apps: names.iter().map(cost_of).collect() },
        lease: topology.lease,
        label: topology.label.as_ref().map(|l| model::ShardLabel { key: l.key.clone(), shards: l.shards.clone() }),
        manual: topology.manual.iter().map(pin).collect(),
    }
}

impl Default for model::Manager {
    /// What a scenario without a word about managers means.
    fn default() -> Self {
        manager(&spec::Manager::default())
    }
}

fn pin(manual: &spec::Manual) -> model::Pin {
    model::Pin { clusters: manual.clusters.clone(), labels: manual.labels.clone(), shard: manual.shard }
}

fn manager(manager: &spec::Manager) -> model::Manager {
    let hub = manager.hub.clone().unwrap_or_default();
    model::Manager {
        kind: kind(manager),
        command: manager.command.clone(),
        behaviour: match manager.behaviour {
            spec::Behaviour::Fixed => model::Behaviour::Fixed,
            spec::Behaviour::Faithful => model::Behaviour::Faithful,
        },
        concurrency: manager.concurrency,
        hub_qps_milli: hub.qps.milli,
        hub_burst: hub.burst,
        leaf_qps_milli: manager.leaf.qps.milli,
        leaf_burst: manager.leaf.burst,
        resync: manager.resync,
        resync_jitter: manager.resync_jitter,
        backoff_base: manager.backoff_base,
        backoff_max: manager.backoff_max,
        client_cache: manager.client_cache,
        flux_api: model::FluxApi {
            source: manager.flux_api.source.0.clone(),
            kustomize: manager.flux_api.kustomize.0.clone(),
            helm: manager.flux_api.helm.0.clone(),
        },
        connections: manager.connections,
    }
}

fn kind(manager: &spec::Manager) -> model::ManagerKind {
    let argo = model::Argo {
        version: match manager.version.unwrap_or_default() {
            spec::ArgoVersion::V2 => model::ArgoVersion::V2,
            spec::ArgoVersion::V3 => model::ArgoVersion::V3,
            spec::ArgoVersion::V36 => model::ArgoVersion::V36,
        },
        operations: manager.operations.unwrap_or(10),
        kubectl: manager.kubectl.unwrap_or(20),
        nodes: manager.nodes.unwrap_or(0),
    };
    match manager.kind {
        spec::ManagerKind::Loopback => model::ManagerKind::Loopback,
        spec::ManagerKind::Argocd => model::ManagerKind::Argocd(argo),
        spec::ManagerKind::Flamingo => model::ManagerKind::Flamingo(argo),
        spec::ManagerKind::Flux => model::ManagerKind::Flux,
    }
}

fn run(run: &spec::Run) -> model::Run {
    model::Run {
        seed: run.seed,
        timeout: run.timeout,
        duration: run.duration,
        driver_concurrency: run.driver_concurrency,
        tls: run.tls,
        flux: model::Flux {
            concurrency: run.flux.concurrency,
            jitter_ppm: run.flux.jitter.ppm,
            dependency_poll: run.flux.dependency_poll,
            health_poll: run.flux.health_poll,
            backoff_base: run.flux.backoff_base,
            backoff_max: run.flux.backoff_max,
            fetch: delay(&run.flux.fetch),
            build: delay(&run.flux.build),
        },
        workload_ready: delay(&run.workload_ready),
        history_bytes: run.history.0,
    }
}

const fn delay(delay: &spec::Delay) -> model::Delay {
    match delay {
        spec::Delay::Fixed(span) => model::Delay::Fixed(*span),
        spec::Delay::Uniform { min, max } => model::Delay::Uniform { min: *min, max: *max },
        spec::Delay::Exponential { mean } => model::Delay::Exponential { mean: *mean },
    }
}

/// A step of the timeline. The rules refuse one that has neither a change nor a fault.
fn step(step: &spec::Step, spec: &spec::Spec, names: &[&str]) -> Option<model::Step> {
    let action = match (&step.change, &step.fault) {
        (Some(change), _) => action(change, spec, names),
        (None, Some(fault)) if fault.kind.is_trouble() => trouble(fault),
        (None, Some(fault)) => Action::Fault {
            victim: match fault.process {
                spec::FaultProcess::Manager => model::Victim::Manager(fault.manager),
                spec::FaultProcess::Leaves => model::Victim::Leaves,
                spec::FaultProcess::Hub => model::Victim::Hub,
            },
            fault: if fault.kind == spec::FaultKind::Kill { model::Fault::Kill } else { model::Fault::Pause },
            duration: fault.duration,
        },
        (None, None) => return None,
    };
    Some(model::Step { at: step.at, action })
}

/// A fault that is no process's.
fn trouble(fault: &spec::Fault) -> Action {
    let share_ppm = fault.share.unwrap_or(Share::ALL).ppm;
    let trouble = match fault.kind {
        spec::FaultKind::Slow => {
            let by = fault.delay.as_ref().map_or(model::Delay::Fixed(Span::ZERO), delay);
            model::Trouble::Slow { share_ppm, by }
        }
        spec::FaultKind::Throttle => {
            let retry_after = fault.retry_after.unwrap_or(Span::from_secs(1));
            model::Trouble::Throttle { share_ppm, retry_after }
        }
        spec::FaultKind::Expire => model::Trouble::Expire,
        spec::FaultKind::Restart => model::Trouble::Restart,
        spec::FaultKind::Partition | spec::FaultKind::Kill | spec::FaultKind::Pause => model::Trouble::Partition,
    };
    let place = match fault.process {
        spec::FaultProcess::Hub => model::Place::Hub,
        spec::FaultProcess::Leaves | spec::FaultProcess::Manager => model::Place::Leaves(selector(&fault.selector)),
    };
    Action::Trouble { place, trouble, duration: fault.duration }
}

fn action(change: &Change, spec: &spec::Spec, names: &[&str]) -> Action {
    let id = |name: &str| self::id(name, names);
    match change {
        Change::Install { addons, waves, wave_gap } => Action::Install {
            addons: addons.iter().map(|name| id(name)).collect(),
            waves: *waves,
            wave_gap: if *waves == 1 { Span::ZERO } else { *wave_gap },
        },
        Change::Upgrade { addon, version, selector } => {
            let addon = id(addon);
            let versions = spec.addons.get(addon.index()).map_or(&[][..], |addon| addon.versions.as_slice());
            let version = versions.iter().position(|known| known == version).unwrap_or_default();
            Action::Upgrade { addon, version, selector: self::selector(selector) }
        }
        Change::Commit { addon } => Action::Commit { addon: id(addon) },
        Change::Scale { addon, values, replicas, selector } => Action::Scale {
            addon: id(addon),
            values: values.clone(),
            replicas: *replicas,
            selector: self::selector(selector),
        },
        Change::Rollout { addon, selector } => Action::Rollout { addon: id(addon), selector: self::selector(selector) },
        Change::Clusters { delta } => Action::Clusters { delta: *delta },
        Change::Drift { addon, apps, kind } => Action::Drift {
            addon: addon.as_deref().map(id),
            apps: *apps,
            kind: match kind {
                spec::DriftKind::Delete => model::DriftKind::Delete,
                spec::DriftKind::Edit => model::DriftKind::Edit,
            },
        },
        Change::Decommission { addon, selector } => {
            Action::Decommission { addon: id(addon), selector: self::selector(selector) }
        }
        Change::Managers { delta } => Action::Shift(Shift::Managers { delta: *delta }),
        Change::Move { clusters, to } => Action::Shift(Shift::Move { clusters: clusters.clone(), to: *to }),
        Change::Drain { cell } => Action::Shift(Shift::Drain { cell: *cell }),
        Change::Churn { rate, arrival, duration } => Action::Churn {
            rate_milli: rate.milli,
            arrival: match arrival {
                spec::Arrival::Poisson => model::Arrival::Poisson,
                spec::Arrival::Fixed => model::Arrival::Fixed,
            },
            duration: *duration,
        },
    }
}

/// The index of an add-on. The rules refuse a name that is not in the catalogue.
fn id(name: &str, names: &[&str]) -> AddonId {
    AddonId::from_index(names.iter().position(|known| *known == name).unwrap_or_default())
}
