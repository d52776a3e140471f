//! What a control plane is made of, as values: arguments of its programs and files that they read.
//!
//! In: a folder, ports, programs. Out: command lines. Nothing is started here.

use super::super::assets::Assets;
use super::super::programs::Program;
use std::path::{Path, PathBuf};

/// Ports of loopback that a control plane listens at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) peer: u16,
    pub(super) api: u16,
}

/// The files of a control plane, below its folder.
#[derive(Clone, Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn below(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.0.join("apiserver.crt")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.join("apiserver.key")
    }

    /// How kube-controller-manager finds the API server.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }
}

/// Data that nobody reads again need not reach the disk: as suites of controllers run etcd.
pub(super) fn etcd(assets: &Assets, folder: &Path, ports: Ports) -> Program {
    let (client, peer) = (local("http", ports.etcd), local("http", ports.peer));
    let arguments = vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ];
    Program { name: "etcd", path: assets.etcd.clone(), arguments, environment: Vec::new() }
}

/// With the settings of `envtest`: roles decide, users are client certificates, no ServiceAccount admission, because
/// nobody makes the tokens that it waits for.
pub(super) fn apiserver(assets: &Assets, folder: &Path, ports: Ports) -> Program {
    let files = Files::below(folder);
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let arguments = vec![
        format!("--etcd-servers={}", local("http", ports.etcd)),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api),
        flag("cert-dir", folder),
        flag("tls-cert-file", &files.certificate()),
        flag("tls-private-key-file", &files.key()),
        flag("client-ca-file", &files.authority()),
        "--service-account-issuer=https://flamboyance.invalid".to_owned(),
        // Of a private key in PKCS #8 it would not find the public one.
        flag("service-account-key-file", &files.certificate()),
        flag("service-account-signing-key-file", &files.key()),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged=true".to_owned(),
    ];
    Program { name: "kube-apiserver", path: assets.apiserver.clone(), arguments, environment: Vec::new() }
}

/// The collector of garbage and the end of namespaces alone: there are no nodes, and Deployments are modelled.
pub(super) fn controller_manager(assets: &Assets, folder: &Path) -> Option<Program> {
    let arguments = vec![
        format!("--kubeconfig={}", Files::below(folder).kubeconfig().display()),
        "--controllers=garbage-collector-controller,namespace-controller".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    let path = assets.controller_manager.clone()?;
    Some(Program { name: "kube-controller-manager", path, arguments, environment: Vec::new() })
}

/// What kube-controller-manager reads.
pub(super) fn kubeconfig(server: &str, folder: &Path, client: (&Path, &Path)) -> String {
    let path = |path: &Path| serde_json::Value::from(path.to_string_lossy().into_owned());
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{ "name": "local", "cluster":
            { "server": server, "certificate-authority": path(&Files::below(folder).authority()) } }],
        "users": [{ "name": "local", "user":
            { "client-certificate": path(client.0), "client-key": path(client.1) } }],
        "contexts": [{ "name": "local", "context": { "cluster": "local", "user": "local" } }],
    })
    .to_string()
}

/// A URL of loopback.
pub(super) fn local(scheme: &str, port: u16) -> String {
    format!("{scheme}://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_stays_on_loopback_and_below_its_folder() {
        let path = |name: &str| PathBuf::from("/assets").join(name);
        let assets =
            Assets { etcd: path("etcd"), apiserver: path("kube-apiserver"), controller_manager: Some(path("kcm")) };
        let (folder, ports) = (Path::new("/run/hub"), Ports { etcd: 1, peer: 2, api: 3 });
        let programs = [
            etcd(&assets, folder, ports),
            apiserver(&assets, folder, ports),
            controller_manager(&assets, folder).unwrap(),
        ];
        for argument in programs.iter().flat_map(|program| &program.arguments) {
            let value = argument.split_once('=').map_or("", |(_, value)| value);
            let outside = value.starts_with('/') && !value.starts_with("/run/hub");
            let abroad = value.contains("://") && !value.contains("127.0.0.1") && !value.contains(".invalid");
            assert!(!outside && !abroad, "{argument}");
        }
        assert!(programs[1].arguments.contains(&"--etcd-servers=http://127.0.0.1:1".to_owned()));
        let none = Assets { controller_manager: None, ..assets };
        assert_eq!(controller_manager(&none, folder), None);
    }

    #[test]
    fn the_kubeconfig_names_files_of_the_folder() {
        let text =
            kubeconfig("https://127.0.0.1:3", Path::new("/run"), (Path::new("/run/a.crt"), Path::new("/run/a.key")));
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("local"));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/run/ca.crt"));
    }
}
