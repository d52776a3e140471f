//! `gate` from the outside: who it compares with, what it answers, how it ends.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn program() -> &'static Path {
    Path::new(assert_cmd::cargo::cargo_bin!("flamboyance"))
}

fn gate(baseline: &str, arguments: &[&str]) -> (i32, String, String) {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/smoke.yaml");
    let mut command = Command::new(program());
    command.arg("gate").arg(scenario).args(["--baseline", baseline, "--quiet"]).args(arguments);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(baseline: &str, arguments: &[&str]) -> (i32, Value) {
    let (code, out, err) = gate(baseline, &[arguments, &["-o", "json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}")))
}

const VIRTUAL: &[&str] = &["--clock", "virtual"];

#[test]
fn a_program_is_not_worse_than_itself_and_two_simulated_runs_are_enough() {
    let own = program().to_str().unwrap();
    let (code, answer) = json(own, &[VIRTUAL, &["--budget", "digest=0", "--budget", "counts.calls=0"]].concat());
    assert_eq!((code, answer["verdict"].as_str()), (0, Some("same")), "{answer}");
    assert_eq!(answer["pairs"], 1);
    let metrics = answer["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 2, "the budgets that were asked for and no others");
    for metric in metrics {
        assert_eq!((&metric["class"], &metric["base"]), (&"exact".into(), &metric["head"]), "{metric}");
    }
}

#[test]
fn a_setting_that_costs_more_is_found_and_said_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (junit, markdown, keep) = (path("junit.xml"), path("comment.md"), path("kept"));
    let own = program().to_str().unwrap();
    let files = ["--junit", &junit, "--markdown", &markdown, "--keep", &keep];
    let settings = ["--set", "manager.clientCache=false", "--baseline-set", "manager.clientCache=true"];
    let (code, answer) = json(own, &[VIRTUAL, &settings, &files].concat());
    assert_eq!((code, answer["verdict"].as_str()), (1, Some("regressed")), "{answer}");
    let calls = answer["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == "calls.per_app").unwrap();
    assert!(calls["ratio"].as_f64().unwrap() > 1.02 && calls["verdict"] == "regressed", "{calls}");
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.starts_with("<?xml") && junit.contains("<testcase") && junit.contains("<failure"), "{junit}");
    let markdown = std::fs::read_to_string(markdown).unwrap();
    assert!(markdown.starts_with("### regressed: smoke") && markdown.contains("| calls.per_app |"), "{markdown}");

    // The baseline's own result, kept, is a baseline as well.
    let base = Path::new(&keep).join("base-0").to_str().unwrap().to_owned();
    let (code, again) = json(&base, &[VIRTUAL, &["--set", "manager.clientCache=false"]].concat());
    assert_eq!((code, &again["metrics"]), (1, &answer["metrics"]));
}

#[test]
fn a_question_that_makes_no_sense_is_refused_before_anything_runs() {
    let own = program().to_str().unwrap();
    let result = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/quickstart");
    let result = result.to_str().unwrap();
    let table: [(&str, &[&str], &str); 5] = [
        ("no-such-revision-of-anything", &[], "neither a result, nor a program, nor a revision"),
        (own, &["--budget", "calls.per_app"], "METRIC=SHARE"),
        (result, &["--budget", "latency.end_to_end.p98=5%"], "did you mean `latency.end_to_end.p9"),
        (result, VIRTUAL, "is a run on the real clock"),
        (result, &["--baseline-set", "fleet.clusters=3"], "has no meaning for a result"),
    ];
    for (baseline, arguments, wanted) in table {
        let (code, out, err) = gate(baseline, arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.replace("\n  │ ", " ").contains(wanted), "{wanted}: {err}");
    }
}
