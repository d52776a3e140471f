//! The kubeconfig of a server: one context per cluster.
//!
//! In: names, addresses, tokens, the authority. Out: YAML text, and a file that appears complete or not at all.
//!
//! 10,000 contexts are 12 MB of text, most of it the authority repeated: every entry must stand alone, because tools
//! copy single contexts out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One cluster as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name of context, cluster and user entry.
    pub name: String,
    /// `https://address:port`, with the path prefix if there is one.
    pub server: String,
    /// The bearer token of this cluster.
    pub token: String,
}

/// Why the file was not written.
#[derive(Debug, thiserror::Error)]
#[error("writing the kubeconfig {path}: {source}; choose a writable place with --kubeconfig")]
pub struct KubeconfigError {
    path: PathBuf,
    source: std::io::Error,
}

/// The kubeconfig text; the first context is the current one. `ca_pem` is the authority's certificate.
#[must_use]
pub fn text(contexts: &[Context], ca_pem: &str) -> String {
    let ca = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, ca_pem);
    let mut out = String::with_capacity(256 + contexts.len() * (ca.len() + 400));
    let current = contexts.first().map_or("", |first| first.name.as_str());
    // Writing to a String cannot fail.
    let _ = write!(out, "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: \"{current}\"\nclusters:\n");
    for Context { name, server, .. } in contexts {
        let _ = write!(
            out,
            "- name: \"{name}\"\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}\n    \
             disable-compression: true\n"
        );
    }
    out.push_str("users:\n");
    for Context { name, token, .. } in contexts {
        let _ = write!(out, "- name: \"{name}\"\n  user:\n    token: \"{token}\"\n");
    }
    out.push_str("contexts:\n");
    for Context { name, .. } in contexts {
        let _ = write!(out, "- name: \"{name}\"\n  context:\n    cluster: \"{name}\"\n    user: \"{name}\"\n");
    }
    out
}

/// Writes `text` to `path` so that a reader sees the old file or the whole new one. Only the owner may read it.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), KubeconfigError> {
    let fail = |source| KubeconfigError { path: path.to_owned(), source };
    let mut name = path
        .file_name()
        .map(std::ffi::OsStr::to_owned)
        .ok_or_else(|| fail(std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path names no file")))?;
    name.push(format!(".{}.tmp", std::process::id()));
    let part = path.with_file_name(name);
    let written = write_part(&part, text).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to tell; a leftover part file is removed if that is possible at all.
        let _ = std::fs::remove_file(&part);
    }
    written.map_err(fail)
}

fn write_part(part: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = part.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_gets_a_context_a_user_and_an_entry_of_its_own() {
        let contexts: Vec<_> = ["hub", "leaf-1"]
            .map(|name| Context {
                name: name.to_owned(),
                server: format!("https://127.0.0.1:1/clusters/{name}"),
                token: format!("secret-{name}"),
            })
            .into();
        let value: serde_json::Value = serde_saphyr::from_str(&text(&contexts, "PEM")).unwrap();
        assert_eq!(value["current-context"], "hub");
        for (at, context) in contexts.iter().enumerate() {
            assert_eq!(value["contexts"][at]["context"]["cluster"], context.name.as_str());
            assert_eq!(value["contexts"][at]["context"]["user"], context.name.as_str());
            assert_eq!(value["clusters"][at]["cluster"]["server"], context.server.as_str());
            assert_eq!(value["clusters"][at]["cluster"]["certificate-authority-data"], "UEVN");
            assert_eq!(value["users"][at]["user"]["token"], context.token.as_str());
        }
    }

    #[test]
    fn the_file_is_private_complete_and_leaves_no_part_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/kubeconfig");
        write(&path, "first").unwrap();
        write(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(write(&path.join("below-a-file"), "x").is_err());
    }
}
