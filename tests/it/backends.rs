//! Runs whose objects live elsewhere. The programs of a control plane are stood in for by this one (`assets`), so that the
//! way there is tested everywhere; with `KUBEBUILDER_ASSETS` set, real ones are asked whether they give the same.

use super::run::{assert_contract, flamboyance, said, smoke};
use super::serve::Server;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// A folder with a `kube-apiserver` and an `etcd` that are this program.
fn stand_ins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(flamboyance().arg("assets").arg(folder.path()).output().unwrap().status.success());
    folder
}

/// A run of the smallest scenario with its hub elsewhere, in a folder for temporary files of its own.
fn elsewhere(assets: &Path, folder: &Path) -> Command {
    let mut command = flamboyance();
    command.env("KUBEBUILDER_ASSETS", assets).env("TMPDIR", folder.join("tmp")).arg("run").arg(smoke());
    fs::create_dir_all(folder.join("tmp")).unwrap();
    command.args(["--set", "backend.hub=local-control-plane", "--out"]).arg(folder.join("result")).args(["-o", "json"]);
    command
}

/// The processes below one.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    });
    children.flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

/// Waits until a process has ended.
fn await_end(process: &OwnedFd) {
    let mut files = [PollFd::new(process, PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
    assert_eq!(poll(&mut files, Some(&patience)).unwrap(), 1, "a process outlives its harness");
}

#[test]
fn a_hub_on_a_control_plane_of_its_own_is_told_as_such_and_leaves_nothing() {
    let (assets, folder) = (stand_ins(), tempfile::tempdir().unwrap());
    let output = elsewhere(assets.path(), folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_contract(&record);
    assert_eq!(
        [&record["backend"], &record["observer"], &record["status"]],
        ["local-control-plane hub, mock leaves", "watch", "complete"]
    );
    assert_eq!((&record["counts"]["apps_healthy"], &record["latency"]["reported"]["count"]), (&20.into(), &20.into()));
    let processes = record["processes"].as_array().unwrap();
    let of = |name: &str| processes.iter().find(|process| process["name"] == name).unwrap();
    let (observer, server) = (of("observer of hub"), of("hub-kube-apiserver"));
    assert_eq!((&observer["role"], &observer["calls"]), (&"harness".into(), &Value::Array(Vec::new())));
    assert_eq!(server["role"], "hub");
    assert!(server["rss_max_bytes"].as_u64().unwrap() > 1 << 20, "{server}");
    let left: Vec<_> = fs::read_dir(folder.path().join("tmp")).unwrap().flatten().map(|file| file.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn leaves_on_control_planes_of_their_own_get_the_same_from_flux_over_sockets() {
    let (assets, folder) = (stand_ins(), tempfile::tempdir().unwrap());
    let play = |name: &str, backend: &str| {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut command = elsewhere(assets.path(), &folder);
        command.args(["--set", "fleet.clusters=2", "--objects", "--set", backend]);
        // Over sockets the first look at health may come before the Deployment is ready, as in reality.
        let output = command.args(["--set", "run.flux.healthPoll=500ms"]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), objects(&folder.join("result")))
    };
    let (mock, mock_objects) = play("mock", "backend=mock");
    let (record, objects) = play("elsewhere", "backend=local-control-plane");
    assert_eq!(mock_objects, objects);
    assert_eq!(calls(&mock), calls(&record));
    assert_eq!(record["backend"], "local-control-plane");
    let processes = record["processes"].as_array().unwrap();
    let of = |name: &str| processes.iter().find(|process| process["name"] == name).unwrap();
    assert_eq!(
        (&of("flux-model")["role"], &of("observer of leaves")["role"]),
        (&"flux-model".into(), &"harness".into())
    );
    assert_eq!(of("leaf-kube-apiserver")["role"], "leaves");
    for hop in ["seen", "written", "fetched", "applied", "ready", "reported", "end_to_end"] {
        assert_eq!(record["latency"][hop]["count"], 2, "{hop}");
    }
}

#[test]
fn a_control_plane_ends_with_a_harness_that_is_killed() {
    let (assets, folder) = (stand_ins(), tempfile::tempdir().unwrap());
    let mut harness = elsewhere(assets.path(), folder.path())
        .args(["--set", "run.workloadReady.fixed=10m", "--set", "run.timeout=10m"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(harness.stderr.take().unwrap()).lines();
    says.find(|line| line.as_ref().unwrap().contains("0/20 apps healthy")).unwrap().unwrap();
    let below = descendants(harness.id());
    let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    let names: Vec<String> = below.iter().map(name).collect();
    assert!(["etcd", "kube-apiserver"].iter().all(|name| names.iter().any(|it| it == name)), "{names:?}");
    let handles: Vec<OwnedFd> = below
        .iter()
        .map(|pid| pidfd_open(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), PidfdFlags::empty()).unwrap())
        .collect();
    harness.kill().unwrap();
    harness.wait().unwrap();
    handles.iter().for_each(await_end);
}

#[test]
fn without_the_programs_nothing_begins_and_the_next_step_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let unset = elsewhere(folder.path(), folder.path()).env_remove("KUBEBUILDER_ASSETS").output().unwrap();
    let empty = elsewhere(folder.path(), folder.path()).output().unwrap();
    for (output, says) in [(unset, "KUBEBUILDER_ASSETS is not set"), (empty, "has no etcd")] {
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let text: String = said(&output).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(text.contains(says), "{text}");
    }
    assert!(!folder.path().join("result").exists());
}

/// Calls by process, verb, resource, subresource, dry run and code; of those whose number does not depend on the moment.
fn calls(record: &Value) -> BTreeMap<String, u64> {
    // A status that is overtaken before it is written is not: how many are depends on who is faster.
    let settled = |call: &&Value| (&call["verb"], &call["resource"]) != (&"patch".into(), &"applications".into());
    let clients = record["processes"].as_array().unwrap().iter().filter(|process| process["role"] == "manager");
    let all = clients.flat_map(|process| process["calls"].as_array().unwrap());
    all.filter(settled)
        .map(|call| {
            let words = ["verb", "resource", "subresource", "dry_run", "code"].map(|key| call[key].to_string());
            (words.join(" "), call["count"].as_u64().unwrap())
        })
        .collect()
}

/// Name and specification of every object.
fn objects(folder: &Path) -> BTreeMap<String, Value> {
    let all: BTreeMap<String, Vec<Value>> =
        serde_json::from_slice(&fs::read(folder.join("objects.json")).unwrap()).unwrap();
    let ours = |object: &Value| !["default", "kube-system"].iter().any(|name| object["metadata"]["namespace"] == *name);
    let named = |cluster: &str, object: &Value| {
        let metadata = &object["metadata"];
        let mut spec = object["spec"].clone();
        // Addresses of the run, and those that a server draws.
        for drawn in ["destination", "clusterIP", "clusterIPs"] {
            spec[drawn] = Value::Null;
        }
        let state = [&object["status"]["health"], &object["status"]["sync"]["status"]].map(Value::clone);
        (format!("{cluster} {} {} {}", object["kind"], metadata["namespace"], metadata["name"]), (spec, state))
    };
    let pairs =
        all.iter().flat_map(|(cluster, objects)| objects.iter().filter(|it| ours(it)).map(|it| named(cluster, it)));
    pairs.map(|(name, (spec, state))| (name, json!([spec, state]))).collect()
}

#[test]
fn a_real_control_plane_gives_the_same_objects_rounds_and_calls_as_the_mock() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") else {
        eprintln!("SKIPPED: KUBEBUILDER_ASSETS names no real kube-apiserver and etcd");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let play = |name: &str, sets: &[&str]| {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut command = elsewhere(Path::new(&assets), &folder);
        let output = command.args(["--objects", "--set", "run.timeout=5m"]).args(sets).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        (record, objects(&folder.join("result")))
    };
    let (mock, mock_objects) = play("mock", &["--set", "backend=mock"]);
    let (real, real_objects) = play("real", &[]);
    assert_eq!(mock_objects, real_objects);
    let rounds = |record: &Value| record["counts"]["rounds"].as_u64().unwrap();
    assert!(
        rounds(&mock).abs_diff(rounds(&real)) <= 20,
        "{} and {}: one more or less per app",
        rounds(&mock),
        rounds(&real)
    );
    assert_eq!(calls(&mock), calls(&real));

    let few = ["--set", "fleet.clusters=2", "--set", "run.flux.healthPoll=500ms"];
    let (mock, mock_objects) = play("few", &[&few[..], &["--set", "backend=mock"]].concat());
    let (real, real_objects) = play("real-leaves", &[&few[..], &["--set", "backend=local-control-plane"]].concat());
    assert_eq!(mock_objects, real_objects);
    assert_eq!(calls(&mock), calls(&real));
}

/// A run whose hub is a cluster of somebody's: a server of ours that knows nothing of it.
fn as_guest(server: &Server, folder: &Path) -> Command {
    let mut command = flamboyance();
    command.arg("run").arg(smoke()).args(["--set", "backend.hub=kubeconfig", "--kubeconfig"]).arg(server.path());
    command.args(["--context", "hub", "--out"]).arg(folder.join("result")).args(["-o", "json"]);
    command
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/applications";

#[tokio::test]
async fn a_run_on_a_cluster_of_somebodys_asks_first_and_leaves_it_as_it_was() {
    let server = Server::start(&["--controllers", "workloads"]);
    let mut hub = server.client("hub", true);
    let folder = tempfile::tempdir().unwrap();
    let kept = json!({ "metadata": { "name": "argocd", "labels": { "team": "platform" } } });
    assert_eq!(hub.send("POST", "/api/v1/namespaces", &JSON, kept.to_string().as_bytes()).await.code, 201);

    let unmarked = as_guest(&server, folder.path()).output().unwrap();
    assert_eq!(unmarked.status.code(), Some(2), "{}", said(&unmarked));
    assert!(said(&unmarked).contains("configmap"), "{}", said(&unmarked));
    assert!(!folder.path().join("result").exists());

    let mark = json!({ "metadata": { "name": "flamboyance" } });
    assert_eq!(
        hub.send("POST", "/api/v1/namespaces/kube-public/configmaps", &JSON, mark.to_string().as_bytes()).await.code,
        201
    );
    let output = as_guest(&server, folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!([&record["backend"], &record["observer"]], ["kubeconfig hub, mock leaves", "watch"]);
    assert_eq!(record["counts"]["apps_healthy"], 20);

    // What was there is there; what the run wrote is not.
    let namespace = hub.get("/api/v1/namespaces/argocd").await;
    assert_eq!((namespace.code, &namespace.json()["metadata"]["labels"]["team"]), (200, &"platform".into()));
    assert_eq!(hub.get(APPLICATIONS).await.code, 404, "its definitions are gone");
    assert_eq!(hub.get("/api/v1/namespaces/argocd/secrets").await.json()["items"], json!([]));
}

#[tokio::test]
async fn what_a_killed_run_left_on_a_cluster_of_somebodys_is_found_and_destroyed() {
    let server = Server::start(&["--controllers", "workloads"]);
    let mut hub = server.client("hub", true);
    for object in [
        json!({ "metadata": { "name": "argocd", "labels": { "flamboyance.dev/run": "one" } } }),
        json!({ "metadata": { "name": "other", "labels": { "flamboyance.dev/run": "two" } } }),
    ] {
        assert_eq!(hub.send("POST", "/api/v1/namespaces", &JSON, object.to_string().as_bytes()).await.code, 201);
    }
    let secret = json!({ "metadata": { "name": "leaf", "labels": { "flamboyance.dev/run": "one" } } });
    assert_eq!(
        hub.send("POST", "/api/v1/namespaces/argocd/secrets", &JSON, secret.to_string().as_bytes()).await.code,
        201
    );
    let destroy = |run: &[&str]| {
        let mut command = flamboyance();
        command.args(["destroy", "--context", "hub", "--kubeconfig"]).arg(server.path()).args(run);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(destroy(&["--run", "one"]), "2 objects removed\n");
    assert_eq!(hub.get("/api/v1/namespaces/argocd").await.code, 404);
    assert_eq!(hub.get("/api/v1/namespaces/other").await.code, 200);
    assert_eq!(destroy(&[]), "1 objects removed\n");
}

/// A command of this program that finds stand-ins for `kind` and `docker`: clusters are API servers of this program, and
/// `transcript` below `state` has what was asked for. With `fails` the cluster of that name does not come up.
fn with_kind(state: &Path, arguments: &[&str]) -> Command {
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kind");
    let mut folders = vec![stand_ins];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut command = flamboyance();
    let program = command.get_program().to_owned();
    command.env("PATH", std::env::join_paths(folders).unwrap()).env("STATE", state).env("FLAMBOYANCE", program);
    command.env_remove("KIND_EXPERIMENTAL_PROVIDER").args(arguments);
    command
}

/// The commands of a transcript, without names of files and what is drawn.
fn transcript(state: &Path) -> Vec<String> {
    let text = fs::read_to_string(state.join("transcript")).unwrap();
    let word = |word: &str| match word.split_once("flamboyance-run-") {
        Some((_, rest)) if !word.starts_with('/') => format!("RUN{}", &rest[6..]),
        _ if word.starts_with('/') => "FILE".to_owned(),
        _ => word.to_owned(),
    };
    text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

const KIND: [&str; 8] =
    ["--set", "backend=kind", "--set", "fleet.clusters=2", "--set", "run.flux.healthPoll=500ms", "-o", "json"];

#[test]
fn clusters_of_kind_are_made_used_and_deleted() {
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let result = folder.path().join("result");
    let mut run = with_kind(state.path(), &["run", smoke().to_str().unwrap(), "--objects"]);
    let output = run.args(KIND).arg("--out").arg(&result).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!([&record["backend"], &record["observer"], &record["status"]], ["kind", "watch", "complete"]);
    assert_eq!(record["counts"]["apps_healthy"], 2);
    let assumed = record["assumptions"].as_array().unwrap();
    assert!(assumed.iter().all(|it| it["id"] != "run.workloadReady"), "nodes say when pods are ready");
    let objects = fs::read_to_string(result.join("objects.json")).unwrap();
    assert!(objects.contains("registry.k8s.io/pause:") && !objects.contains("registry.invalid"));
    let create = |what: &str| {
        format!("kind create cluster --retain --wait 5m --name RUN-{what} --config FILE --kubeconfig FILE")
    };
    let delete = |what: &str| format!("kind delete cluster --name RUN-{what} --kubeconfig FILE");
    let mut said = transcript(state.path());
    let image = said.drain(..3).collect::<Vec<_>>();
    assert_eq!(image[0], "docker info");
    assert!(image[1].starts_with("docker image inspect kindest/node:") && image[2].starts_with("docker pull kindest/"));
    // Several at once: in no order.
    let [mut made, mut gone]: [Vec<_>; 2] = [said[..3].to_vec(), said[3..].to_vec()];
    made.sort();
    gone.sort();
    assert_eq!(made, ["hub-0", "leaf-0", "leaf-1"].map(create));
    assert_eq!(gone, ["hub-0", "leaf-0", "leaf-1"].map(delete));
}

#[test]
fn a_cluster_of_kind_that_does_not_come_up_leaves_its_logs_and_nothing_else() {
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let result = folder.path().join("result");
    let mut run = with_kind(state.path(), &["run", smoke().to_str().unwrap()]);
    let output = run.args(KIND).env("FAILS", "leaf-1").arg("--out").arg(&result).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("failed to create cluster: no space"), "{}", said(&output));
    let record: Value = serde_json::from_slice(&fs::read(result.join("record.json")).unwrap()).unwrap();
    assert_eq!((&record["status"], &record["reason"]), (&"partial".into(), &"setup_failed".into()));
    assert_eq!(fs::read_dir(result.join("kind-logs")).unwrap().count(), 3);
    let left = fs::read_dir(state.path())
        .unwrap()
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "cluster"));
    assert_eq!(left.count(), 0);
}

#[test]
fn clusters_of_kind_that_are_kept_are_found_again_and_no_others() {
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run =
        with_kind(state.path(), &["run", smoke().to_str().unwrap(), "--keep", "--set", "backend.hub=kind-ha"]);
    let output = run.arg("--out").arg(folder.path().join("result")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("kept: flamboyance-run-"), "{}", said(&output));
    fs::write(state.path().join("flamboyance-hub.cluster"), "").unwrap();
    let output = with_kind(state.path(), &["destroy", "--kind"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("-hub-0 deleted\n1 clusters deleted"), "{text}");
    assert!(state.path().join("flamboyance-hub.cluster").exists(), "that one is the user's");

    let output = with_kind(state.path(), &["run", smoke().to_str().unwrap(), "--keep"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("this scenario makes none"), "{}", said(&output));
}
