//! `import` as people use it: manifests in, a scenario out that other commands accept.

use super::run::{flamboyance, said};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::Stdio;

const MANIFESTS: &str = "# Source: chart\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: a }\n---\n\
    apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\nspec:\n  replicas: 2\n  template: { spec: { containers: [\
    { name: a, resources: { requests: { cpu: 1, memory: 1Gi } } }] } }\n";

#[test]
fn an_add_on_imported_from_a_folder_is_run_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("ingress");
    fs::create_dir_all(manifests.join("rbac")).unwrap();
    fs::write(manifests.join("all.yaml"), MANIFESTS).unwrap();
    fs::write(manifests.join("rbac/role.json"), r#"{"kind":"ClusterRole","metadata":{"name":"a"}}"#).unwrap();
    fs::write(manifests.join("NOTES.txt"), "not: [yaml").unwrap();
    let imported = flamboyance().args(["import", "addon"]).arg(&manifests).output().unwrap();
    assert!(imported.status.success(), "{}", said(&imported));
    let text = String::from_utf8(imported.stdout).unwrap();
    assert!(text.contains("3 objects") && text.contains("2000m of CPU and 2048Mi of memory"), "{text}");

    let mut run = flamboyance()
        .args(["run", "-", "--clock", "virtual", "-q", "-o", "json", "--out"])
        .arg(folder.path().join("result"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success());
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&record["scenario"]["name"], &record["counts"]["apps_healthy"]), (&"ingress".into(), &20.into()));
}

#[test]
fn what_is_no_manifest_is_bad_input_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, text: &str, says: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let output = flamboyance().args(["import", "addon"]).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(says), "{}", said(&output));
    };
    check("empty.yaml", "# nothing\n---\n", "helm template");
    check("broken.yaml", "kind: [", "cannot read");
    check("Odd name.yaml", MANIFESTS, "--name");
}
