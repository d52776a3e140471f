use super::{Member, argocd, assign, shards};
use crate::fleet::{World, fixture};
use crate::ids::ShardId;
use crate::scenario::{Delivery, Scheme, Topology, TopologyKind};
use proptest::prelude::*;
use serde_json::Value;

const ALL: [Scheme; 4] = [Scheme::Legacy, Scheme::RoundRobin, Scheme::ConsistentHashing, Scheme::Rendezvous];

fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

fn rows(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn scheme(value: &Value) -> Scheme {
    match value.as_str().unwrap() {
        "legacy" => Scheme::Legacy,
        "round-robin" => Scheme::RoundRobin,
        "consistent-hashing" => Scheme::ConsistentHashing,
        other => panic!("{other}"),
    }
}

/// The first `count` golden clusters with the given apps, none where the list ends.
fn clusters(golden: &Value, count: usize, apps: &[Value]) -> Vec<Member> {
    let ids = rows(&golden["clusters"]).iter().take(count).map(|id| id.as_str().unwrap().to_owned());
    let apps = apps.iter().map(|apps| apps.as_u64().unwrap()).chain(std::iter::repeat(0));
    ids.zip(apps).map(|(id, apps)| Member { id, apps }).collect()
}

fn numbers(owners: &[ShardId]) -> Vec<u32> {
    owners.iter().map(|owner| owner.0).collect()
}

#[test]
fn legacy_is_argo_cds() {
    for row in rows(&golden()["legacy"]) {
        let id = row["id"].as_str().unwrap();
        assert_eq!(u64::from(argocd::fnv1a(id)), hex(&row["fnv1a"]), "{id}");
        for (modulus, shard) in row["mod"].as_object().unwrap() {
            assert_eq!(argocd::legacy(id, modulus.parse().unwrap()), number(shard), "{id} mod {modulus}");
        }
    }
    assert_eq!(argocd::legacy("", 7), 0);
}

#[test]
fn the_ring_is_argo_cds_with_its_lost_points() {
    let golden = golden();
    for (text, hash) in golden["hashes"].as_object().unwrap() {
        assert_eq!(argocd::hash(text), hex(hash), "{text}");
    }
    for row in rows(&golden["ring"]) {
        let ring = argocd::ring(number(&row["shards"]));
        let points_of_1 = ring.iter().filter(|point| point.1 == 1).count();
        assert_eq!(
            (ring.len() as u64, points_of_1 as u64),
            (row["points"].as_u64().unwrap(), row["shard_1"].as_u64().unwrap())
        );
    }
}

#[test]
fn assignments_are_argo_cds() {
    let golden = golden();
    for row in rows(&golden["assignments"]) {
        let mut members = clusters(&golden, 10, rows(&row["apps"]));
        let mut expected: Vec<u32> = rows(&row["expect"]).iter().map(number).collect();
        if let Some(own) = row.get("in_cluster") {
            members.push(Member { id: String::new(), apps: 0 });
            expected.push(number(own));
        }
        assert_eq!(numbers(&shards(scheme(&row["scheme"]), &members, number(&row["shards"]))), expected, "{row}");
    }
    for row in rows(&golden["in_cluster"]) {
        let own = [Member { id: String::new(), apps: 0 }];
        assert_eq!(numbers(&shards(Scheme::ConsistentHashing, &own, number(&row["shards"]))), [number(&row["expect"])]);
    }
}

/// The largest and smallest shard, how many move with one more shard, and how many when the first cluster goes.
fn balance_and_moves(scheme: Scheme, members: &[Member], count: u32) -> [usize; 4] {
    let owners = shards(scheme, members, count);
    let sizes: Vec<_> = (0..count).map(|shard| owners.iter().filter(|owner| owner.0 == shard).count()).collect();
    let moved = |others: &[ShardId], owners: &[ShardId]| others.iter().zip(owners).filter(|(a, b)| a != b).count();
    let first = members.iter().enumerate().min_by(|a, b| a.1.id.cmp(&b.1.id)).map_or(0, |(at, _)| at);
    let without = |list: &[ShardId]| [&list[..first], &list[first + 1..]].concat();
    let fewer = [&members[..first], &members[first + 1..]].concat();
    [
        *sizes.iter().min().unwrap(),
        *sizes.iter().max().unwrap(),
        moved(&shards(scheme, members, count + 1), &owners),
        moved(&shards(scheme, &fewer, count), &without(&owners)),
    ]
}

#[test]
fn balance_and_moves_of_a_hundred_clusters_are_argo_cds() {
    let golden = golden();
    let members = clusters(&golden, 100, &vec![Value::from(1); 100]);
    for row in rows(&golden["hundred"]) {
        for name in ["legacy", "round-robin", "consistent-hashing"] {
            let expected = ["min", "max", "moves_up", "moves_down"].map(|key| number(&row[name][key]) as usize);
            let found = balance_and_moves(scheme(&Value::from(name)), &members, number(&row["shards"]));
            assert_eq!(found, expected, "{name} {row}");
        }
    }
}

#[test]
fn rendezvous_stays_what_it_is() {
    let members = clusters(&golden(), 10, &[]);
    assert_eq!(numbers(&shards(Scheme::Rendezvous, &members, 3)), [1, 2, 0, 1, 2, 2, 2, 2, 0, 2]);
    assert_eq!(numbers(&shards(Scheme::Rendezvous, &members, 16)), [7, 3, 15, 15, 12, 9, 4, 2, 14, 2]);
}

#[test]
fn rendezvous_is_balanced() {
    let members: Vec<_> = (0..10_000).map(|n| Member { id: format!("id-{n}"), apps: 0 }).collect();
    let owners = shards(Scheme::Rendezvous, &members, 10);
    for shard in 0..10 {
        let size = owners.iter().filter(|owner| owner.0 == shard).count();
        assert!((900..1_100).contains(&size), "shard {shard}: {size}");
    }
}

#[test]
fn a_world_is_assigned_by_the_uids_of_its_clusters() {
    let world = World::generate(&fixture::scenario(200, vec![fixture::addon("a", Delivery::Git)], Vec::new()));
    let topology = |kind, scheme| Topology { kind, shards: 5, scheme };
    for (cluster, owner) in world.clusters().ids().zip(assign(&world, &topology(TopologyKind::Sharded, Scheme::Legacy)))
    {
        assert_eq!(owner.0, argocd::legacy(&world.clusters().uid(cluster).to_string(), 5));
    }
    assert!(assign(&world, &topology(TopologyKind::Single, Scheme::Legacy)).iter().all(|owner| owner.0 == 0));
}

fn fleets() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_map("[a-f0-9-]{0,12}", 0_u64..5, 1..80)
        .prop_map(|fleet| fleet.into_iter().map(|(id, apps)| Member { id, apps }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_cluster_has_one_shard_whatever_the_order(mut members in fleets(), count in 1_u32..14) {
        for scheme in ALL {
            let owners = shards(scheme, &members, count);
            prop_assert_eq!(owners.len(), members.len());
            prop_assert!(owners.iter().all(|owner| owner.0 < count));
            members.reverse();
            let mut reversed = shards(scheme, &members, count);
            members.reverse();
            reversed.reverse();
            prop_assert_eq!(owners, reversed);
        }
    }

    #[test]
    fn with_rendezvous_only_the_new_shard_gains(members in fleets(), count in 2_u32..24) {
        let (before, after) = (shards(Scheme::Rendezvous, &members, count), shards(Scheme::Rendezvous, &members, count + 1));
        for (old, new) in before.iter().zip(&after) {
            prop_assert!(old == new || new.0 == count);
        }
    }

    #[test]
    fn what_others_own_does_not_depend_on_a_cluster_that_goes(members in fleets(), count in 2_u32..24) {
        for scheme in [Scheme::Legacy, Scheme::Rendezvous] {
            prop_assert_eq!(&shards(scheme, &members, count)[1..], &shards(scheme, &members[1..], count)[..]);
        }
    }

    #[test]
    fn bounded_loads_are_bounded(members in fleets(), count in 2_u32..24) {
        let unit: Vec<_> = members.iter().map(|m| Member { id: m.id.clone(), apps: 1 }).collect();
        let owners = shards(Scheme::ConsistentHashing, &unit, count);
        let average = ((unit.len() as u64) / u64::from(count)).max(1);
        for shard in 0..count {
            let load = owners.iter().filter(|owner| owner.0 == shard).count() as u64;
            prop_assert!(load <= (5 * average).div_ceil(4), "shard {} has {} of average {}", shard, load, average);
        }
    }
}
