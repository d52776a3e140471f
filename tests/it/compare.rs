//! `compare` from the outside: what it prints, what it refuses, how it ends.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn compare(arguments: &[&str]) -> (i32, String, String) {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let full = |argument: &&str| match argument.strip_prefix('@') {
        Some(name) => results.join(name).to_string_lossy().into_owned(),
        None => (*argument).to_owned(),
    };
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"));
    let output = command.arg("compare").args(arguments.iter().map(full)).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_metric_has_its_verdict() {
    let (code, out, err) = compare(&["@ten-thousand", "@ten-thousand-sharded", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(["better", "same", "regressed", "inconclusive"].contains(&answer["verdict"].as_str().unwrap()));
    let fields = "name unit better class base head ratio interval n budget verdict why";
    for metric in answer["metrics"].as_array().unwrap() {
        let keys: BTreeSet<&str> = metric.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(fields.split(' ').all(|field| keys.contains(field)), "{metric}");
    }
}

#[test]
fn people_get_a_sentence_its_conditions_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html").to_string_lossy().into_owned();
    let arguments = ["@ten-thousand", "@ten-thousand-sharded", "--html", &page];
    let (code, out, err) = compare(&arguments);
    assert_eq!((code, err.as_str()), (0, ""));
    for words in ["sharded x 4 (consistent-hashing)", "latency.end_to_end.p99_s", "condition: one run each"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let text = std::fs::read_to_string(&page).unwrap();
    // The names of XML namespaces are the only addresses that may stand in it.
    let own = text.replace("http://www.w3.org/2000/svg", "");
    for external in ["http:", "https:", "src=", "@import", "url(", "<script ", "//", "cannot be drawn"] {
        assert!(!own.contains(external), "{external}");
    }
    assert_eq!(text.matches("<svg").count(), 8);
    let (code, _, err) = compare(&arguments);
    assert!(code == 2 && err.contains("not overwritten"), "{code} {err}");
}

#[test]
fn results_that_do_not_compare_are_refused() {
    for (arguments, words) in [
        (&["@ten-thousand", "@quickstart"][..], "another scenario"),
        (&["@ten-thousand", "/nowhere"], "give the folder of a result"),
    ] {
        let (code, out, err) = compare(arguments);
        assert!(code == 2 && out.is_empty() && err.contains(words), "{arguments:?}: {code} {err}");
    }
    assert_eq!(compare(&["@ten-thousand"]).0, 2);
}

#[test]
fn a_strict_comparison_ends_by_its_verdict() {
    let arguments = ["@ten-thousand", "@ten-thousand-sharded", "--noise", "0%", "--strict"];
    let (code, out, _) = compare(&arguments);
    assert_eq!(code, 1, "{out}");
    let (code, _, _) = compare(&["@quickstart", "@quickstart", "--noise", "1%", "--strict"]);
    assert_eq!(code, 0);
}
