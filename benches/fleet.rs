//! What a world costs: 1,000,000 clusters with the four add-ons of the talk's premise, all installed, and the assignment
//! to 20 shards.

use criterion::{Criterion, criterion_group, criterion_main};
use flamboyance::fleet::World;
use flamboyance::scenario::{self, Scenario, Scheme, Topology, TopologyKind};
use flamboyance::topology;
use std::hint::black_box;

fn million() -> Scenario {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/ten-thousand.yaml");
    scenario::load(path, &["fleet.clusters=1000000".to_owned()]).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn worlds(c: &mut Criterion) {
    let scenario = million();
    let mut group = c.benchmark_group("fleet");
    group.sample_size(10);
    group.bench_function("a million clusters", |b| b.iter(|| World::generate(black_box(&scenario))));
    let world = World::generate(&scenario);
    for scheme in [Scheme::Legacy, Scheme::RoundRobin, Scheme::ConsistentHashing, Scheme::Rendezvous] {
        let topology = Topology::new(TopologyKind::Sharded, 20, scheme);
        group.bench_function(format!("assign {scheme:?}"), |b| {
            b.iter(|| topology::assign(&world, black_box(&topology)))
        });
    }
    let app = world.changes()[0].app;
    group.bench_function("one Application", |b| {
        b.iter(|| {
            world
                .application(black_box(app), flamboyance::fleet::Target::default(), "https://127.1.0.1:6443")
                .to_string()
        })
    });
    group.finish();
}

criterion_group!(benches, worlds);
criterion_main!(benches);
