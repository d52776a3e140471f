//! What placing costs: 100,000 clusters on 100 shards, each scheme, the clusters being there already.

use criterion::{Criterion, criterion_group, criterion_main};
use flamboyance::fleet::World;
use flamboyance::scenario::{self, Scheme, Weight};
use flamboyance::topology::{self, Event, Rules};
use std::hint::black_box;

fn places(c: &mut Criterion) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/ten-thousand.yaml");
    let scenario = scenario::load(path, &["fleet.clusters=100000".to_owned()]).unwrap_or_else(|e| panic!("{e:?}"));
    let world = World::generate(&scenario);
    let members = topology::members(&world, &scenario.topology);
    let mut group = c.benchmark_group("place 100,000 clusters on 100 shards");
    group.sample_size(10);
    for scheme in Scheme::ALL {
        let rules = Rules::plain(scheme, 100);
        group.bench_function(scheme.name(), |b| b.iter(|| topology::distribute(black_box(&members), rules)));
    }
    for scheme in [Scheme::WeightedRing, Scheme::Rendezvous] {
        let rules = Rules { bound_milli: Some(1_250), weight: Weight::Clusters, ..Rules::plain(scheme, 100) };
        let name = format!("{} bounded", scheme.name());
        group.bench_function(name, |b| b.iter(|| topology::distribute(black_box(&members), rules)));
    }
    let rules = Rules::plain(Scheme::Rendezvous, 100);
    let events = [Event::More(1), Event::Fewer(1), Event::Times(2)];
    group.bench_function("rendezvous with its moves", |b| {
        b.iter(|| topology::place(black_box(&members), rules, &events))
    });
    group.bench_function("ids and loads", |b| b.iter(|| topology::members(black_box(&world), &scenario.topology)));
    group.finish();
}

criterion_group!(benches, places);
criterion_main!(benches);
