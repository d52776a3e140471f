//! `report` from the outside: what it prints, what it refuses, how it ends.

use std::path::Path;
use std::process::Command;

fn report(arguments: &[&str]) -> (i32, String, String) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/record-v1.json");
    let arguments = arguments.iter().map(|a| a.replace("RECORD", &golden.to_string_lossy()));
    let output =
        Command::new(assert_cmd::cargo::cargo_bin!("flamboyance")).arg("report").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_record_is_told_in_every_form() {
    for (form, beginning) in [
        ("table", "quickstart: complete"),
        ("json", "{\n"),
        ("yaml", "schema_version: 1"),
        ("html", "<!DOCTYPE html>"),
        ("csv", "metric,unit,value\ncounts.clusters,1,200\n"),
        ("openmetrics", "# TYPE flamboyance_run info\n"),
        ("junit", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites"),
        ("benchmark", "[\n  {\n    \"name\": \"quickstart "),
        ("bencher", "{\n  \"quickstart\": {\n    \"calls.per_app\""),
    ] {
        let (code, out, err) = report(&["RECORD", "-o", form]);
        assert!(code == 0 && out.starts_with(beginning) && err.is_empty(), "{form}: {code} {err} {out}");
    }
}

#[test]
fn what_is_no_result_is_bad_input() {
    let (code, out, err) = report(&["/nowhere/at/all"]);
    assert!(code == 2 && out.is_empty() && err.contains("give the folder of a result"), "{code} {err}");
}

#[test]
fn a_file_that_exists_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, "mine").unwrap();
    let (code, _, err) = report(&["RECORD", "-o", "html", "--out", &page.to_string_lossy()]);
    assert!(code == 2 && err.contains("cannot be written"), "{code} {err}");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "mine");
}
