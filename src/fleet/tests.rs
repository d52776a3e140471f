use super::fixture::{ALL, addon, install, scenario, selector, step};
use super::{Change, ChangeKind, Target, World};
use crate::ids::{AddonId, AppId, ClusterId};
use crate::scenario::{Action, Addon, Arrival, Delivery, DriftKind, Mode, Step, VersionRange};
use crate::units::Span;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn four() -> Vec<Addon> {
    vec![
        addon("dns", Delivery::Git),
        addon("policy", Delivery::Oci),
        addon("chart", Delivery::Helm),
        addon("dns-cache", Delivery::Git),
    ]
}

fn world(clusters: u32, addons: Vec<Addon>, timeline: Vec<Step>) -> World {
    World::generate(&scenario(clusters, addons, timeline))
}

/// The apps of the changes of one kind.
fn apps(world: &World, kind: fn(&ChangeKind) -> bool) -> Vec<AppId> {
    world.changes().iter().filter(|change| kind(&change.kind)).map(|change| change.app).collect()
}

fn is_install(kind: &ChangeKind) -> bool {
    *kind == ChangeKind::Install
}

#[test]
fn names_lead_back_to_what_they_name() {
    let world = world(120_000, four(), Vec::new());
    for id in [0, 42, 99_999, 100_000, 119_999].map(ClusterId) {
        assert_eq!(world.clusters().find(&world.clusters().name(id)), Some(id));
        for app in world.apps_of(id) {
            assert_eq!(world.find_app(&world.app_name(app)), Some(app));
        }
    }
    assert_eq!(world.clusters().name(ClusterId(42)), "cluster-00042");
    for unknown in ["cluster-42", "cluster-000042", "cluster-120000", "cluster-", "cluster-0004x", "cluster-+0042", ""]
    {
        assert_eq!(world.clusters().find(unknown), None, "{unknown}");
    }
    assert_eq!(world.find_app("cache-cluster-00042"), None);
}

#[test]
fn an_added_add_on_or_cluster_reshuffles_nothing() {
    let timeline = || {
        vec![
            step(0, install(&[0, 1, 2], 3)),
            step(60, Action::Drift { addon: Some(AddonId(1)), apps: 20, kind: DriftKind::Delete }),
            step(90, Action::Upgrade { addon: AddonId(0), version: 1, selector: selector(&[], 300_000) }),
        ]
    };
    let thirds = |mut addons: Vec<Addon>| {
        addons.iter_mut().for_each(|a| a.selector = selector(&[], 333_333));
        addons
    };
    let small = world(500, thirds(four()[..3].to_vec()), timeline());
    let large = world(500, thirds(four()), timeline());
    for id in small.clusters().ids() {
        assert_eq!(small.clusters().labels(id), large.clusters().labels(id));
        assert_eq!(small.clusters().nodes(id), large.clusters().nodes(id));
        assert_eq!(small.clusters().uid(id), large.clusters().uid(id));
    }
    let told = |world: &World| -> Vec<_> {
        world.changes().iter().map(|c| (c.at, world.app_name(c.app), c.kind, c.target)).collect()
    };
    assert_eq!(told(&small), told(&large));
    let grown = world(600, thirds(four()[..3].to_vec()), Vec::new());
    for id in small.clusters().ids() {
        assert_eq!(small.clusters().labels(id), grown.clusters().labels(id));
        for (a, b) in small.apps_of(id).zip(grown.apps_of(id)) {
            assert_eq!(small.selected(a), grown.selected(b));
        }
    }
}

#[test]
fn selectors_ask_for_labels_versions_and_a_share() {
    let check =
        |labels: &[(&str, &[&str])], share, versions: (u32, u32), expected: fn(&World, ClusterId) -> bool, ppm: u32| {
            let mut one = addon("one", Delivery::Git);
            one.selector = selector(labels, share);
            one.kubernetes = VersionRange { min: versions.0, max: versions.1 };
            let world = world(4_000, vec![one], Vec::new());
            let selected = world.clusters().ids().filter(|&id| world.selected(world.app(id, AddonId(0))));
            let selected: Vec<_> = selected.collect();
            assert!(selected.iter().all(|&id| expected(&world, id)), "{labels:?}");
            let candidates = world.clusters().ids().filter(|&id| expected(&world, id)).count() as u64;
            let want = candidates * u64::from(ppm) / 1_000_000;
            assert!(
                want.abs_diff(selected.len() as u64) <= candidates / 20,
                "{labels:?}: {} of {candidates}",
                selected.len()
            );
        };
    check(&[], ALL, (0, 99), |_, _| true, ALL);
    check(&[], 250_000, (0, 99), |_, _| true, 250_000);
    check(&[("region", &["eu", "us"])], ALL, (0, 99), |w, id| w.clusters().region(id) != "ap", ALL);
    check(&[("region", &["nowhere"])], ALL, (0, 99), |_, _| false, 0);
    check(&[("team", &["platform"])], ALL, (0, 99), |_, _| true, ALL);
    check(&[("team", &["other"])], ALL, (0, 99), |_, _| false, 0);
    check(&[("absent", &["x"])], ALL, (0, 99), |_, _| false, 0);
    check(&[("kubernetes", &["1.36"])], ALL, (0, 99), |w, id| w.clusters().minor(id) == 36, ALL);
    check(
        &[("environment", &["prod"])],
        500_000,
        (35, 35),
        |w, id| w.clusters().environment(id) == "prod" && w.clusters().kubernetes(id) == "1.35",
        500_000,
    );
}

#[test]
fn an_install_comes_in_waves_of_equal_size_in_id_order() {
    let world = world(100, four(), vec![step(5, install(&[0, 2], 4))]);
    let mut per_wave: BTreeMap<Span, Vec<u32>> = BTreeMap::new();
    for change in world.changes() {
        assert!(is_install(&change.kind));
        per_wave.entry(change.at).or_default().push(world.cluster_of(change.app).0);
    }
    let sizes: Vec<_> = per_wave.iter().map(|(at, ids)| (at.0 / 1_000_000_000, ids.len(), ids[0])).collect();
    assert_eq!(sizes, [(5, 50, 0), (15, 50, 25), (25, 50, 50), (35, 50, 75)]);
    assert_eq!(world.apps(), 200);
}

#[test]
fn a_step_without_effect_makes_no_change() {
    let upgrade = |version| Action::Upgrade { addon: AddonId(0), version, selector: selector(&[], ALL) };
    let gone = || Action::Decommission { addon: AddonId(0), selector: selector(&[], ALL) };
    let world = world(
        10,
        four(),
        vec![
            step(0, gone()),
            step(1, upgrade(0)),
            step(2, install(&[0], 1)),
            step(3, install(&[0], 1)),
            step(4, gone()),
            step(5, gone()),
        ],
    );
    let per_second: Vec<_> = world.changes().iter().map(|c| c.at.0 / 1_000_000_000).collect();
    assert_eq!(per_second, [vec![2; 10], vec![4; 10]].concat());
}

#[test]
fn what_is_installed_later_arrives_in_the_state_of_its_siblings() {
    let mut addons = four();
    addons[0].selector = selector(&[("environment", &["prod"])], ALL);
    let values = BTreeMap::from([("size".to_owned(), "large".to_owned())]);
    let world = world(
        50,
        addons,
        vec![
            step(0, install(&[0], 1)),
            step(1, Action::Upgrade { addon: AddonId(0), version: 1, selector: selector(&[], ALL) }),
            step(2, Action::Scale { addon: AddonId(0), values, replicas: Some(3), selector: selector(&[], ALL) }),
            step(3, Action::Rollout { addon: AddonId(0), selector: selector(&[("environment", &["dev"])], ALL) }),
        ],
    );
    let late: Vec<&Change> = world.changes().iter().filter(|c| c.at == Span::from_secs(3)).collect();
    assert!(!late.is_empty());
    for change in late {
        assert_eq!((change.kind, change.target.version), (ChangeKind::Install, 1));
        assert_eq!(
            world.values(change.app, change.target),
            BTreeMap::from([("replicas".to_owned(), "3".to_owned()), ("size".to_owned(), "large".to_owned()),])
        );
    }
    assert_eq!(world.apps(), 50);
}

#[test]
fn clusters_join_from_the_reserve_with_their_apps_and_leave_without() {
    let world = world(
        20,
        four(),
        vec![
            step(0, install(&[0, 1], 1)),
            step(1, Action::Clusters { delta: 5 }),
            step(2, Action::Clusters { delta: -10 }),
            step(3, Action::Clusters { delta: 2 }),
        ],
    );
    assert_eq!((world.clusters().initial(), world.clusters().len()), (20, 27));
    let at = |secs: u64, joins| {
        let members = world.memberships().iter().filter(move |m| m.at == Span::from_secs(secs) && m.joins == joins);
        members.map(|m| m.cluster.0).collect::<Vec<_>>()
    };
    assert_eq!((at(1, true), at(3, true)), ((20..25).collect(), vec![25, 26]));
    let left = at(2, false);
    assert_eq!(left.len(), 10);
    let gone = apps(&world, |kind| *kind == ChangeKind::Decommission);
    assert_eq!(gone.len(), 20);
    assert!(gone.iter().all(|&app| left.contains(&world.cluster_of(app).0)));
    assert_eq!(apps(&world, is_install).len(), 54);
}

#[test]
fn drift_meets_distinct_existing_apps_by_weight() {
    let mut addons = four();
    addons[0].weight = 3;
    let drift = |addon, apps| Action::Drift { addon, apps, kind: DriftKind::Edit };
    let timeline =
        vec![step(0, install(&[0, 1], 1)), step(1, drift(None, 100)), step(2, drift(Some(AddonId(1)), 5_000))];
    let world = world(1_000, addons, timeline);
    let drifts = |secs: u64| {
        let drifts = world.changes().iter().filter(move |c| c.at == Span::from_secs(secs));
        drifts.map(|c| (c.app, world.addon_of(c.app).0, c.kind)).collect::<Vec<_>>()
    };
    let (weighted, all) = (drifts(1), drifts(2));
    assert_eq!(weighted.iter().map(|d| d.0).collect::<BTreeSet<_>>().len(), 100);
    let heavy = weighted.iter().filter(|d| d.1 == 0).count();
    assert!((60..90).contains(&heavy), "three of four expected: {heavy}");
    assert!(weighted.iter().all(|d| d.1 < 2), "add-ons that are not installed do not drift");
    assert_eq!(all.len(), 1_000, "more than there are is all");
    let objects = all.iter().map(|d| match d.2 {
        ChangeKind::Drift { object, kind: DriftKind::Edit } => object,
        ref other => panic!("{other:?}"),
    });
    assert_eq!(objects.collect::<BTreeSet<_>>(), (0..4).collect());
}

#[test]
fn a_commit_meets_every_existing_app_and_counts_up() {
    let commit = || Action::Commit { addon: AddonId(1) };
    let world = world(10, four(), vec![step(0, commit()), step(1, install(&[1], 1)), step(2, commit())]);
    let commits: Vec<_> = world.changes()[10..].iter().map(|c| c.kind).collect();
    assert_eq!(commits, [ChangeKind::Commit { number: 2 }; 10]);
}

#[test]
fn churn_is_an_open_loop_that_moves_existing_apps() {
    let check = |arrival, counts: std::ops::RangeInclusive<usize>| {
        let mut addons = four();
        addons[1].versions.truncate(1);
        let churn = Action::Churn { rate_milli: 20_000, arrival, duration: Span::from_secs(100) };
        let world = world(50, addons, vec![step(0, install(&[0, 1], 1)), step(10, churn)]);
        let churned = &world.changes()[100..];
        assert!(counts.contains(&churned.len()), "{arrival:?}: {}", churned.len());
        assert!(churned.iter().all(|c| c.at >= Span::from_secs(10) && c.at < Span::from_secs(110)));
        let mut targets: BTreeMap<AppId, Target> = BTreeMap::new();
        for change in churned {
            let expected = if world.addon_of(change.app).0 == 0 { ChangeKind::Upgrade } else { ChangeKind::Scale };
            assert_eq!(change.kind, expected);
            assert_ne!(targets.insert(change.app, change.target).unwrap_or_default(), change.target);
        }
        assert_eq!(targets.len(), 100, "in the long run every app is met");
    };
    check(Arrival::Fixed, 2_000..=2_000);
    check(Arrival::Poisson, 1_850..=2_150);
}

#[test]
fn faults_are_no_changes_of_apps() {
    let victim = crate::scenario::Victim::Manager(0);
    let fault = Action::Fault { victim, fault: crate::scenario::Fault::Kill, duration: Span::from_secs(5) };
    assert!(world(10, four(), vec![step(0, fault)]).changes().is_empty());
}

#[test]
fn an_application_says_what_the_scenario_says() {
    let mut addons = four();
    let interval = Some(Span::from_secs(2));
    addons[0].interval = interval;
    addons[0].depends_on = vec![AddonId(1), AddonId(2), AddonId(3)];
    addons[0].values = BTreeMap::from([("zone".to_owned(), "{region}-{cluster}{x}".to_owned())]);
    addons[2].interval = interval;
    addons[2].drift_detection = true;
    addons[2].values = BTreeMap::from([
        ("replicaCount".to_owned(), "2".to_owned()),
        ("ui.message".to_owned(), "{environment}".to_owned()),
    ]);
    addons[1].mode = Mode::Reference;
    addons[1].wait = false;
    addons[3].flux_subsystem = false;
    addons[3].cascade_delete = false;
    let world = world(3, addons, Vec::new());
    let target = Target { version: 1, ..Target::default() };
    let applications: Vec<_> = world
        .apps_of(ClusterId(2))
        .map(|app| world.application(app, target, "https://127.0.0.1:6443/clusters/x"))
        .collect();
    insta::assert_yaml_snapshot!("applications", applications);
    insta::assert_yaml_snapshot!("patch", world.application_patch(AppId(0), target));
    let flux: Vec<_> = world.apps_of(ClusterId(2)).take(3).flat_map(|app| world.flux_objects(app, target)).collect();
    insta::assert_yaml_snapshot!("flux_objects", flux);
}

#[test]
fn a_cluster_secret_is_what_argo_cd_reads() {
    let world = world(3, Vec::new(), Vec::new());
    let endpoint = super::Endpoint { server: "https://127.1.0.3:6443", credentials: &super::bearer("secret", "PEM") };
    let secret = world.cluster_secret(ClusterId(1), endpoint);
    let text = |key: &str| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!((text("name").as_str(), text("server").as_str()), ("cluster-00001", endpoint.server));
    assert_eq!(text("config"), r#"{"bearerToken":"secret","tlsClientConfig":{"caData":"UEVN","insecure":false}}"#);
    let labels = secret["metadata"]["labels"].as_object().unwrap();
    assert_eq!(labels["argocd.argoproj.io/secret-type"], "cluster");
    assert_eq!(labels["region"], world.clusters().region(ClusterId(1)));
    assert_eq!(labels["team"], "platform");
}

fn actions() -> impl Strategy<Value = Action> {
    let addon = (0_u32..4).prop_map(AddonId);
    let share = (0_u32..=ALL).prop_map(|share| selector(&[], share));
    prop_oneof![
        (0_u32..4, 1_u32..5).prop_map(|(a, waves)| install(&[a], waves)),
        (addon.clone(), 0_usize..2, share.clone()).prop_map(|(addon, version, selector)| Action::Upgrade {
            addon,
            version,
            selector
        }),
        (addon.clone(), share.clone()).prop_map(|(addon, selector)| Action::Rollout { addon, selector }),
        (addon.clone(), share).prop_map(|(addon, selector)| Action::Decommission { addon, selector }),
        (-30_i64..30).prop_map(|delta| Action::Clusters { delta }),
        (0_u32..60).prop_map(|apps| Action::Drift { addon: None, apps, kind: DriftKind::Delete }),
        addon.prop_map(|addon| Action::Commit { addon }),
        (1_u64..5_000).prop_map(|rate_milli| Action::Churn {
            rate_milli,
            arrival: Arrival::Poisson,
            duration: Span::from_secs(20)
        }),
    ]
}

proptest! {
    #[test]
    fn changes_are_ordered_and_meet_apps_that_exist(steps in prop::collection::vec((0_u64..60, actions()), 0..12)) {
        let mut timeline: Vec<_> = steps.into_iter().map(|(at, action)| step(at, action)).collect();
        timeline.sort_by_key(|step| step.at);
        let scenario = scenario(40, four(), timeline);
        let world = World::generate(&scenario);
        prop_assert!(world.changes().is_sorted_by_key(|c| c.at));
        prop_assert!(world.memberships().is_sorted_by_key(|m| m.at));
        let mut alive: BTreeMap<AppId, Target> = BTreeMap::new();
        for change in world.changes() {
            match change.kind {
                ChangeKind::Install => prop_assert_eq!(alive.insert(change.app, change.target), None),
                ChangeKind::Decommission => prop_assert!(alive.remove(&change.app).is_some()),
                ChangeKind::Upgrade | ChangeKind::Scale => prop_assert!(alive.insert(change.app, change.target).is_some_and(|old| old != change.target)),
                ChangeKind::Commit { .. } | ChangeKind::Drift { .. } => prop_assert_eq!(alive.get(&change.app), Some(&change.target)),
            }
            prop_assert!(world.installed(change.app));
        }
        let mut members: BTreeSet<_> = (0..40).collect();
        for m in world.memberships() {
            let changed = if m.joins { members.insert(m.cluster.0) } else { members.remove(&m.cluster.0) };
            prop_assert!(changed);
        }
        prop_assert!(alive.keys().all(|&app| members.contains(&world.cluster_of(app).0)));
        let again = World::generate(&scenario);
        prop_assert_eq!(world.changes(), again.changes());
    }
}
