//! `place` from the outside: what it prints, what it refuses, how it ends.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn place(arguments: &[&str]) -> (i32, String, String) {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/smoke.yaml");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"));
    let output = command.arg("place").arg(scenario).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let (code, out, err) = place(&[arguments, &["-o", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&out).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_scheme_without_options_places_a_scenario_of_any_kind() {
    for scheme in ["legacy", "round-robin", "consistent-hashing", "greedy-minimum", "weighted-ring", "rendezvous"] {
        let placed = json(&["--scheme", scheme, "--shards", "3", "--set", "fleet.clusters=60"]);
        assert_eq!((placed["scheme"].as_str(), placed["shards"].as_u64()), (Some(scheme), Some(3)));
        let assignments = placed["assignments"].as_array().unwrap();
        assert_eq!(assignments.len(), 60);
        assert_eq!(keys(&assignments[0]), BTreeSet::from(["cluster", "id", "server", "apps", "shard"]));
        assert!(assignments.iter().all(|one| one["shard"].as_u64().unwrap() < 3));
        assert_eq!(keys(&placed["balance"]), BTreeSet::from(["clusters", "apps", "cost"]));
        assert!(keys(&placed["balance"]["apps"]).is_superset(&BTreeSet::from(["max_over_mean", "range", "cv"])));
        assert!(keys(&placed["moves"]).is_superset(&BTreeSet::from(["+1", "-1", "x2"])));
        assert!(keys(&placed["moves"]["+1"]).is_superset(&BTreeSet::from(["clusters", "apps", "kept_share"])));
    }
}

#[test]
fn a_seed_renames_the_ids_and_several_are_summed_up() {
    let base = ["--shards", "4", "--set", "fleet.clusters=80", "--scheme", "rendezvous"];
    let one = json(&base);
    let other = json(&[&base[..], &["--seed", "7"]].concat());
    assert_ne!(one["assignments"][0]["id"], other["assignments"][0]["id"]);
    let many = json(&[&base[..], &["--seeds", "5", "--changes=+1,x3"]].concat());
    assert_eq!((many["seeds"]["count"].as_u64(), &many["assignments"]), (Some(5), &one["assignments"]));
    assert_eq!(keys(&many["moves"]), BTreeSet::from(["+1", "x3"]));
    let sideways = &many["seeds"]["moves"]["+1"]["sideways"];
    assert_eq!((sideways["min"].as_f64(), sideways["max"].as_f64()), (Some(0.0), Some(0.0)));
}

#[test]
fn people_get_a_table_with_the_price_of_argo_cds_ring() {
    let (code, out, err) = place(&["--scheme", "consistent-hashing", "--shards", "2"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for words in ["managers by consistent-hashing", "max/mean", "+1", "for nothing", "Argo CD itself spends"] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn bad_input_is_refused_precisely() {
    for (arguments, words) in [
        (&["--scheme", "rendevous"][..], "did you mean `rendezvous`?"),
        (&["--shards", "5", "--set", "fleet.clusters=3"], "5 managers cannot share 3 clusters"),
        (&["--scheme", "label"], "`label` needs `topology.label`"),
        (&["--changes=+0"], "is no change"),
        (&["--plot", "picture.gif"], "neither .png nor .svg"),
    ] {
        let (code, out, err) = place(arguments);
        assert!(code == 2 && out.is_empty() && err.contains(words), "{arguments:?}: {code} {err}");
    }
}

#[test]
fn the_picture_is_not_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("placement.png");
    let arguments = ["--plot", &*picture.to_string_lossy()].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(place(&arguments).0, 0);
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let (code, _, err) = place(&arguments);
    assert!(code == 2 && err.contains("not overwritten"), "{code} {err}");
}
