//! Sources for controllers of others that shall need no network: Git repositories and Helm repositories on loopback.
//!
//! In: what add-ons consist of at each version. Out: answers to requests, as values; [`serve`] puts them on a socket. What is
//! served never changes: an upgrade names another version.

mod git;
mod helm;
mod server;

pub use git::{Files, Repository};
pub use helm::Chart;
pub use server::serve;

use bytes::Bytes;
use std::collections::BTreeMap;

/// Everything that is served.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    repositories: BTreeMap<String, Repository>,
    files: BTreeMap<String, Bytes>,
}

/// What a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    kind: &'static str,
    body: Bytes,
}

impl Sources {
    /// Adds a Git repository and gives its path.
    pub fn git(&mut self, name: &str, branches: &[(&str, Files)]) -> String {
        let path = git_path(name);
        self.repositories.insert(path.clone(), Repository::new(branches));
        path
    }

    /// Adds a Helm repository and gives its path.
    pub fn helm(&mut self, name: &str, charts: &[Chart<'_>]) -> String {
        let path = helm_path(name);
        for (file, content) in helm::repository(charts) {
            self.files.insert(format!("{path}/{file}"), content.into());
        }
        path
    }

    /// The answer to a request with its body, if anything is there.
    fn answer(&self, path: &str, query: &str, body: &[u8]) -> Option<Answer> {
        if let Some(repository) = path.strip_suffix("/info/refs").and_then(|path| self.repositories.get(path)) {
            let kind = "application/x-git-upload-pack-advertisement";
            return query.contains("git-upload-pack").then(|| Answer { kind, body: repository.advertisement() });
        }
        if let Some(repository) = path.strip_suffix("/git-upload-pack").and_then(|path| self.repositories.get(path)) {
            return Some(Answer { kind: "application/x-git-upload-pack-result", body: repository.upload(body) });
        }
        self.files.get(path).map(|body| Answer { kind: "application/octet-stream", body: body.clone() })
    }
}

/// Where the Git repository of this name is.
#[must_use]
pub fn git_path(name: &str) -> String {
    format!("/git/{name}.git")
}

/// Where the Helm repository of this name is.
#[must_use]
pub fn helm_path(name: &str) -> String {
    format!("/charts/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_answered_and_nothing_else() {
        let mut sources = Sources::default();
        let files = Files::from([("deploy/a.yaml".to_owned(), "{}".to_owned())]);
        let git = sources.git("web", &[("v1", files)]);
        let helm = sources.helm("web", &[Chart { name: "web", version: "1.0.0", templates: Vec::new() }]);
        let kind = |path: &str, query: &str| sources.answer(path, query, b"").map(|answer| answer.kind);
        let refs = format!("{git}/info/refs");
        let advertised = Some("application/x-git-upload-pack-advertisement");
        assert_eq!(kind(&refs, "service=git-upload-pack"), advertised);
        assert_eq!(kind(&refs, "service=git-receive-pack"), None);
        assert_eq!(kind(&format!("{git}/git-upload-pack"), ""), Some("application/x-git-upload-pack-result"));
        assert_eq!(kind(&format!("{helm}/index.yaml"), ""), Some("application/octet-stream"));
        assert_eq!(kind(&format!("{helm}/web-1.0.0.tgz"), ""), Some("application/octet-stream"));
        assert_eq!((kind(&format!("{git}/HEAD"), ""), kind("/", "")), (None, None));
    }
}
