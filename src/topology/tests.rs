use super::{Event, Member, Moves, Rules, argocd, assign, distribute, distribute_among, shards};
use crate::fleet::{World, fixture};
use crate::ids::ShardId;
use crate::scenario::{Delivery, Pin, Scheme, ShardLabel, Topology, TopologyKind};
use proptest::prelude::*;
use serde_json::Value;

const ALL: [Scheme; 8] = Scheme::ALL;

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
    ids.zip(apps).map(|(id, apps)| Member::new(id, apps)).collect()
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
            members.push(Member::new(String::new(), 0));
            expected.push(number(own));
        }
        assert_eq!(numbers(&shards(scheme(&row["scheme"]), &members, number(&row["shards"]))), expected, "{row}");
    }
    for row in rows(&golden["in_cluster"]) {
        let own = [Member::new(String::new(), 0)];
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
    let members: Vec<_> = (0..10_000).map(|n| Member::new(format!("id-{n}"), 0)).collect();
    let owners = shards(Scheme::Rendezvous, &members, 10);
    for shard in 0..10 {
        let size = owners.iter().filter(|owner| owner.0 == shard).count();
        assert!((900..1_100).contains(&size), "shard {shard}: {size}");
    }
}

#[test]
fn a_world_is_assigned_by_the_uids_of_its_clusters() {
    let world = World::generate(&fixture::scenario(200, vec![fixture::addon("a", Delivery::Git)], Vec::new()));
    let topology = |kind, scheme| Topology::new(kind, 5, scheme);
    for (cluster, owner) in world.clusters().ids().zip(assign(&world, &topology(TopologyKind::Sharded, Scheme::Legacy)))
    {
        assert_eq!(owner.0, argocd::legacy(&world.clusters().uid(cluster).to_string(), 5));
    }
    assert!(assign(&world, &topology(TopologyKind::Single, Scheme::Legacy)).iter().all(|owner| owner.0 == 0));
}

fn fleets() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_map("[a-f0-9-]{0,12}", 0_u64..5, 1..80)
        .prop_map(|fleet| fleet.into_iter().map(|(id, apps)| Member::new(id, apps)).collect())
}

#[test]
fn our_schemes_stay_what_they_are() {
    let golden = golden();
    for row in rows(&golden["ours"]) {
        let members = clusters(&golden, 10, rows(&row["apps"]));
        let name = row["scheme"].as_str().unwrap();
        let scheme = ALL.into_iter().find(|scheme| scheme.name() == name).unwrap();
        let weights: Vec<u32> = rows(&row["weights"]).iter().map(number).collect();
        let rules = Rules {
            bound_milli: row["bound_milli"].as_u64().map(|bound| u32::try_from(bound).unwrap()),
            weights: &weights,
            ..Rules::plain(scheme, number(&row["shards"]))
        };
        let expected: Vec<u32> = rows(&row["expect"]).iter().map(number).collect();
        assert_eq!(numbers(&distribute(&members, rules)), expected, "{row}");
    }
}

#[test]
fn one_more_manager_moves_little_more_than_its_share() {
    // The figure is the mean over 20 fleets.
    for (scheme, count) in
        [Scheme::WeightedRing, Scheme::Rendezvous].into_iter().flat_map(|s| [1, 4, 10].map(|n| (s, n)))
    {
        let share = |seed| {
            let members: Vec<_> = (0..2_500).map(|n| Member::new(format!("{seed}-{n}"), 1)).collect();
            let before = shards(scheme, &members, count);
            1.0 - Moves::of(Event::More(1), &members, &before, Rules::plain(scheme, count)).unwrap().kept_share
        };
        let mean = (0..20).map(share).sum::<f64>() / 20.0;
        assert!(mean <= 1.1 / f64::from(count + 1), "{scheme:?} {count}: {mean}");
    }
}

#[test]
fn a_manager_carries_after_its_weight() {
    let members: Vec<_> = (0..20_000).map(|n| Member::new(format!("id-{n}"), 0)).collect();
    let owners = distribute(&members, Rules { weights: &[1, 3], ..Rules::plain(Scheme::WeightedRing, 3) });
    let sizes = [0, 1, 2].map(|shard| owners.iter().filter(|owner| owner.0 == shard).count());
    for (size, wanted) in sizes.into_iter().zip([4_000, 12_000, 4_000]) {
        assert!(size.abs_diff(wanted) < wanted / 12, "{sizes:?}");
    }
}

#[test]
fn a_pin_wins_and_one_to_nowhere_means_the_first() {
    for scheme in ALL {
        let mut members: Vec<_> = (0..40).map(|n| Member::new(format!("id-{n}"), 1)).collect();
        members[7].pin = Some(3);
        members[8].pin = Some(9);
        let owners = shards(scheme, &members, 4);
        assert_eq!((owners[7].0, owners[8].0), (3, 0), "{scheme:?}");
    }
}

#[test]
fn clusters_are_pinned_by_name_before_labels_and_by_the_label_of_the_scheme() {
    let world = World::generate(&fixture::scenario(60, vec![fixture::addon("a", Delivery::Git)], Vec::new()));
    let pin = |names: &[&str], labels: &[(&str, &[&str])], shard| Pin {
        clusters: names.iter().map(|name| (*name).to_owned()).collect(),
        labels: fixture::selector(labels, 0).labels,
        shard,
    };
    let mut topology = Topology::new(TopologyKind::Sharded, 5, Scheme::Manual);
    topology.manual = vec![pin(&["cluster-00004"], &[], 3), pin(&[], &[("region", &["us"])], 2)];
    let owners = assign(&world, &topology);
    for (cluster, owner) in world.clusters().ids().zip(&owners) {
        let by_region = if world.clusters().region(cluster) == "us" { 2 } else { 0 };
        assert_eq!(owner.0, if cluster.0 == 4 { 3 } else { by_region });
    }
    topology.scheme = Scheme::Label;
    let shards = [("eu", 1), ("us", 4), ("ap", 0)].map(|(value, shard)| (value.to_owned(), shard)).into();
    topology.label = Some(ShardLabel { key: "region".to_owned(), shards });
    topology.manual.truncate(1);
    for (cluster, owner) in world.clusters().ids().zip(assign(&world, &topology)) {
        let by_label = match world.clusters().region(cluster) {
            "eu" => 1,
            "us" => 4,
            _ => 0,
        };
        assert_eq!(owner.0, if cluster.0 == 4 { 3 } else { by_label });
    }
}

#[test]
fn events_read_as_they_are_written() {
    for text in ["+1", "-3", "x2", "-cluster", "in-cluster"] {
        assert_eq!(text.parse::<Event>().unwrap().to_string(), text);
    }
    for text in ["", "1", "+0", "x1", "+1001", "-", "clusters"] {
        assert!(text.parse::<Event>().is_err(), "{text}");
    }
}

#[test]
fn events_without_managers_left_move_nothing() {
    let members = [Member::new("a".to_owned(), 1)];
    let moves = |event| Moves::of(event, &members, &[ShardId(0)], Rules::plain(Scheme::Legacy, 1));
    assert_eq!((moves(Event::Fewer(1)), moves(Event::Times(2000))), (None, None));
    assert!(moves(Event::More(1)).is_some());
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
    fn with_rings_and_rendezvous_only_the_new_shards_gain(
        members in fleets(),
        count in 2_u32..24,
        more in 1_u32..5,
        weights in prop::collection::vec(1_u32..4, 0..30),
    ) {
        for scheme in [Scheme::WeightedRing, Scheme::Rendezvous] {
            let rules = Rules { weights: &weights, ..Rules::plain(scheme, count) };
            let before = distribute(&members, rules);
            let after = distribute(&members, rules.with_shards(count + more));
            for (old, new) in before.iter().zip(&after) {
                prop_assert!(old == new || new.0 >= count);
            }
            let moves = Moves::of(Event::More(more), &members, &before, rules).unwrap();
            prop_assert_eq!(moves.sideways, 0);
            prop_assert_eq!(moves.clusters, before.iter().zip(&after).filter(|(old, new)| old != new).count() as u64);
        }
    }

    #[test]
    fn no_shard_exceeds_its_bound_by_more_than_its_last_cluster(
        members in fleets(),
        count in 2_u32..14,
        bound in 1_000_u32..3_000,
        weights in prop::collection::vec(1_u32..4, 0..14),
    ) {
        for (scheme, weights) in [(Scheme::WeightedRing, &weights[..]), (Scheme::Rendezvous, &[])] {
            let rules = Rules { bound_milli: Some(bound), weights, ..Rules::plain(scheme, count) };
            let owners = distribute(&members, rules);
            let total: u64 = members.iter().map(|member| member.apps.max(1)).sum();
            let heaviest = members.iter().map(|member| member.apps.max(1)).max().unwrap();
            let of = |shard: u32| u64::from(weights.get(shard as usize).copied().unwrap_or(1));
            let all: u64 = (0..count).map(of).sum();
            for shard in 0..count {
                let load: u64 = members.iter().zip(&owners).filter(|(_, o)| o.0 == shard).map(|(m, _)| m.apps.max(1)).sum();
                let limit = (total * u64::from(bound) * of(shard)).div_ceil(1000 * all);
                prop_assert!(load < limit + heaviest, "{:?} {} has {} of {}", scheme, shard, load, limit);
            }
        }
    }

    #[test]
    fn greedy_minimum_exceeds_the_mean_by_less_than_a_cluster(members in fleets(), count in 2_u32..14) {
        let owners = shards(Scheme::GreedyMinimum, &members, count);
        let load = |shard| members.iter().zip(&owners).filter(|(_, o)| o.0 == shard).map(|(m, _)| m.apps.max(1)).sum::<u64>();
        let loads: Vec<u64> = (0..count).map(load).collect();
        let heaviest = members.iter().map(|member| member.apps.max(1)).max().unwrap();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= heaviest, "{:?}", loads);
    }

    #[test]
    fn what_others_own_does_not_depend_on_a_cluster_that_goes(members in fleets(), count in 2_u32..24) {
        for scheme in [Scheme::Legacy, Scheme::Rendezvous, Scheme::WeightedRing] {
            prop_assert_eq!(&shards(scheme, &members, count)[1..], &shards(scheme, &members[1..], count)[..]);
        }
    }

    #[test]
    fn bounded_loads_are_bounded(members in fleets(), count in 2_u32..24) {
        let unit: Vec<_> = members.iter().map(|m| Member::new(m.id.clone(), 1)).collect();
        let owners = shards(Scheme::ConsistentHashing, &unit, count);
        let average = ((unit.len() as u64) / u64::from(count)).max(1);
        for shard in 0..count {
            let load = owners.iter().filter(|owner| owner.0 == shard).count() as u64;
            prop_assert!(load <= (5 * average).div_ceil(4), "shard {} has {} of average {}", shard, load, average);
        }
    }
}

#[test]
fn when_a_shard_is_absent_rings_and_rendezvous_move_its_members_alone() {
    let members: Vec<Member> = (0..500).map(|n| Member::new(format!("id-{n}"), 1 + n % 3)).collect();
    for scheme in [Scheme::WeightedRing, Scheme::Rendezvous] {
        let rules = Rules::plain(scheme, 4);
        let (all, some) = (distribute(&members, rules), distribute_among(&members, rules, &[0, 2, 3]));
        for (was, is) in all.iter().zip(&some) {
            assert!(is.0 != 1 && (was.0 == 1 || was == is), "{scheme:?}: {was:?} becomes {is:?}");
        }
    }
    for scheme in Scheme::ALL {
        let owners = distribute_among(&members, Rules::plain(scheme, 4), &[1, 3]);
        assert!(owners.iter().all(|owner| [1, 3].contains(&owner.0)), "{scheme:?}");
        assert_eq!(owners.len(), members.len());
    }
}
