use super::*;
use crate::apiserver::schema::flux_crds;
use crate::model::flux::{Catalogue, default_settings, laboratory_addon};
use crate::seed::Seed;
use serde_json::json;

const LEAVES: usize = 5;

/// Installs a Kustomize add-on with `wait`, commits once, and deletes it on the first leaf.
fn live(latency: Span, ready: Span) -> Engine {
    let world = World {
        catalogue: Catalogue::new(&[laboratory_addon(3, 1)]),
        settings: default_settings(),
        seed: Seed::new(3),
    };
    let catalog = Catalog::builtin().with_crds(flux_crds()).expect("the definitions are valid");
    let mut engine = Engine::new(world, &catalog, LEAVES, latency, Delay::Fixed(ready));
    let git = json!({"interval": "1m", "url": "https://example.org/fleet.git", "ref": {"branch": "main"}});
    let source = json!({"kind": "GitRepository", "name": "web"});
    let spec = json!({"interval": "1m", "path": "deploy", "prune": true, "wait": true, "sourceRef": source});
    for leaf in 0..LEAVES {
        engine.write(leaf, Kind::GIT_REPOSITORY, "web", "web", &git);
        engine.write(leaf, Kind::KUSTOMIZATION, "web", "web", &spec);
    }
    engine.run(Time(30_000_000_000));
    engine.commit(AddonId(0));
    engine.run(Time(150_000_000_000));
    engine.delete(0, Kind::KUSTOMIZATION, "web", "web");
    engine.run(Time(170_000_000_000));
    engine
}

#[test]
fn leaves_converge_and_what_is_deleted_is_pruned() {
    let engine = live(Span::from_millis(5), Span::ZERO);
    for leaf in 1..LEAVES {
        assert!(engine.is_ready(leaf, Kind::KUSTOMIZATION, "web", "web"));
        let web = engine.object(leaf, Kind::DEPLOYMENT, "web", "web").expect("the Deployment was applied");
        assert_eq!((web.header.generation, web.available), (1, 1), "a commit changes the ConfigMap alone");
        let map = engine.object(leaf, Kind::CONFIG_MAP, "web", "web-0").expect("the ConfigMap was applied");
        assert!(map.header.resource_version > 0);
    }
    for (kind, name) in [(Kind::KUSTOMIZATION, "web"), (Kind::DEPLOYMENT, "web"), (Kind::CONFIG_MAP, "web-2")] {
        assert!(engine.object(0, kind, "web", name).is_none(), "{kind:?}");
    }
}

#[test]
fn the_same_run_has_the_same_digest() {
    let (a, b) = (live(Span::from_millis(5), Span::ZERO), live(Span::from_millis(5), Span::ZERO));
    assert_eq!((a.digest(), a.state(), a.calls()), (b.digest(), b.state(), b.calls()));
}

#[test]
fn latency_and_slow_pods_change_the_way_but_not_the_end() {
    let (quick, slow) = (live(Span::from_millis(1), Span::ZERO), live(Span::from_millis(20), Span::from_secs(2)));
    assert_ne!(quick.digest(), slow.digest());
    assert_eq!(quick.state(), slow.state());
}
