//! `plan` from the outside: what it answers, how it ends, what it refuses.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn plan(arguments: &[&str]) -> (i32, String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"));
    let output = command.current_dir(root).arg("plan").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn answer(arguments: &[&str]) -> (i32, Value) {
    let (code, out, err) = plan(&[arguments, &["-o", "json", "--quiet"]].concat());
    assert_eq!(err, "");
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")))
}

/// A fleet small enough for a test, on machines slow enough to be used up by it.
const SLOW: [&str; 8] = [
    "scenarios/smoke.yaml",
    "--set=model.manager.ask=20ms",
    "--set=manager.concurrency=64",
    "--set=topology.kind=single",
    "--slo=end_to_end.p99=10s",
    "--max=clusters=200",
    "--precision=10%",
    "--set=run.seed=7",
];

#[test]
fn the_knee_is_found_its_limit_named_and_the_next_one_as_well() {
    let (code, plan) = answer(&[&SLOW[..], &["--sensitivity"]].concat());
    assert_eq!(code, 0, "{plan:#}");
    let (holds, breaks) = (plan["knee"]["holds"].as_u64().unwrap(), plan["knee"]["breaks"].as_u64().unwrap());
    assert!(holds < breaks && breaks - holds <= 1.max(holds / 10), "{plan:#}");
    assert_eq!(
        (&plan["limit"]["limit"]["resource"], &plan["limit"]["limit"]["where"]),
        (&"cpu".into(), &"manager-0".into())
    );
    assert_eq!(plan["limit"]["lifted"], "model.manager.cores 1 -> 8");
    assert!(plan["next"]["knee"]["holds"].as_u64().unwrap() >= holds, "{plan:#}");
    for probe in plan["probes"].as_array().unwrap() {
        let size = probe["size"].as_u64().unwrap();
        assert_eq!(probe["holds"], size <= holds, "{probe}");
    }
    let varied = plan["sensitivity"].as_array().unwrap();
    let effect = |id: &str| varied.iter().find(|one| one["id"] == id && one["ratio"] != 1.0);
    assert!(effect("model.manager.ask").is_some(), "{varied:?}");
    let sentences = plan["sentences"].as_array().unwrap();
    assert_eq!(sentences.len(), 5);
    assert!(sentences.iter().all(|sentence| sentence.as_str().is_some_and(|text| text.ends_with('.'))));
    // Nothing in the answer depends on the day or the number of threads.
    let [one, two] = ["--threads=1", "--threads=2"].map(|threads| answer(&[&SLOW[..], &[threads]].concat()).1);
    assert_eq!((&one, &one["probes"]), (&two, &plan["probes"]));
}

#[test]
fn the_fewest_managers_that_hold_are_found() {
    let managers =
        ["--set=fleet.clusters=120", "--set=topology.kind=sharded", "--slo=end_to_end.p99=4s", "--max=managers=6"];
    let arguments: Vec<&str> =
        SLOW.iter().copied().filter(|a| !a.contains("single") && !a.contains("max=") && !a.contains("slo=")).collect();
    let (code, plan) = answer(&[&arguments[..], &managers].concat());
    let holds = plan["knee"]["holds"].as_u64().unwrap();
    assert!(code == 0 && (2..6).contains(&holds) && plan["knee"]["breaks"] == holds - 1, "{plan:#}");
}

#[test]
fn real_processes_are_asked_whether_a_plan_holds() {
    let asked = ["scenarios/smoke.yaml", "--slo=all_healthy=90s", "--max=clusters=12", "--check"];
    let (code, plan) = answer(&asked);
    let check = &plan["check"];
    assert_eq!((code, &check["size"], &check["verdict"]), (0, &12.into(), &"confirmed".into()), "{plan:#}");
    let [live, simulated] = ["live", "simulated"].map(|clock| check[clock][0]["value"].as_f64().unwrap());
    assert!(live > 0.0 && simulated > 0.0 && live != simulated, "{check}");
    let (code, _, err) = self::plan(&[&asked[..], &["--set=manager.kind=argocd"]].concat());
    assert!(code == 2 && err.contains("simulated only"), "{code} {err}");
}

#[test]
fn what_never_holds_ends_with_one_and_what_makes_no_sense_with_two() {
    let (code, out, _) = plan(&["scenarios/smoke.yaml", "--slo", "end_to_end.p99=1ms", "--max", "clusters=9", "-q"]);
    assert!(code == 1 && out.contains("does not hold end_to_end.p99=1ms"), "{code} {out}");
    let table: [(&[&str], &str); 7] = [
        (&[], "--slo"),
        (&["--slo", "end_to_end.p98=5m"], "write end_to_end.p50|p90|p99"),
        (&["--slo", "all_healthy=5m", "--max", "nodes=3"], "write clusters=100000"),
        (&["--slo", "all_healthy=5m", "--max", "churn=5"], "no churn whose rate"),
        (&["--slo", "all_healthy=5m", "--set", "fleet.clusters=none"], "fleet.clusters"),
        (&["--slo", "all_healthy=5m", "--beside", "single=4"], "has no shards"),
        (&["--slo", "all_healthy=5m", "--beside", "single", "--max", "managers=4"], "how far a topology goes"),
    ];
    for (arguments, wanted) in table {
        let (code, out, err) = plan(&[&["scenarios/smoke.yaml"], arguments].concat());
        assert!(code == 2 && out.is_empty(), "{arguments:?}: {code} {out}");
        assert!(err.replace("\n  │ ", " ").contains(wanted), "{wanted}: {err}");
    }
}
