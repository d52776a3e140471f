//! Managers that are programs of others. The real ones are too large to be here (`tests/controllers/run` builds them): stand-ins
//! show what becomes of a run whose managers do not come up.

use super::run::{flamboyance, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn shipped(name: &str) -> String {
    format!("{}/scenarios/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A run of the shipped scenario for Flux with the programs of a folder.
fn run(folder: &Path) -> Command {
    let mut command = flamboyance();
    fs::create_dir_all(folder.join("tmp")).unwrap();
    command.env("TMPDIR", folder.join("tmp")).arg("run").arg(shipped("real-flux.yaml"));
    command.arg("--set").arg(format!("manager.command={}", folder.join("programs").display()));
    command.arg("--out").arg(folder.join("result"));
    command
}

/// What was said, without the line breaks of long messages; words with hyphens may be broken, too.
fn words(output: &Output) -> String {
    said(output).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
}

fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join("programs").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn programs_that_are_not_there_are_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "source-controller", "exit 0");
    let output = run(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(words(&output).contains("has no kustomize-"), "{}", said(&output));
    assert!(!folder.path().join("result").exists());
}

#[test]
fn a_manager_that_ends_at_once_ends_the_run_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["source-controller", "kustomize-controller", "helm-controller"] {
        program(folder.path(), name, "echo unknown flag: --concurrent; exit 2");
    }
    let output = run(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let words = words(&output);
    assert!(words.contains("source-controller ended") && words.contains("unknown flag: --concurrent"), "{words}");
    let record = fs::read_to_string(folder.path().join("result/record.json")).unwrap();
    assert!(record.contains("setup_failed"), "{record}");
    let left: Vec<_> = fs::read_dir(folder.path().join("tmp")).unwrap().flatten().map(|file| file.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn managers_of_others_are_not_simulated_unless_there_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = |name: &str, out: &str| {
        let mut command = flamboyance();
        command.arg("run").arg(shipped(name)).args(["--clock", "virtual", "--quiet", "--out"]);
        command.arg(folder.path().join(out)).output().unwrap()
    };
    let argocd = simulate("real-argocd.yaml", "argocd");
    assert!(argocd.status.success(), "{}", said(&argocd));
    let flux = simulate("real-flux.yaml", "flux");
    assert_eq!(flux.status.code(), Some(2), "{}", said(&flux));
    assert!(said(&flux).contains("no model"), "{}", said(&flux));
}
