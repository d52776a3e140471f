//! `run` as a script sees it: the built binary, its record, its folder, its end, and what it leaves running.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) fn flamboyance() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"))
}

pub(crate) fn run(scenario: &Path, out: &Path) -> Output {
    flamboyance().arg("run").arg(scenario).arg("--out").arg(out).args(["-o", "json"]).output().unwrap()
}

pub(crate) fn smoke() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/smoke.yaml")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What scripts may rely on, by JSON pointer. A field that a run cannot know is null, but it is there.
const CONTRACT: &[(&str, &str)] = &[
    (
        "",
        "schema_version run_id started_at build model_version scenario seed clock topology manager backend observer status \
         reason digest counts time latency latency_by processes managers limit assumptions provenance host warnings files",
    ),
    ("/build", "version commit dirty profile"),
    ("/scenario", "name hash set"),
    ("/topology", "kind shards scheme"),
    ("/manager", "kind behaviour"),
    (
        "/counts",
        "clusters managers apps apps_healthy changes superseded rounds calls events failed retries conflicts throttled \
         objects watch_events moved double_owned dropped_records",
    ),
    ("/time", "wall_s simulated_s setup_s warmup_s shutdown_s all_healthy_s"),
    ("/latency", "seen written fetched applied ready reported end_to_end"),
    ("/latency/end_to_end", "count min_s p50_s p90_s p99_s p999_s max_s"),
    (
        "/processes/0",
        "name role provenance cpu_s user_s sys_s rss_max_bytes rss_end_bytes fds_max threads_max connections_max watches_max \
         cached_objects_max bytes_in bytes_out calls",
    ),
    ("/processes/0/calls/0", "target verb resource subresource dry_run code count"),
    ("/managers/0", "name clusters apps queue_depth_max queue_wait"),
    ("/assumptions/0", "id value unit source kind"),
    ("/host", "cpus memory_bytes kernel busy_share"),
    ("/warnings/0", "code severity message advice"),
    ("/files/0", "path kind sha256"),
];

pub(crate) fn assert_contract(record: &Value) {
    for (place, fields) in CONTRACT {
        let object = record.pointer(place).and_then(Value::as_object);
        let object = object.unwrap_or_else(|| panic!("the record has no object at {place:?}"));
        let absent: Vec<_> = fields.split_whitespace().filter(|field| !object.contains_key(*field)).collect();
        assert!(absent.is_empty(), "{place:?} lacks {absent:?}");
    }
}

/// Every file that the record lists is there with its content, and no other is.
pub(crate) fn assert_complete(folder: &Path, record: &Value) {
    let mut listed = vec!["record.json".to_owned()];
    for file in record["files"].as_array().unwrap() {
        let name = file["path"].as_str().unwrap();
        let bytes = fs::read(folder.join(name)).unwrap();
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"], sha256, "{name}");
        assert!(!bytes.is_empty(), "{name} is empty");
        listed.push(name.to_owned());
    }
    let mut present: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    listed.sort();
    present.sort();
    assert_eq!(present, listed);
    let kinds: Vec<_> = record["files"].as_array().unwrap().iter().map(|file| file["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["histograms", "time-series", "processes", "scenario", "report"]);
    let stored: Value = serde_json::from_slice(&fs::read(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!(&stored, record, "what is printed is what is stored");
}

/// Calls of one role; empty words match everything.
fn calls(record: &Value, role: &str, verb: &str, resource: &str, subresource: Option<&str>) -> u64 {
    let processes = record["processes"].as_array().unwrap().iter().filter(|process| process["role"] == role);
    processes
        .flat_map(|process| process["calls"].as_array().unwrap())
        .filter(|call| {
            (verb.is_empty() || call["verb"] == verb) && (resource.is_empty() || call["resource"] == resource)
        })
        .filter(|call| subresource.is_none_or(|subresource| call["subresource"] == subresource))
        .map(|call| call["count"].as_u64().unwrap())
        .sum()
}

/// What the real kustomize-controller and source-controller were measured to ask for when 4 objects, one of them a
/// Deployment, are installed and waited for: 4N + 2D + 16 = 34 and 10, of which one look at the health is 6.
fn assert_calls_of_flux(record: &Value) {
    let apps = 20;
    let flux = |verb, resource, subresource| calls(record, "flux-model", verb, resource, subresource);
    // Under load a look may come before the Deployment is ready; each further one reads everything again.
    let looks = flux("list", "pods", None);
    assert!(looks >= apps, "{looks}");
    // Source and Kustomization are created side by side and both back off once. A Kustomization whose turn comes first
    // finds no artifact: it says so, which is a write and one that changes nothing, and the artifact wakes it.
    let statuses = flux("patch", "kustomizations", Some("status"));
    let early = statuses.saturating_sub(12 * apps) / 2;
    assert!(early <= apps, "none is early twice, for the next pass comes with the artifact: {early}");
    for (verb, resource, subresource, expected) in [
        // The finalizer; then 6 + 3 writes of the status and 2 + 1 that change nothing.
        ("patch", "kustomizations", Some(""), apps),
        ("patch", "kustomizations", Some("status"), 12 * apps + 2 * early),
        ("patch", "gitrepositories", Some(""), apps),
        ("patch", "gitrepositories", Some("status"), 8 * apps),
        // Dry run and apply.
        ("patch", "deployments", None, 2 * apps),
        ("patch", "configmaps", None, 2 * apps),
        ("patch", "services", None, 2 * apps),
        ("patch", "serviceaccounts", None, 2 * apps),
        // Absent before, then once per look.
        ("get", "deployments", None, apps + looks),
        ("get", "configmaps", None, apps + looks),
        ("get", "services", None, apps + looks),
        ("get", "serviceaccounts", None, apps + looks),
        ("list", "replicasets", None, looks),
        // Three of the Kustomization, one of the GitRepository, one of the Deployment's controller.
        ("create", "events", None, 5 * apps),
    ] {
        assert_eq!(flux(verb, resource, subresource), expected, "{verb} {resource} {subresource:?}");
    }
    let workloads = calls(record, "flux-model", "create", "replicasets", None)
        + calls(record, "flux-model", "update", "", Some("status"))
        + apps;
    assert_eq!(flux("", "", None) - workloads, (34 + 10 - 6) * apps + 6 * looks + 2 * early, "what Flux calls in all");
}

/// Stores and watches are counted where they are.
fn assert_objects(record: &Value) {
    let of = |role: &str, field: &str| {
        let process = record["processes"].as_array().unwrap().iter().find(|process| process["role"] == role).unwrap();
        process[field].as_u64()
    };
    let (hub, leaves) = (of("hub", "cached_objects_max").unwrap(), of("leaves", "cached_objects_max").unwrap());
    assert_eq!(record["counts"]["objects"], hub + leaves);
    // Of each app: two Flux objects, four that it installs and a ReplicaSet; beside Events and what every cluster has.
    assert!(leaves > 20 * 7, "{leaves}");
    // The manager was told of every Application and of every Flux object at least once.
    assert!(record["counts"]["watch_events"].as_u64().unwrap() >= 20 * 3, "{}", record["counts"]);
    // Threads have no memory, descriptors or sockets of their own.
    for field in ["rss_max_bytes", "rss_end_bytes", "fds_max", "bytes_in", "cached_objects_max"] {
        assert_eq!(of("flux-model", field), None, "{field}");
    }
}

#[test]
fn a_run_ends_with_every_app_healthy_and_a_complete_result() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("result");
    let output = run(&smoke(), &out);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_contract(&record);
    assert_complete(&out, &record);
    for (place, expected) in [
        ("/schema_version", Value::from(1)),
        ("/scenario/name", "smoke".into()),
        ("/clock", "real".into()),
        ("/observer", "commit-log".into()),
        ("/status", "complete".into()),
        ("/reason", Value::Null),
        ("/counts/clusters", 20.into()),
        ("/counts/managers", 1.into()),
        ("/counts/apps", 20.into()),
        ("/counts/apps_healthy", 20.into()),
        ("/counts/changes", 20.into()),
        ("/counts/failed", 0.into()),
        ("/counts/double_owned", 0.into()),
        ("/counts/dropped_records", 0.into()),
        ("/latency/end_to_end/count", 20.into()),
        ("/managers/0/apps", 20.into()),
    ] {
        assert_eq!(record.pointer(place), Some(&expected), "{place}");
    }
    assert_objects(&record);
    assert!(record["time"]["all_healthy_s"].as_f64().is_some_and(|s| s > 0.0));
    // Every change of this scenario is an install.
    assert_eq!(record.pointer("/latency_by/install"), record.pointer("/latency"));
    let roles: Vec<_> = ["harness", "hub", "leaves", "flux-model", "manager"]
        .into_iter()
        .filter(|role| !record["processes"].as_array().unwrap().iter().any(|process| process["role"] == *role))
        .collect();
    assert!(roles.is_empty(), "no process is {roles:?}");
    assert_calls_of_flux(&record);
    // What clients say they asked for is what the hub says it served.
    let applications = |role| calls(&record, role, "patch", "applications", None);
    assert_eq!(applications("manager"), applications("hub"));

    let again = run(&smoke(), &out);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("never overwritten") && again.stdout.is_empty(), "{}", said(&again));
    assert_complete(&out, &record);
}

#[test]
fn flux_objects_of_reference_mode_come_change_and_go_with_the_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("reference.yaml");
    let step = |at: &str, change: &str| format!("\n    - at: {at}\n      change: {{ {change} }}");
    let changes = [
        step("0s", "install: {}"),
        step("3s", "scale: { addon: ingress, values: { level: \"2\" } }"),
        step("6s", "decommission: { addon: ingress }"),
    ];
    let text = fs::read_to_string(smoke()).unwrap();
    let text = text.replace("versions: [v1.0.0]", "versions: [v1.0.0]\n      mode: reference");
    let text = text.replace("\n    - at: 0s\n      change: { install: {} }", &changes.concat());
    fs::write(&scenario, text).unwrap();
    let output = run(&scenario, &folder.path().join("result"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &record["counts"];
    assert_eq!((&record["status"], &counts["changes"], &counts["failed"]), (&"complete".into(), &60.into(), &0.into()));
    assert_eq!(counts["apps"], 0, "all are decommissioned");
    assert_eq!(record.pointer("/latency_by/decommission/end_to_end/count"), Some(&20.into()));
    // Who survives to be counted depends on how busy the machine is; the others were overtaken.
    let ended = record.pointer("/latency/end_to_end/count").unwrap().as_u64().unwrap();
    assert_eq!(ended + counts["superseded"].as_u64().unwrap(), 60);
    let harness = |verb, resource| calls(&record, "harness", verb, resource, None);
    assert!(harness("apply", "kustomizations") >= 40 && harness("apply", "gitrepositories") >= 40);
    assert!(harness("delete", "kustomizations") >= 20 && harness("delete", "gitrepositories") >= 20);
    assert_eq!(calls(&record, "manager", "apply", "kustomizations", None), 0, "the manager only looks");
}

#[test]
fn a_bad_scenario_is_bad_input_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("bad.yaml");
    fs::write(&scenario, fs::read_to_string(smoke()).unwrap().replace("clusters: 20", "clusters: many")).unwrap();
    let out = folder.path().join("result");
    let output = run(&scenario, &out);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("bad.yaml") && output.stdout.is_empty(), "{}", said(&output));
    assert!(!out.exists());
}

/// A run that lasts: its workloads do not become ready. Dropping it kills it.
pub(crate) struct Long {
    pub(crate) child: Child,
    pub(crate) stderr: BufReader<std::process::ChildStderr>,
    pub(crate) out: PathBuf,
    /// What it said on standard error until then.
    pub(crate) begun: String,
    _folder: tempfile::TempDir,
}

impl Long {
    /// Starts it and waits until it says how it goes.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("result");
        let mut child = flamboyance()
            .arg("run")
            .arg(smoke())
            .args(["--set", "run.workloadReady.fixed=10m", "--set", "run.timeout=10m", "--out"])
            .arg(&out)
            .args(["-o", "json"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut begun = String::new();
        // All Applications are on the hub by then.
        while !begun.contains("0/20 apps healthy") {
            assert!(stderr.read_line(&mut begun).unwrap() > 0, "it ended before it said how it goes: {begun}");
        }
        Self { child, stderr, out, begun, _folder: folder }
    }

    /// The processes that it started.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .flat_map(|task| {
                let text = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
                text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
            })
            .collect()
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of `/proc/net`: words of four bytes in the machine's order, and a port, in hexadecimal.
fn address(text: &str) -> SocketAddr {
    let (hex, port) = text.split_once(':').unwrap();
    let words = (0..hex.len()).step_by(8).map(|at| u32::from_str_radix(&hex[at..at + 8], 16).unwrap());
    let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_canonical(),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

/// Both ends of every IP socket of a process.
fn ends_of_sockets(pid: u32) -> Vec<(SocketAddr, SocketAddr)> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets: Vec<String> =
        links.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_string_lossy().into_owned())).collect();
    ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|text| {
            let own = |line: &&str| {
                line.split_whitespace().nth(9).is_some_and(|inode| targets.contains(&format!("socket:[{inode}]")))
            };
            let both = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (address(words[1]), address(words[2]))
            };
            text.lines().skip(1).filter(own).map(both).collect::<Vec<_>>()
        })
        .collect()
}

/// The address under which others would reach this machine, if it has a network. Sends nothing.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documentation (RFC 5737): only the route to it is looked up.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

/// Whether a server hangs up on those who reach it at `address`, whatever they say.
fn hangs_up(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return true };
    // It may have hung up already.
    let _ = socket.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut answer = Vec::new();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match socket.read_to_end(&mut answer) {
        Ok(_) => answer.is_empty(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset && answer.is_empty(),
    }
}

#[test]
fn an_interrupted_run_keeps_what_it_has_and_leaves_nothing_running() {
    let mut long = Long::start();
    let children = long.children();
    assert_eq!(children.len(), 3, "hub, leaves, manager: {children:?}");

    // Nothing of a run talks beyond loopback, and nobody from beyond is heard: the servers' sockets take every address,
    // because each cluster has its own below 127.0.0.0/8, and hang up on all others.
    for &pid in children.iter().chain([&long.child.id()]) {
        let ends = ends_of_sockets(pid);
        // The harness has written its Applications and hung up.
        assert!(
            !ends.is_empty() || pid == long.child.id(),
            "process {pid} has no socket: this looks at the wrong thing"
        );
        for (local, remote) in ends {
            if remote.ip().is_unspecified() {
                let outside = outer_address().map(|ip| SocketAddr::new(ip, local.port()));
                let closed = local.ip().is_loopback() || outside.is_none_or(hangs_up);
                assert!(closed, "process {pid} listens at {local} and answers {outside:?}");
            } else {
                let inside = local.ip().is_loopback() && remote.ip().is_loopback();
                assert!(inside, "process {pid}: {local} - {remote}");
            }
        }
    }

    // As Ctrl-C in a terminal does: to whoever shares the group.
    let group = rustix::process::Pid::from_child(&long.child);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    assert_eq!(long.child.wait().unwrap().code(), Some(130));
    let alive: Vec<_> = children.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
    assert!(alive.is_empty(), "still there: {alive:?}");

    let record: Value = serde_json::from_reader(long.child.stdout.take().unwrap()).unwrap();
    assert_eq!((&record["status"], &record["reason"]), (&"partial".into(), &"interrupted".into()));
    assert_eq!((&record["counts"]["apps"], &record["counts"]["apps_healthy"]), (&20.into(), &0.into()));
    assert_contract(&record);
    assert_complete(&long.out, &record);
    assert_eq!(calls(&record, "hub", "create", "applications", None), 20, "the children said what they did");
    assert!(long.stderr.by_ref().lines().all(|line| !line.unwrap().contains("unexpectedly")));
}
