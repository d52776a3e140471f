//! Argo CD's schemes against Argo CD's own package: what it said is data, and where it can be asked it is asked again.
//!
//! `tests/data/sharding/argo-cd-v3.2.0.txt.zst` is the output of `tests/oracle/sharding/main.go`. With
//! `FLAMBOYANCE_SHARDING_ORACLE` naming that program, built, random cases are put to both.

use flamboyance::ids::ShardId;
use flamboyance::scenario::Scheme;
use flamboyance::seed::Seed;
use flamboyance::topology::{self, Event, Member, Moves, Rules};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::process::{Command, Stdio};

/// One line of the oracle: `scheme shards clusters ids apps extra`.
struct Case<'a> {
    scheme: Scheme,
    shards: u32,
    clusters: u32,
    ids: &'a str,
    apps: &'a str,
    extra: &'a str,
}

impl<'a> Case<'a> {
    fn read(line: &'a str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [scheme, shards, clusters, ids, apps, extra] = words[..] else { panic!("not a case: {line}") };
        let scheme = Scheme::ALL.into_iter().find(|known| known.name() == scheme).unwrap();
        Self { scheme, shards: shards.parse().unwrap(), clusters: clusters.parse().unwrap(), ids, apps, extra }
    }

    fn id(&self, n: u32) -> String {
        if self.ids == "number" {
            return n.to_string();
        }
        let digest = Sha256::digest(format!("cluster-{n}"));
        let h: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        [&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32]].join("-")
    }

    fn members(&self) -> Vec<Member> {
        let member = |n| {
            let apps = match self.apps {
                "one" => 1,
                "some" => n * 7 % 5,
                "heavy" if n == 3 => 50,
                "heavy" => 1,
                _ => 0,
            };
            let pin = (self.extra == "pins" && n % 5 == 2).then_some(n % (self.shards + 2));
            Member { pin, ..Member::new(self.id(n), apps.into()) }
        };
        let own = (self.extra == "in-cluster").then(|| Member::new(String::new(), 0));
        (0..self.clusters).map(member).chain(own).collect()
    }

    /// What this program says.
    fn answer(&self) -> Vec<u32> {
        let members = self.members();
        let owners = topology::shards(self.scheme, &members, self.shards);
        match self.extra {
            "lost" => {
                let manages = |shard: &u32| topology::manages(ShardId(*shard), None);
                vec![u32::try_from((0..self.shards).filter(manages).count()).unwrap(); members.len()]
            }
            "stale" => {
                let new = topology::shards(self.scheme, &members, self.shards + 1);
                new.iter().map(|new| 1 + u32::from(topology::manages(ShardId(self.shards), Some(*new)))).collect()
            }
            _ => owners.iter().map(|owner| owner.0).collect(),
        }
    }
}

fn check(line: &str) {
    let (case, said) = line.split_once(" = ").unwrap();
    let said: Vec<u32> = said.split(',').map(|owner| owner.parse().unwrap()).collect();
    assert_eq!(Case::read(case).answer(), said, "{case}");
}

fn recorded() -> String {
    let packed = include_bytes!("../data/sharding/argo-cd-v3.2.0.txt.zst");
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

#[test]
fn who_owns_what_is_what_argo_cd_said() {
    let text = recorded();
    let cases: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(cases.len() > 1_000, "only {} cases", cases.len());
    cases.into_iter().for_each(check);
}

#[test]
fn pods_that_scale_while_they_run_own_twice_what_argo_cd_said() {
    let text = recorded();
    let stale: Vec<_> = text.lines().filter_map(|line| line.split_once(" stale = ")).collect();
    assert!(!stale.is_empty());
    for (case, said) in stale {
        let line = format!("{case} stale");
        let case = Case::read(&line);
        let (members, rules) = (case.members(), Rules::plain(case.scheme, case.shards));
        let owners = topology::distribute(&members, rules);
        let moves = Moves::of(Event::More(1), &members, &owners, rules).unwrap();
        let twice = said.split(',').filter(|owners| *owners == "2").count();
        assert_eq!(moves.stale_replicas.unwrap().double_owned, twice as u64, "{line}");
    }
}

#[test]
fn argo_cd_says_the_same_today() {
    let Ok(oracle) = std::env::var("FLAMBOYANCE_SHARDING_ORACLE") else { return };
    let draws = Seed::new(0).child("sharding");
    let cases: Vec<String> = (0..300)
        .map(|n| {
            let draw = |what: u64, of: &[&str]| {
                of[usize::try_from(draws.entity(n).below(what, of.len() as u64)).unwrap()].to_owned()
            };
            let scheme = draw(0, &["legacy", "round-robin", "consistent-hashing"]);
            let (shards, clusters) = (1 + draws.entity(n).below(1, 30), 1 + draws.entity(n).below(2, 40));
            let (ids, apps) = (draw(3, &["uid", "number"]), draw(4, &["-", "one", "some", "heavy"]));
            format!("{scheme} {shards} {clusters} {ids} {apps} {}", draw(5, &["-", "in-cluster", "pins"]))
        })
        .collect();
    let mut asked = Command::new(oracle).arg("ask").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = cases.join("\n") + "\n";
    let mut input = asked.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = asked.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), cases.len());
    said.lines().for_each(check);
}
