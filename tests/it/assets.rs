//! The stand-ins for `kube-apiserver` and `etcd` as a test suite of a controller starts them.

use crate::serve::client::Client;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A started stand-in. Dropping it kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn assets(folder: &Path) -> std::process::Output {
    Command::new(assert_cmd::cargo::cargo_bin!("flamboyance")).arg("assets").arg(folder).output().unwrap()
}

fn start(folder: &Path, name: &str, args: &[String]) -> Running {
    Running(Command::new(folder.join(name)).args(args).stderr(Stdio::null()).spawn().unwrap())
}

/// A port that was free a moment ago, as suites choose theirs.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Connects as soon as the other side listens; the test run's own limit ends a wait for nothing.
fn connect(port: u16) -> TcpStream {
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(_) => std::thread::yield_now(),
        }
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// PEM of a certificate and its key.
fn certificate(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    groups: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

/// A control plane as `envtest` configures it, and who signs its users.
struct ControlPlane {
    _server: Running,
    _folder: tempfile::TempDir,
    port: u16,
    clients: CertifiedIssuer<'static, KeyPair>,
    serving_ca: String,
}

impl ControlPlane {
    fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert!(assets(folder.path()).status.success());
        let (serving, clients) = (authority(), authority());
        let (cert, key) = certificate(&serving, "kube-apiserver", &[], ExtendedKeyUsagePurpose::ServerAuth);
        for (file, text) in [("apiserver.crt", cert), ("apiserver.key", key), ("client-ca.crt", clients.pem())] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let (port, path) = (free_port(), folder.path().display());
        let args = [
            "--etcd-servers=http://127.0.0.1:1".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--authorization-mode={mode}"),
            format!("--secure-port={port}"),
            format!("--cert-dir={path}"),
            format!("--client-ca-file={path}/client-ca.crt"),
        ];
        let server = start(folder.path(), "kube-apiserver", &args);
        drop(connect(port));
        Self { _server: server, _folder: folder, port, clients, serving_ca: serving.pem() }
    }

    fn user(&self, name: &str, groups: &[&str]) -> Client {
        let (cert, key) = certificate(&self.clients, name, groups, ExtendedKeyUsagePurpose::ClientAuth);
        Client::with_certificate(&format!("https://127.0.0.1:{}", self.port), &self.serving_ca, Some((&cert, &key)))
    }

    fn bearer(&self, token: &str) -> Client {
        let mut client = Client::with_certificate(&format!("https://127.0.0.1:{}", self.port), &self.serving_ca, None);
        client.token = Some(token.to_owned());
        client
    }
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn certificates_say_who_calls_and_roles_what_they_may() {
    let plane = ControlPlane::start("RBAC");
    let mut admin = plane.user("root", &["system:masters"]);
    let mut ann = plane.user("ann", &["devs"]);
    assert_eq!(admin.get(CONFIG_MAPS).await.code, 200);
    let refused = ann.get(CONFIG_MAPS).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "configmaps is forbidden: User \"ann\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    let role = json!({ "metadata": { "name": "r" }, "rules": [
        { "verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"] },
    ] });
    let binding = json!({ "metadata": { "name": "b" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devs" }],
    });
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    assert_eq!(admin.post(&format!("{rbac}/roles"), &role).await.code, 201);
    assert_eq!(admin.post(&format!("{rbac}/rolebindings"), &binding).await.code, 201);
    assert_eq!(ann.get(CONFIG_MAPS).await.code, 200);
    assert_eq!(ann.get("/api/v1/namespaces/kube-system/configmaps").await.code, 403);
    let review = json!({ "spec": { "resourceAttributes": { "verb": "list", "resource": "configmaps", "namespace": "default" } } });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(ann.post(path, &review).await.json()["status"], json!({ "allowed": true }));
    assert_eq!(plane.user("bob", &[]).post(path, &review).await.json()["status"], json!({ "allowed": false }));
}

#[tokio::test]
async fn nobody_hands_out_rights_that_they_do_not_hold_in_whatever_way_they_write() {
    let plane = ControlPlane::start("RBAC");
    let mut admin = plane.user("root", &["system:masters"]);
    let mut ann = plane.user("ann", &[]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let roles = "rbac.authorization.k8s.io";
    let role = json!({ "metadata": { "name": "keeper" }, "rules": [
        { "verbs": ["get", "patch"], "apiGroups": [roles], "resources": ["roles"], "resourceNames": ["keeper"] },
    ] });
    let binding = json!({ "metadata": { "name": "keeper" },
        "roleRef": { "apiGroup": roles, "kind": "Role", "name": "keeper" },
        "subjects": [{ "apiGroup": roles, "kind": "User", "name": "ann" }],
    });
    assert_eq!(admin.post(&format!("{rbac}/roles"), &role).await.code, 201);
    assert_eq!(admin.post(&format!("{rbac}/rolebindings"), &binding).await.code, 201);
    let json_patch = br#"[{"op":"add","path":"/rules/0/resources/-","value":"rolebindings"}]"#;
    let merge = br#"{"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]}"#;
    for (kind, patch) in [("json-patch", &json_patch[..]), ("merge-patch", merge), ("strategic-merge-patch", merge)] {
        let media = format!("application/{kind}+json");
        let headers = [("content-type", media.as_str())];
        let refused = ann.send("PATCH", &format!("{rbac}/roles/keeper"), &headers, patch).await;
        let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
        assert!(refused.code == 403 && message.contains("not currently held"), "{kind}: {message}");
    }
    let harmless = br#"[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]"#;
    let headers = [("content-type", "application/json-patch+json")];
    assert_eq!(ann.send("PATCH", &format!("{rbac}/roles/keeper"), &headers, harmless).await.code, 200);
}

#[tokio::test]
async fn a_token_of_a_service_account_is_that_account_until_it_is_deleted() {
    let plane = ControlPlane::start("RBAC");
    let mut admin = plane.user("root", &["system:masters"]);
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account = json!({ "metadata": { "name": "robot" } });
    assert_eq!(admin.post(accounts, &account).await.code, 201);
    let short = json!({ "spec": { "expirationSeconds": 599 } });
    let refused = admin.post(&format!("{accounts}/robot/token"), &short).await;
    assert_eq!(
        (refused.code, refused.json()["details"]["causes"][0]["field"].clone()),
        (422, json!("spec.expirationSeconds"))
    );
    let made = admin.post(&format!("{accounts}/robot/token"), &json!({ "spec": {} })).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review: Value = plane.bearer(&token).post(whoami, &json!({})).await.json();
    assert_eq!(review["status"]["userInfo"]["username"], "system:serviceaccount:default:robot");
    let (head, tail) = token.split_at(token.len() - 4);
    let forged = format!("{head}{}", tail.chars().rev().collect::<String>());
    assert_eq!(plane.bearer(&forged).get("/version").await.code, 401);
    assert_eq!(admin.delete(&format!("{accounts}/robot")).await.code, 200);
    assert_eq!(plane.bearer(&token).get("/version").await.code, 401);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_gets_no_answer_and_nobody_sees_health() {
    let plane = ControlPlane::start("RBAC");
    let url = format!("https://127.0.0.1:{}", plane.port);
    let mut nobody = Client::with_certificate(&url, &plane.serving_ca, None);
    assert_eq!(nobody.get("/healthz").await.text(), "ok");
    assert_eq!(nobody.get(CONFIG_MAPS).await.code, 403);
    let (cert, key) = certificate(&authority(), "root", &["system:masters"], ExtendedKeyUsagePurpose::ClientAuth);
    let stranger = Client::with_certificate(&url, &plane.serving_ca, Some((&cert, &key)));
    assert!(!stranger.reads_anything().await);
}

#[test]
fn etcd_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    assert!(assets(folder.path()).status.success());
    let port = free_port();
    let _etcd = start(
        folder.path(),
        "etcd",
        &[
            format!("--listen-client-urls=http://127.0.0.1:{port}"),
            "--listen-peer-urls=http://localhost:0".to_owned(),
            "--unsafe-no-fsync=true".to_owned(),
        ],
    );
    let mut stream = connect(port);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""health":"true""#), "{answer}");
}

#[test]
fn a_file_that_is_none_of_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("etcd"), "the real one").unwrap();
    let failed = assets(folder.path());
    assert_eq!(failed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("none of ours"));
    assert_eq!(std::fs::read_to_string(folder.path().join("etcd")).unwrap(), "the real one");
    assert!(!folder.path().join("kube-apiserver").exists());
}
