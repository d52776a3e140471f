//! What can go wrong around a run: processes that die, stop or are hurt on purpose, a disk without room, too few files.
//! Each ends with a message, an exit code, nothing left running, and a result that says what it is.

use crate::run::{Long, assert_complete, flamboyance, run, said, smoke};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;
use std::process::Command;

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The role that a child plays, from its command line: `flamboyance role leaves FILE`.
fn role(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let mut words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    words.nth(2).unwrap()
}

#[test]
fn a_child_that_dies_ends_the_run_and_is_named() {
    for (victim, name) in [("leaves", "leaves"), ("hub", "hub"), ("manager", "manager-0")] {
        let mut long = Long::start();
        let children = long.children();
        let pid = *children.iter().find(|&&pid| role(pid) == victim).unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(long.child.wait().unwrap().code(), Some(3), "{victim}");
        assert!(!children.iter().any(|&pid| is_there(pid)), "{victim}");
        let record: Value = serde_json::from_reader(long.child.stdout.take().unwrap()).unwrap();
        assert_eq!((&record["status"], &record["reason"]), (&"partial".into(), &"child_died".into()), "{victim}");
        assert_complete(&long.out, &record);
        let told: Vec<String> = long.stderr.by_ref().lines().map(Result::unwrap).collect();
        let death = format!("{name} ended unexpectedly (signal: 9 (SIGKILL))");
        assert!(told.iter().any(|line| line.contains(&death)), "{told:?}");
    }
}

/// The smoke scenario with one more step in its timeline.
fn with_fault(folder: &Path, fault: &str) -> std::path::PathBuf {
    let path = folder.join("hurt.yaml");
    let step = format!("change: {{ install: {{}} }}\n    - at: 100ms\n      fault: {{ {fault}, duration: 700ms }}");
    let text = fs::read_to_string(smoke()).unwrap().replace("change: { install: {} }", &step);
    assert!(text.contains("fault"), "{text}");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn whoever_is_hurt_by_the_timeline_comes_back_and_the_run_is_complete() {
    for (fault, managers) in [
        ("kind: kill, manager: 0", 2),
        ("kind: pause, manager: 0", 1),
        ("kind: pause, process: leaves", 1),
        ("kind: pause, process: hub", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(&with_fault(folder.path(), fault), &folder.path().join("result"));
        assert_eq!(output.status.code(), Some(0), "{fault}: {}", said(&output));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&record["status"], &record["counts"]["apps_healthy"]), (&"complete".into(), &20.into()), "{fault}");
        // The run lasts until the fault is over, however early everything else is.
        assert!(record["time"]["wall_s"].as_f64().unwrap() >= 0.8, "{fault}");
        let processes = record["processes"].as_array().unwrap();
        let hub = processes.iter().find(|process| process["role"] == "hub").unwrap();
        let watches = hub["calls"].as_array().unwrap().iter();
        let watches = watches.filter(|call| call["verb"] == "watch" && call["resource"] == "applications");
        let watches: u64 = watches.map(|call| call["count"].as_u64().unwrap()).sum();
        assert!(watches >= managers, "{fault}: {watches} watches of Applications");
        assert_eq!(processes.iter().filter(|process| process["role"] == "manager").count(), 1, "{fault}");
    }
}

#[test]
fn an_api_server_cannot_be_killed_by_the_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&with_fault(folder.path(), "kind: kill, process: hub"), &folder.path().join("result"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("they would come back empty"), "{}", said(&output));
}

/// Runs a shell that limits itself and then becomes the program.
fn limited(limits: &str, args: &[&str]) -> std::process::Output {
    let program = flamboyance().get_program().to_owned();
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    Command::new("sh").arg("-c").arg(script).arg(program).args(args).output().unwrap()
}

#[test]
fn a_disk_without_room_leaves_the_record_alone_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("result");
    // No file may grow beyond 32 KiB: a record of this run has less, its report more.
    let limits = "trap '' XFSZ; ulimit -f 64";
    let (scenario, place) = (smoke(), out.to_str().unwrap().to_owned());
    let output = limited(limits, &["run", scenario.to_str().unwrap(), "--out", &place, "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no space left"), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&record["status"], &record["reason"]), (&"partial".into(), &"disk_full".into()));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "the files that did not fit are gone");
    let stored: Value = serde_json::from_slice(&fs::read(out.join("record.json")).unwrap()).unwrap();
    assert_eq!(stored, record);

    // Not even the record of the beginning: then there is no result at all.
    let place = folder.path().join("none");
    let output =
        limited("trap '' XFSZ; ulimit -f 2", &["run", scenario.to_str().unwrap(), "--out", place.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no space left") && !place.exists(), "{}", said(&output));
}

/// Whether this process may raise its own hard limits (`CAP_SYS_RESOURCE`, bit 24).
fn may_raise_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() >> 24 & 1 == 1
}

#[test]
fn too_few_files_are_raised_where_that_is_allowed_and_told_before_the_start_where_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("result");
    let (scenario, place) = (smoke(), out.to_str().unwrap().to_owned());
    let output = limited("ulimit -n 40", &["run", scenario.to_str().unwrap(), "--out", &place, "-o", "json"]);
    if may_raise_limits() {
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    } else {
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("ulimit -n") && !out.exists(), "{}", said(&output));
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = run(&smoke(), &file.join("below/result"));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("cannot be written") && output.stdout.is_empty(), "{}", said(&output));
}

/// Twenty clusters on four managers that take over from each other; one dies, an upgrade follows at once, and much later it
/// comes back.
const FAILOVER: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: failover }
spec:
  fleet: { clusters: 20 }
  addons:
    - name: ingress
      source: { git: { url: "https://git.example.org/ingress.git", path: ./deploy } }
      versions: [v1, v2]
  topology: { kind: sharded, shards: 4, scheme: SCHEME, lease: 2s }
  timeline:
    - at: 0s
      change: { install: {} }
    - at: 5s
      fault: { kind: KIND, manager: 1, duration: 15s }
    - at: 5100ms
      change: { upgrade: { addon: ingress, version: v2 } }
  run: { timeout: 120s, flux: { healthPoll: 100ms, backoffBase: 10ms } }
"#;

#[test]
fn clusters_of_a_manager_that_is_gone_are_taken_over_and_no_change_is_lost() {
    for (kind, scheme) in [("kill", "rendezvous"), ("pause", "legacy")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failover.yaml");
        fs::write(&path, FAILOVER.replace("KIND", kind).replace("SCHEME", scheme)).unwrap();
        let output = run(&path, &folder.path().join("result"));
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", said(&output));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = &record["counts"];
        let figures = ["apps_healthy", "changes", "failed"].map(|name| counts[name].as_u64().unwrap());
        assert_eq!(figures, [20, 40, 0], "{kind}");
        let ownership = &record["ownership"];
        assert!(ownership["clusters_moved"].as_u64().unwrap() >= 2, "{kind}: {ownership}");
        if kind == "kill" {
            // One that is stopped amid a call goes on with it; one that is dead does not.
            assert_eq!(counts["double_owned"], 0);
            let gaps = ownership["gaps"].as_array().unwrap();
            assert!(gaps.iter().all(|gap| gap["closed"] == true), "{ownership}");
            // They have an owner long before the dead one is back.
            assert!(gaps[0]["lasted_s"].as_f64().unwrap() < 12.0, "{ownership}");
        }
    }
}
