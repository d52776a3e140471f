//! The programs of a control plane, as test suites of controllers find them.
//!
//! In: what the environment says. Out: their paths, or what is missing and where it comes from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable by which controller-runtime's `envtest` finds them, too.
pub const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kube-apiserver`.
    pub apiserver: PathBuf,
    /// `kube-controller-manager`, which brings garbage collection and the end of namespaces; suites have none.
    pub controller_manager: Option<PathBuf>,
}

/// Why there is no control plane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAssets {
    /// Nobody says where to look.
    #[error(
        "the scenario asks for a local control plane and {VARIABLE} is not set: it names a folder with `kube-apiserver` and \
         `etcd`, which `setup-envtest use -p path` of controller-runtime downloads and prints"
    )]
    Unset,
    /// A program is absent.
    #[error(
        "{VARIABLE} is {} and has no {program}: let it name a folder with `kube-apiserver` and `etcd`, or let \
         spec.backend be mock",
        folder.display()
    )]
    Absent {
        /// The folder.
        folder: PathBuf,
        /// What is not in it.
        program: &'static str,
    },
}

/// Finds the programs of this process's environment.
///
/// # Errors
/// What is missing.
pub fn find() -> Result<Assets, NoAssets> {
    find_in(std::env::var_os(VARIABLE), |path| path.is_file())
}

fn find_in(folder: Option<OsString>, is_there: impl Fn(&Path) -> bool) -> Result<Assets, NoAssets> {
    let folder = PathBuf::from(folder.filter(|folder| !folder.is_empty()).ok_or(NoAssets::Unset)?);
    let optional = |program: &str| Some(folder.join(program)).filter(|path| is_there(path));
    let needed =
        |program: &'static str| optional(program).ok_or_else(|| NoAssets::Absent { folder: folder.clone(), program });
    Ok(Assets {
        etcd: needed("etcd")?,
        apiserver: needed("kube-apiserver")?,
        controller_manager: optional("kube-controller-manager"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_next_step() {
        let check = |folder: Option<&str>, there: &[&str], says: &str| {
            let is_there = |path: &Path| there.iter().any(|name| path.ends_with(name));
            match find_in(folder.map(OsString::from), is_there) {
                Ok(assets) => assert_eq!(assets.controller_manager.is_some().to_string(), says),
                Err(error) => assert!(error.to_string().contains(says), "{error}"),
            }
        };
        check(None, &[], "setup-envtest");
        check(Some(""), &[], "is not set");
        check(Some("/a"), &["etcd"], "/a and has no kube-apiserver");
        check(Some("/a"), &["kube-apiserver"], "has no etcd");
        check(Some("/a"), &["etcd", "kube-apiserver"], "false");
        check(Some("/a"), &["etcd", "kube-apiserver", "kube-controller-manager"], "true");
    }
}
