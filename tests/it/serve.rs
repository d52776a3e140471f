//! `serve` as a script sees it: the built binary, its one line, its kubeconfig, its sockets and its end.

pub(crate) mod client;

use client::{Client, Reply};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) line: String,
    pub(crate) kubeconfig: Value,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts `serve` and waits for its line.
    pub(crate) fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"))
            .arg("serve")
            .arg("--kubeconfig")
            .arg(&path)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let kubeconfig = serde_saphyr::from_str(&text).unwrap();
        Self { child, stdout, line, kubeconfig, folder }
    }

    /// Its kubeconfig file.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub(crate) fn entry(&self, list: &str, name: &str) -> &Value {
        self.kubeconfig[list].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
    }

    /// A client of one context.
    pub(crate) fn client(&self, context: &str, h2: bool) -> Client {
        let cluster = &self.entry("clusters", context)["cluster"];
        let token = self.entry("users", context)["user"]["token"].as_str().unwrap();
        let ca = cluster["certificate-authority-data"].as_str().unwrap();
        Client::new(cluster["server"].as_str().unwrap(), ca, token, h2)
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(reply: &Reply) -> (u16, String) {
    (reply.code, reply.json()["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_kubeconfig_is_complete_when_the_line_is_printed() {
    let server = Server::start(&["--clusters", "3"]);
    assert!(server.line.ends_with('\n') && server.line.contains("3 clusters"), "{}", server.line);
    let names: Vec<&str> =
        server.kubeconfig["contexts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hub", "cluster-00000", "cluster-00001", "cluster-00002"]);
    for context in names {
        let mut client = server.client(context, true);
        let reply = client.get("/api/v1/namespaces/default").await;
        assert_eq!((reply.code, &reply.json()["metadata"]["name"]), (200, &json!("default")), "{context}");
    }
}

#[tokio::test]
async fn sigterm_ends_it_and_nothing_more_is_printed() {
    let mut server = Server::start(&[]);
    let mut client = server.client("hub", true);
    let _watch = client.open("/api/v1/namespaces?watch=1").await;
    server.terminate();
    assert!(server.child.wait().unwrap().success());
    let mut rest = String::new();
    server.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[tokio::test]
async fn the_token_of_another_cluster_is_unauthorized() {
    let server = Server::start(&["--clusters", "1"]);
    let mut client = server.client("cluster-00000", true);
    let token = server.entry("users", "hub")["user"]["token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/api/v1/pods").await.code, 200);
    client.token = Some(token);
    assert_eq!(message(&client.get("/api/v1/pods").await), (401, "Unauthorized".to_owned()));
    assert_eq!(client.get("/clusters/hub/api/v1/pods").await.code, 200);
    client.token = None;
    let (code, text) = message(&client.get("/api/v1/pods").await);
    assert_eq!(code, 403);
    assert!(text.contains("system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope"));
    assert_eq!(client.get("/livez/ping").await.text(), "ok");
}

#[tokio::test]
async fn every_reply_carries_the_flow_control_headers() {
    let server = Server::start(&[]);
    for h2 in [false, true] {
        let mut client = server.client("hub", h2);
        for path in ["/livez/ping", "/nothing", "/api/v1/pods", "/version", "/api/v1/pods/x"] {
            let reply = client.get(path).await;
            for name in ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid", "audit-id"] {
                assert!(reply.header(name).is_some_and(|value| !value.is_empty()), "{path} {name}");
            }
        }
        let reply = client.send("HEAD", "/livez/ping", &[], b"").await;
        assert_eq!((reply.code, reply.text()), (200, String::new()));
    }
}

#[tokio::test]
async fn garbage_on_the_wire_hurts_nobody_else() {
    let server = Server::start(&[]);
    let mut client = server.client("hub", false);
    for garbage in
        [&b"\0\x01\x02 nonsense\r\n\r\n"[..], b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"\x16\x03\x01"]
    {
        server.client("hub", false).raw(garbage).await;
        server.client("hub", true).raw(garbage).await;
    }
    for path in ["/%zz", "/%ff", "/clusters/", "/clusters/none/api", "/api/v1/namespaces//pods", "//"] {
        assert!(client.get(path).await.code < 500, "{path}");
    }
    assert_eq!(client.get("/healthz").await.text(), "ok");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_the_original_words() {
    let server = Server::start(&[]);
    for h2 in [false, true] {
        let mut client = server.client("hub", h2);
        let json = [("content-type", "application/json")];
        let reply = client.send("POST", "/api/v1/namespaces/default/configmaps", &json, &vec![b'a'; 3_200_000]).await;
        assert_eq!(message(&reply), (413, "Request entity too large: limit is 3145728".to_owned()));
    }
}

#[tokio::test]
async fn methods_paths_and_media_types_are_refused_as_upstream_refuses_them() {
    let server = Server::start(&[]);
    let mut client = server.client("hub", true);
    let (json, text) = ([("content-type", "application/json")], [("content-type", "text/plain")]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let no_method = "the server does not allow this method on the requested resource";
    let no_resource = "the server could not find the requested resource";
    let types = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    for (method, path, headers, code, expected) in [
        ("POST", "/api/v1/pods", &json, 405, no_method),
        ("PUT", maps, &json, 405, no_method),
        ("POST", maps, &text, 415, types),
        ("PATCH", "/api/v1/namespaces/default", &json, 415, "415: Unsupported Media Type"),
        ("GET", "/api/v1/foo", &json, 404, no_resource),
        ("GET", "/apis/apps/v9", &json, 404, no_resource),
        ("GET", "/api/v1/pods?limit=x", &json, 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            "GET",
            "/api/v1/pods?timeout=zz",
            &json,
            400,
            "invalid timeout specified in the request URL - time: invalid duration \"zz\"",
        ),
    ] {
        let reply = client.send(method, path, headers, b"{}").await;
        assert_eq!(message(&reply), (code, expected.to_owned()), "{method} {path}");
    }
    for path in ["/nothing", "/apis/nogroup", "/apis/nogroup/v1/x", "/livez/nope"] {
        let reply = client.get(path).await;
        assert_eq!((reply.code, reply.text().as_str()), (404, "404 page not found\n"), "{path}");
    }
}

#[tokio::test]
async fn a_watch_sees_what_is_written_over_either_protocol() {
    let server = Server::start(&["--clusters", "1"]);
    for h2 in [false, true] {
        let mut watcher = server.client("cluster-00000", h2);
        let path = "/api/v1/namespaces/default/configmaps?watch=1&allowWatchBookmarks=true";
        let mut watch = watcher.open(path).await;
        let mut event = watch.line().await;
        while event["type"] != "BOOKMARK" {
            event = watch.line().await;
        }
        let mut client = server.client("cluster-00000", h2);
        let name = format!("over-h2-{h2}");
        let body = json!({ "metadata": { "name": name }, "data": { "k": "v" } }).to_string();
        let json = [("content-type", "application/json")];
        let created = client.send("POST", "/api/v1/namespaces/default/configmaps", &json, body.as_bytes()).await;
        assert_eq!(created.code, 201);
        let event = watch.line().await;
        assert_eq!((&event["type"], &event["object"]), (&json!("ADDED"), &created.json()));
        let path = format!("/api/v1/namespaces/default/configmaps/{name}");
        let merge = [("content-type", "application/merge-patch+json")];
        assert_eq!(client.send("PATCH", &path, &merge, br#"{"data":{"k":"w"}}"#).await.code, 200);
        assert_eq!(watch.line().await["object"]["data"]["k"], "w");
        assert_eq!(client.send("DELETE", &path, &[], b"").await.code, 200);
        assert_eq!(watch.line().await["type"], "DELETED");
        assert_eq!(client.get(&path).await.code, 404);
    }
}

#[tokio::test]
async fn discovery_is_given_in_the_form_that_is_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client("hub", true);
    let asked = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")];
    let reply = client.send("GET", "/apis", &asked, b"").await;
    assert_eq!(reply.json()["kind"], "APIGroupDiscoveryList");
    assert_eq!(
        reply.header("content-type").as_deref(),
        Some("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    );
    let etag = reply.header("etag").unwrap();
    let again = client.send("GET", "/apis", &[asked[0], ("if-none-match", etag.as_str())], b"").await;
    assert_eq!((again.code, again.text()), (304, String::new()));
    let old =
        [("accept", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")];
    let reply = client.send("GET", "/apis", &old, b"").await;
    assert_eq!(
        (&reply.json()["kind"], reply.header("content-type").as_deref()),
        (&json!("APIGroupList"), Some("application/json"))
    );
}

#[tokio::test]
async fn tables_and_metadata_replace_objects_when_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client("hub", true);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let reply = client.send("GET", "/api/v1/namespaces", &table, b"").await.json();
    assert_eq!(reply["kind"], "Table");
    assert_eq!(reply["rows"][0]["cells"][0], "default");
    assert_eq!(reply["rows"][0]["cells"][1], "Active");
    assert_eq!(reply["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let metadata = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
    let reply = client.send("GET", "/api/v1/namespaces", &metadata, b"").await.json();
    assert_eq!(reply["kind"], "PartialObjectMetadataList");
    assert_eq!(reply["items"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["apiVersion", "kind", "metadata"]);
    let single = [("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")];
    assert_eq!(client.send("GET", "/api/v1/namespaces", &single, b"").await.code, 406);
}

#[test]
fn a_port_in_use_is_the_environments_fault_and_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"))
        .args(["serve", "--listen", &address, "--kubeconfig"])
        .arg(folder.path().join("kubeconfig"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("in use") && stderr.contains("--listen"), "{stderr}");
    assert!(output.stdout.is_empty());
}

/// A hook on a socket of its own that denies every ConfigMap called `denied` and labels all others; gives its URL and
/// its certificate, which signed itself.
fn start_hook() -> (String, String) {
    use std::io::Write;
    use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}//hook", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, socket.unwrap()));
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let review: Value = serde_json::from_slice(&body).unwrap();
            let mut response = json!({ "uid": review["request"]["uid"], "allowed": true, "warnings": ["seen"] });
            if review["request"]["name"] == "denied" {
                response["allowed"] = json!(false);
                response["status"] = json!({ "code": 403, "reason": "Forbidden", "message": "not this one" });
            } else {
                // [{"op":"add","path":"/metadata/labels","value":{"hooked":"yes"}}]
                response["patchType"] = json!("JSONPatch");
                response["patch"] =
                    json!("W3sib3AiOiJhZGQiLCJwYXRoIjoiL21ldGFkYXRhL2xhYmVscyIsInZhbHVlIjp7Imhvb2tlZCI6InllcyJ9fV0=");
            }
            let answer =
                json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
            let answer = answer.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
            write!(stream.get_mut(), "{head}{}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    (url, own.cert.pem())
}

#[tokio::test]
async fn a_webhook_changes_and_refuses_what_is_written() {
    let server = Server::start(&[]);
    let (url, pem) = start_hook();
    let mut client = server.client("hub", true);
    let configuration = json!({ "metadata": { "name": "one" }, "webhooks": [{
        "name": "one.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": { "url": url, "caBundle": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem) },
        "rules": [{ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"] }],
    }] });
    let json = [("content-type", "application/json")];
    let hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let made = client.send("POST", hooks, &json, configuration.to_string().as_bytes()).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let path = "/api/v1/namespaces/default/configmaps";
    let denied = client.send("POST", path, &json, br#"{"metadata":{"name":"denied"}}"#).await;
    let why = "admission webhook \"one.example.com\" denied the request: not this one";
    assert_eq!(message(&denied), (403, why.to_owned()));
    let made = client.send("POST", path, &json, br#"{"metadata":{"name":"other"}}"#).await;
    assert_eq!((made.code, &made.json()["metadata"]["labels"]), (201, &json!({ "hooked": "yes" })));
    assert_eq!(made.header("warning").as_deref(), Some("299 - \"seen\""));
    assert_eq!(client.send("DELETE", &format!("{hooks}/one"), &[], b"").await.code, 200);
    let made = client.send("POST", path, &json, br#"{"metadata":{"name":"denied"}}"#).await;
    assert_eq!(made.code, 201);
}
