//! What calls of the API server cost: in this process through `Cluster::handle`, and as CPU of a `serve` process over
//! HTTP/2 and TLS with 64 calls in flight on one connection.
//!
//! All figures are CPU time: that of this thread in process, that of the server's threads (`schedstat`) over the wire.
//! They mean the same on a busy machine. `watch memory` prints the server's memory per idle watch.

use base64::Engine as _;
use bytes::Bytes;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use flamboyance::apiserver::clusters::{Base, Cluster, Clusters, Settings};
use flamboyance::apiserver::object::Form;
use flamboyance::apiserver::request::{Body, Now, Options, PatchType, Request, Response, Verb};
use flamboyance::apiserver::schema::{self, Resource};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::hint::black_box;
use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

/// CPU time of the thread.
struct Cpu;

impl Measurement for Cpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static WALL: WallTime = WallTime;
        WALL.formatter()
    }
}

/// Calls on the wire at once.
const IN_FLIGHT: u64 = 64;

fn numbers() -> impl Fn() -> u64 {
    let next = AtomicU64::new(0);
    move || next.fetch_add(1, Ordering::Relaxed)
}

fn config_map(name: &str, data: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": "bench", "team": "platform" } },
        "data": { "key": data, "config.yaml": "a: 1\nb: [1, 2, 3]\n".repeat(20) } })
}

fn deployment(name: &str, image: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": name } },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [{
                "name": "main", "image": image, "ports": [{ "containerPort": 8080 }],
                "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
            }] } } } })
}

fn kustomization(name: &str) -> Value {
    json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "interval": "10m", "path": "./deploy", "prune": true, "wait": true,
            "sourceRef": { "kind": "GitRepository", "name": name } } })
}

/// The status of a Kustomization that became ready, as a patch.
fn ready(n: u64) -> String {
    let condition = |kind: &str| {
        json!({ "type": kind, "status": "True", "reason": "ReconciliationSucceeded", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z", "message": format!("Applied revision: main@sha1:{n:040x}") })
    };
    let entries: Vec<Value> =
        (0..5).map(|n| json!({ "id": format!("default_object-{n}_apps_Deployment"), "v": "v1" })).collect();
    json!({ "status": { "conditions": [condition("Ready"), condition("Healthy")], "observedGeneration": 1,
        "lastAppliedRevision": format!("main@sha1:{n:040x}"), "lastAttemptedRevision": format!("main@sha1:{n:040x}"),
        "inventory": { "entries": entries } } })
    .to_string()
}

/// One cluster with the Flux kinds, in this process.
struct Local {
    cluster: Arc<Cluster>,
    now: Now,
    _clusters: Clusters,
}

impl Local {
    fn new() -> Self {
        let base = Base::new(schema::flux_crds(), &[]).expect("the shipped definitions are valid");
        let mut clusters = Clusters::new(Settings::default(), Vec::new());
        let now = Now::read();
        Self { cluster: clusters.add(&base, now), now, _clusters: clusters }
    }

    fn resource(&self, plural: &str) -> Arc<Resource> {
        let catalog = self.cluster.catalog();
        catalog.resources().iter().find(|one| one.plural == plural).expect("a kind of the profile").clone()
    }

    fn call<'a>(&self, request: &Request<'a>) -> Response {
        let response = self.cluster.handle(request, self.now);
        assert!(response.code() < 300, "{response:?}");
        response
    }

    fn create(&self, plural: &str, object: &Value) {
        let resource = self.resource(plural);
        self.call(&Request {
            body: Body::Value(object),
            ..Request::new(Verb::Create, &resource, "bench/1").on("default", "")
        });
    }

    fn patch(&self, resource: &Arc<Resource>, name: &str, sub: Option<&'static str>, kind: PatchType, text: &str) {
        let applies = kind == PatchType::Apply;
        let options = Options { force: applies, field_manager: applies.then_some("bench"), ..Options::default() };
        let body = Body::Patch(kind, text.as_bytes());
        let request = Request::new(Verb::Patch, resource, "bench/1").on("default", name);
        black_box(self.call(&Request { body, subresource: sub, options, ..request }));
    }
}

#[expect(clippy::too_many_lines, reason = "one call after the other")]
fn in_process(c: &mut Criterion<Cpu>) {
    let local = Local::new();
    let (maps, deployments, kustomizations) =
        (local.resource("configmaps"), local.resource("deployments"), local.resource("kustomizations"));
    local.create("deployments", &deployment("one", "registry/app:1"));
    local.create("kustomizations", &kustomization("one"));
    for n in 0..500 {
        local.create("configmaps", &config_map(&format!("listed-{n}"), "x"));
    }
    let next = numbers();
    let mut group = c.benchmark_group("in process");
    group.bench_function("get and render", |b| {
        let request = Request::new(Verb::Get, &deployments, "bench/1").on("default", "one");
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            let Response::Object { object, .. } = local.call(&request) else { panic!("no object") };
            object.render(&deployments, Form::Alone, &mut out);
        });
    });
    group.bench_function("create", |b| {
        let text = || deployment(&format!("made-{}", next()), "registry/app:1").to_string();
        b.iter_batched(
            text,
            |text| {
                let request = Request::new(Verb::Create, &deployments, "bench/1").on("default", "");
                local.call(&Request { body: Body::Json(text.as_bytes()), ..request })
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("merge patch", |b| {
        let text = || json!({ "spec": { "interval": format!("{}s", next() + 1) } }).to_string();
        let patch = |text: String| local.patch(&kustomizations, "one", None, PatchType::Merge, &text);
        b.iter_batched(text, patch, BatchSize::SmallInput);
    });
    group.bench_function("merge patch of a deployment", |b| {
        let text = || json!({ "spec": { "replicas": next() % 100_000 } }).to_string();
        let patch = |text: String| local.patch(&deployments, "one", None, PatchType::Merge, &text);
        b.iter_batched(text, patch, BatchSize::SmallInput);
    });
    group.bench_function("status patch", |b| {
        let patch = |text: String| local.patch(&kustomizations, "one", Some("status"), PatchType::Merge, &text);
        b.iter_batched(|| ready(next()), patch, BatchSize::SmallInput);
    });
    group.bench_function("apply", |b| {
        let text = || deployment("applied", &format!("registry/app:{}", next())).to_string();
        let patch = |text: String| local.patch(&deployments, "applied", None, PatchType::Apply, &text);
        b.iter_batched(text, patch, BatchSize::SmallInput);
    });
    group.bench_function("apply that creates", |b| {
        let text = || {
            let name = format!("new-{}", next());
            (deployment(&name, "registry/app:1").to_string(), name)
        };
        let patch = |(text, name): (String, String)| local.patch(&deployments, &name, None, PatchType::Apply, &text);
        b.iter_batched(text, patch, BatchSize::SmallInput);
    });
    group.bench_function("apply without change", |b| {
        let text = deployment("applied", "registry/app:same").to_string();
        b.iter(|| local.patch(&deployments, "applied", None, PatchType::Apply, &text));
    });
    group.bench_function("event", |b| {
        let text = || {
            json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": format!("e.{:x}", next()) }, "count": 1,
            "involvedObject": { "apiVersion": "v1", "kind": "ConfigMap", "name": "one", "namespace": "default",
                "uid": "8d2c4b6e-0000-4000-8000-000000000000" }, "eventTime": null,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
            "message": "stored artifact for revision", "reason": "NewArtifact", "reportingComponent": "bench",
            "source": { "component": "bench" }, "type": "Normal" })
            .to_string()
        };
        let events = local.cluster.catalog().find("", "v1", "events").expect("a built-in kind").clone();
        b.iter_batched(
            text,
            |text| {
                let request = Request::new(Verb::Create, &events, "bench/1").on("default", "");
                local.call(&Request { body: Body::Json(text.as_bytes()), ..request })
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("list of 500 and render", |b| {
        let request = Request::new(Verb::List, &maps, "bench/1").on("default", "");
        let request = Request { options: Options { limit: 500, ..Options::default() }, ..request };
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            let Response::List(list) = local.call(&request) else { panic!("no list") };
            for item in &list.items {
                item.render(&maps, Form::Item, &mut out);
            }
        });
    });
    group.finish();
    fan_out(c, &local);
}

/// One write and what a hundred watchers make of it.
fn fan_out(c: &mut Criterion<Cpu>, local: &Local) {
    local.create("configmaps", &config_map("watched", "0"));
    let maps = local.resource("configmaps");
    let version = local.cluster.version().to_string();
    let mut watches: Vec<_> = (0..100)
        .map(|_| {
            let options = Options { resource_version: &version, ..Options::default() };
            let request = Request::new(Verb::Watch, &maps, "bench/1").on("default", "");
            match local.call(&Request { options, ..request }) {
                Response::Watch(watch) => watch,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let next = numbers();
    c.bench_function("in process/write to 100 watchers", |b| {
        b.iter(|| {
            let text = json!({ "data": { "key": next().to_string() } }).to_string();
            local.patch(&maps, "watched", None, PatchType::Merge, &text);
            for watch in &mut watches {
                while let Some(event) = watch.next_now() {
                    black_box(event.json(&maps));
                }
            }
        });
    });
}

/// `serve` as a process of its own, and one connection to it.
struct Remote {
    child: Child,
    send: SendRequest<Full<Bytes>>,
    server: String,
    token: String,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start() -> Remote {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    let mut child = Command::new(env!("CARGO_BIN_EXE_flamboyance"))
        .args(["serve", "--profile", "leaf", "--kubeconfig"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the built binary");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    std::io::BufReader::new(out).read_line(&mut line).expect("its line");
    let text = std::fs::read_to_string(&path).expect("its kubeconfig");
    let config: Value = serde_saphyr::from_str(&text).expect("YAML");
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    let ca = base64::engine::general_purpose::STANDARD
        .decode(text("/clusters/0/cluster/certificate-authority-data"))
        .expect("base64");
    let (server, token) = (text("/clusters/0/cluster/server"), text("/users/0/user/token"));
    // The shared endpoint, which carries as many watches as one likes; the first cluster answers there.
    let port = server.rsplit(':').next().expect("a port");
    let server = format!("https://127.0.0.1:{port}");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let send = runtime.block_on(connect(&server, &ca));
    Remote { child, send, server, token, runtime, _folder: folder }
}

async fn connect(server: &str, ca: &[u8]) -> SendRequest<Full<Bytes>> {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).expect("a certificate")).expect("an authority");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let host = server.strip_prefix("https://").expect("https");
    let socket = tokio::net::TcpStream::connect(host).await.expect("a connection");
    socket.set_nodelay(true).expect("a socket");
    let name = host.split(':').next().expect("a host").to_owned();
    let name = ServerName::try_from(name).expect("an address");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("TLS");
    let (send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_connection_window_size(64 << 20)
        .initial_stream_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    send
}

/// A call: method, path, media type, body.
type Call = (&'static str, String, &'static str, String);

impl Remote {
    /// CPU of all threads of the server.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a running server");
        let nanos = tasks.flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running server");
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0) * 1024
    }

    fn request(&self, (method, path, media, body): Call) -> impl Future<Output = http::Response<Incoming>> + use<> {
        let mut send = self.send.clone();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("user-agent", "bench/1")
            .header("content-type", media)
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        async move {
            send.ready().await.expect("a connection");
            send.send_request(request).await.expect("an answer")
        }
    }

    /// Makes calls, so many at once, and gives the server's CPU for all of them.
    fn spend(&self, calls: u64, make: &dyn Fn() -> Call) -> Duration {
        let before = self.cpu();
        self.runtime.block_on(async {
            let mut running = tokio::task::JoinSet::new();
            for n in 0..calls {
                if n >= IN_FLIGHT {
                    running.join_next().await;
                }
                let answer = self.request(make());
                running.spawn(async move {
                    let answer = answer.await;
                    let code = answer.status();
                    let body = answer.into_body().collect().await.expect("a body").to_bytes();
                    assert!(code.is_success(), "{code} {}", String::from_utf8_lossy(&body));
                });
            }
            while running.join_next().await.is_some() {}
        });
        self.cpu() - before
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const KUSTOMIZATIONS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/default/kustomizations";

/// Makes a call.
type Maker<'a> = Box<dyn Fn() -> Call + 'a>;

fn over_the_wire(c: &mut Criterion<Cpu>) {
    let remote = start();
    let next = numbers();
    let once = |call: Call| {
        remote.spend(1, &move || call.clone());
    };
    // Calls that are in flight together are about different objects: nobody measures conflicts.
    let turn = numbers();
    let one = || format!("one-{}", turn() % (2 * IN_FLIGHT));
    for n in 0..2 * IN_FLIGHT {
        let name = format!("one-{n}");
        once(("POST", DEPLOYMENTS.to_owned(), JSON, deployment(&name, "registry/app:1").to_string()));
        once(("POST", KUSTOMIZATIONS.to_owned(), JSON, kustomization(&name).to_string()));
    }
    for n in 0..500 {
        once(("POST", MAPS.to_owned(), JSON, config_map(&format!("listed-{n}"), "x").to_string()));
    }
    let applied = |name: &str| format!("{DEPLOYMENTS}/{name}?fieldManager=bench&force=true");
    let calls: Vec<(&str, Maker<'_>)> = vec![
        ("get", Box::new(|| ("GET", format!("{DEPLOYMENTS}/{}", one()), JSON, String::new()))),
        (
            "create",
            Box::new(|| {
                let object = deployment(&format!("made-{}", next()), "registry/app:1");
                ("POST", DEPLOYMENTS.to_owned(), JSON, object.to_string())
            }),
        ),
        (
            "merge patch",
            Box::new(|| {
                let patch = json!({ "spec": { "interval": format!("{}s", next() + 1) } });
                ("PATCH", format!("{KUSTOMIZATIONS}/{}", one()), MERGE, patch.to_string())
            }),
        ),
        ("status patch", Box::new(|| ("PATCH", format!("{KUSTOMIZATIONS}/{}/status", one()), MERGE, ready(next())))),
        (
            "apply",
            Box::new(|| {
                let name = one();
                let object = deployment(&name, &format!("registry/app:{}", next()));
                ("PATCH", applied(&name), APPLY, object.to_string())
            }),
        ),
        (
            "apply without change",
            Box::new(|| {
                let name = one();
                ("PATCH", applied(&name), APPLY, deployment(&name, "registry/app:same").to_string())
            }),
        ),
        ("list of 500", Box::new(|| ("GET", format!("{MAPS}?limit=500"), JSON, String::new()))),
    ];
    let mut group = c.benchmark_group("server CPU over HTTP/2 and TLS");
    group.sample_size(10);
    for (name, make) in &calls {
        group.bench_function(*name, |b| b.iter_custom(|n| remote.spend(n, make)));
    }
    watched(&mut group, &remote);
    group.finish();
    watch_memory();
}

/// Server CPU per write and event with a hundred watches on the connection; a write alone is `merge patch`.
fn watched(group: &mut BenchmarkGroup<'_, Cpu>, remote: &Remote) {
    let path = "/api/v1/namespaces/kube-public/configmaps";
    let map = json!({ "metadata": { "name": "watched", "namespace": "kube-public" }, "data": { "key": "" } });
    remote.spend(1, &|| ("POST", path.to_owned(), JSON, map.to_string()));
    let seen = Arc::new(AtomicU64::new(0));
    for _ in 0..100 {
        let answer = remote.request(("GET", format!("{path}?watch=true"), JSON, String::new()));
        let seen = Arc::clone(&seen);
        remote.runtime.spawn(async move {
            let mut body = answer.await.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                let lines = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                seen.fetch_add(lines as u64, Ordering::Relaxed);
            }
        });
    }
    let next = numbers();
    let wait = |lines: u64| {
        while seen.load(Ordering::Relaxed) < lines {
            std::thread::yield_now();
        }
    };
    wait(100);
    group.bench_function("write with 100 watchers", |b| {
        b.iter_custom(|n| {
            let (before, told) = (remote.cpu(), seen.load(Ordering::Relaxed));
            for done in 1..=n {
                let patch = json!({ "data": { "key": format!("{:0600}", next()) } }).to_string();
                remote.spend(1, &|| ("PATCH", format!("{path}/watched"), MERGE, patch.clone()));
                wait(told + 100 * done);
            }
            remote.cpu() - before
        });
    });
}

#[expect(clippy::print_stdout, reason = "what a benchmark finds")]
/// Prints the server's memory per idle watch, 10,000 of them on one connection.
fn watch_memory() {
    let remote = start();
    let watches = 10_000;
    let path = format!("{MAPS}?watch=true&resourceVersion=1");
    let open = |count: u64| {
        let answers: Vec<_> = (0..count).map(|_| remote.request(("GET", path.clone(), JSON, String::new()))).collect();
        remote.runtime.block_on(async {
            let mut open = Vec::new();
            for answer in answers {
                open.push(answer.await);
            }
            open
        })
    };
    let _warm = open(90);
    let before = remote.memory();
    let _idle = open(watches);
    let each = (remote.memory().saturating_sub(before)) / watches;
    println!("watch memory: {each} bytes of server memory per idle watch, {watches} on one connection");
}

criterion_group!(name = benches; config = Criterion::default().with_measurement(Cpu); targets = in_process, over_the_wire);
criterion_main!(benches);
