//! Scenarios for tests.

use crate::ids::AddonId;
use crate::scenario::{
    Action, Addon, Backend, Behaviour, Delay, Delivery, Expect, Fleet, Flux, FluxApi, Manager, Measure, Mode, Nodes,
    Objects, Run, Scenario, Scheme, Selector, Step, Topology, TopologyKind, VersionRange, Weighted,
};
use crate::units::Span;
use std::collections::BTreeMap;

pub(crate) const ALL: u32 = 1_000_000;

pub(crate) fn weighted(choices: &[(&str, u32)]) -> Vec<Weighted> {
    choices.iter().map(|&(name, weight)| Weighted { name: name.to_owned(), weight }).collect()
}

pub(crate) fn selector(labels: &[(&str, &[&str])], share_ppm: u32) -> Selector {
    let labels =
        labels.iter().map(|(key, values)| ((*key).to_owned(), values.iter().map(|v| (*v).to_owned()).collect()));
    Selector { labels: labels.collect(), share_ppm }
}

pub(crate) fn step(at_secs: u64, action: Action) -> Step {
    Step { at: Span::from_secs(at_secs), action }
}

pub(crate) fn install(addons: &[u32], waves: u32) -> Action {
    let addons = addons.iter().copied().map(AddonId).collect();
    Action::Install { addons, waves, wave_gap: Span::from_secs(10) }
}

pub(crate) fn addon(name: &str, delivery: Delivery) -> Addon {
    let (repo_url, path, chart) = match delivery {
        Delivery::Git => ("https://example.org/addons.git", "./deploy", ""),
        Delivery::Oci => ("oci://example.org/addons", "./", ""),
        Delivery::Helm => ("https://example.org/charts", "", "podinfo"),
    };
    Addon {
        name: name.to_owned(),
        weight: 1,
        delivery,
        repo_url: repo_url.to_owned(),
        path: path.to_owned(),
        chart: chart.to_owned(),
        versions: vec!["v1".to_owned(), "v2".to_owned()],
        namespace: "addons".to_owned(),
        mode: Mode::AutoCreate,
        flux_subsystem: true,
        objects: Objects {
            deployments: 1,
            replicas: 1,
            config_maps: 1,
            config_map_bytes: 256,
            service_accounts: 1,
            services: 1,
        },
        selector: selector(&[], ALL),
        depends_on: Vec::new(),
        kubernetes: VersionRange { min: 0, max: u32::MAX },
        values: BTreeMap::new(),
        interval: None,
        wait: true,
        drift_detection: false,
        automated: true,
        self_heal: true,
        cascade_delete: true,
    }
}

pub(crate) fn scenario(clusters: u32, addons: Vec<Addon>, timeline: Vec<Step>) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        hash: String::new(),
        set: Vec::new(),
        effective: String::new(),
        fleet: Fleet {
            clusters,
            name_prefix: "cluster".to_owned(),
            regions: weighted(&[("eu", 2), ("us", 1), ("ap", 1)]),
            environments: weighted(&[("prod", 3), ("dev", 1)]),
            kubernetes: weighted(&[("1.34", 1), ("1.35", 1), ("1.36", 2)]),
            nodes: Nodes::Zipf { exponent_milli: 1000, max: 100 },
            labels: BTreeMap::from([("team".to_owned(), "platform".to_owned())]),
        },
        addons,
        topology: Topology::new(TopologyKind::Single, 1, Scheme::Legacy),
        manager: manager(),
        backend: Backend::MOCK,
        timeline,
        run: run(),
        model: crate::scenario::Model::default(),
        measure: Measure { window: Span::from_secs(1) },
        gate: BTreeMap::new(),
        expect: Expect::default(),
        matrix: Vec::new(),
    }
}

fn manager() -> Manager {
    Manager {
        kind: crate::scenario::ManagerKind::Loopback,
        command: None,
        behaviour: Behaviour::Fixed,
        concurrency: 20,
        hub_qps_milli: 0,
        hub_burst: 0,
        leaf_qps_milli: 0,
        leaf_burst: 0,
        resync: Span::from_secs(180),
        resync_jitter: Span::ZERO,
        backoff_base: Span::from_millis(5),
        backoff_max: Span::from_secs(1000),
        client_cache: true,
        flux_api: FluxApi { source: "v1".to_owned(), kustomize: "v1".to_owned(), helm: "v2".to_owned() },
        connections: 4,
    }
}

fn run() -> Run {
    Run {
        seed: 1,
        timeout: Span::from_secs(600),
        duration: Span::ZERO,
        driver_concurrency: 32,
        tls: true,
        flux: Flux {
            concurrency: 4,
            jitter_ppm: 50_000,
            dependency_poll: Span::from_secs(30),
            health_poll: Span::from_secs(5),
            backoff_base: Span::from_millis(750),
            backoff_max: Span::from_secs(900),
            fetch: Delay::Fixed(Span::ZERO),
            build: Delay::Fixed(Span::ZERO),
        },
        workload_ready: Delay::Fixed(Span::ZERO),
        history_bytes: 512 << 20,
    }
}
