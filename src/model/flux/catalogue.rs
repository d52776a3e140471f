//! What sources contain: repositories, their revisions, and the manifests of add-ons at a revision.
//!
//! In: the add-ons of a scenario; later, commits. Out: revisions in Flux's formats and builds (an add-on at a version
//! and commit) with their objects in apply order. Never bytes: `render` writes the manifests.

use super::INSTALLED;
use crate::calls::Kind;
use crate::ids::AddonId;
use crate::scenario::{Addon, Delivery};
use crate::seed::Seed;
use parking_lot::RwLock;
use std::fmt::Write as _;

/// A repository at a reference, by its place in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId(pub u32);

/// What a source held at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Of which repository and reference.
    pub repo: RepoId,
    /// After how many commits.
    pub commits: u32,
}

/// The manifests of an add-on at a version and commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build {
    /// The add-on.
    pub addon: AddonId,
    /// Index into its versions.
    pub version: u32,
    /// Commits under that reference.
    pub commits: u32,
}

/// One object of an add-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its name, equal on all clusters.
    pub name: String,
    /// Its place among the add-on's objects of that kind, from 0.
    pub nth: u32,
}

/// An add-on as its manifests are written.
#[derive(Debug)]
pub struct Entry {
    /// The scenario's description.
    pub addon: Addon,
    /// Its objects in the order of application.
    pub items: Vec<Item>,
    /// Filler of each ConfigMap, `config_map_bytes` long.
    pub filler: String,
    /// What its pods run.
    pub image: Image,
}

/// What the pods of an add-on run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Image {
    /// An image of no registry, named after the add-on, for pods that nobody starts.
    #[default]
    Nowhere,
    /// The one that every node of kind has, because it holds the namespaces of all pods (kind v0.32.0, `sandbox_image` of
    /// containerd's configuration). It does nothing and is ready at once.
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Git,
    Oci,
    /// The index of a Helm repository.
    Index,
    /// One chart at one version.
    Chart,
}

#[derive(Debug)]
struct Repo {
    form: Form,
    url: String,
    /// Branch, tag or chart version; empty for an index.
    reference: String,
    /// Chart name, else empty.
    chart: String,
    addons: Vec<AddonId>,
}

/// All sources of a run.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
    repos: Vec<Repo>,
    /// Every commit so far, oldest first; short.
    log: RwLock<Vec<AddonId>>,
}

impl Catalogue {
    /// The catalogue of these add-ons; `AddonId` is the index.
    #[must_use]
    pub fn new(addons: &[Addon]) -> Self {
        let mut repos = Vec::new();
        for (index, addon) in addons.iter().enumerate() {
            let id = AddonId::from_index(index);
            for version in &addon.versions {
                match addon.delivery {
                    Delivery::Git => join(&mut repos, Form::Git, &addon.repo_url, version, "", id),
                    Delivery::Oci => join(&mut repos, Form::Oci, &addon.repo_url, version, "", id),
                    Delivery::Helm => {
                        join(&mut repos, Form::Index, &addon.repo_url, "", "", id);
                        join(&mut repos, Form::Chart, &addon.repo_url, version, &addon.chart, id);
                    }
                }
            }
        }
        let entries = addons.iter().map(Entry::new).collect();
        Self { entries, repos, log: RwLock::default() }
    }

    /// Lets pods run what nodes can start.
    pub fn run_pods(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.image = Image::Pause);
    }

    /// A new commit (or chart, or digest) under every reference of the add-on.
    pub fn commit(&self, addon: AddonId) {
        self.log.write().push(addon);
    }

    /// As if there had never been a commit.
    pub fn rewind(&self) {
        self.log.write().clear();
    }

    /// How many commits there were in all.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.log.read().len()
    }

    /// The entry of an add-on.
    ///
    /// # Panics
    /// When the id is not of this catalogue.
    #[must_use]
    pub fn entry(&self, addon: AddonId) -> &Entry {
        &self.entries[addon.index()]
    }

    /// The objects of an add-on in the order of application.
    #[must_use]
    pub fn items(&self, addon: AddonId) -> &[Item] {
        &self.entry(addon).items
    }

    /// The Git repository at a branch, tag or commit.
    #[must_use]
    pub fn git(&self, url: &str, reference: &str) -> Option<RepoId> {
        self.find(Form::Git, url, reference, "")
    }

    /// The OCI repository at a tag.
    #[must_use]
    pub fn oci(&self, url: &str, tag: &str) -> Option<RepoId> {
        self.find(Form::Oci, url, tag, "")
    }

    /// The index of a Helm repository.
    #[must_use]
    pub fn index(&self, url: &str) -> Option<RepoId> {
        self.find(Form::Index, url, "", "")
    }

    /// A chart of a Helm repository at a version.
    #[must_use]
    pub fn chart(&self, url: &str, chart: &str, version: &str) -> Option<RepoId> {
        self.find(Form::Chart, url, version, chart)
    }

    fn find(&self, form: Form, url: &str, reference: &str, chart: &str) -> Option<RepoId> {
        self.repos
            .iter()
            .position(|r| r.form == form && r.url == url && r.reference == reference && r.chart == chart)
            .map(index)
    }

    /// What the repository holds now.
    #[must_use]
    pub fn head(&self, repo: RepoId) -> Revision {
        let addons = &self.repo(repo).addons;
        let commits = self.log.read().iter().filter(|a| addons.contains(a)).count();
        Revision { repo, commits: u32::try_from(commits).unwrap_or(u32::MAX) }
    }

    /// Repositories at their references.
    pub fn repositories(&self) -> impl Iterator<Item = RepoId> + use<> {
        (0..self.repos.len()).map(index)
    }

    /// The manifests under a path of a revision; `path` matters for Git and OCI alone.
    #[must_use]
    pub fn build(&self, revision: Revision, path: &str) -> Option<Build> {
        let repo = self.repo(revision.repo);
        let addon = match repo.form {
            Form::Index => return None,
            Form::Chart => *repo.addons.first()?,
            Form::Git | Form::Oci => {
                let path = clean(path);
                *repo.addons.iter().find(|a| clean(&self.entry(**a).addon.path) == path)?
            }
        };
        let version = self.entry(addon).addon.versions.iter().position(|v| *v == repo.reference)?;
        let of_repo = self.log.read();
        let commits = of_repo.iter().filter(|a| repo.addons.contains(a)).take(revision.commits as usize);
        let commits = commits.filter(|a| **a == addon).count();
        Some(Build { addon, version: u32::try_from(version).ok()?, commits: u32::try_from(commits).ok()? })
    }

    /// Appends the revision in Flux's form: `main@sha1:..`, `1.0.0@sha256:..`, `sha256:..` or a chart version.
    pub fn write_revision(&self, out: &mut String, revision: Revision) {
        let repo = self.repo(revision.repo);
        let hash = Seed::new(0).child(&repo.url).child(&repo.reference).child(&repo.chart);
        let hash = hash.entity(u64::from(revision.commits));
        match repo.form {
            Form::Git => {
                out.push_str(&repo.reference);
                out.push_str("@sha1:");
                hex(out, hash, 5);
            }
            Form::Oci => {
                out.push_str(&repo.reference);
                out.push_str("@sha256:");
                hex(out, hash, 8);
            }
            Form::Index => {
                out.push_str("sha256:");
                hex(out, hash, 8);
            }
            Form::Chart => {
                out.push_str(&repo.reference);
                if revision.commits > 0 {
                    // The same version published again: SemVer's build metadata leaves the precedence as it is.
                    let _ = write!(out, "+{}", revision.commits);
                }
            }
        }
    }

    /// Appends the digest of what a revision holds: 64 hex digits.
    pub fn write_digest(&self, out: &mut String, revision: Revision) {
        let repo = self.repo(revision.repo);
        let hash = Seed::new(1).child(&repo.url).child(&repo.reference).child(&repo.chart);
        hex(out, hash.entity(u64::from(revision.commits)), 8);
    }

    /// Chart name of a revision, empty if it is none.
    #[must_use]
    pub fn chart_name(&self, revision: Revision) -> &str {
        &self.repo(revision.repo).chart
    }

    fn repo(&self, repo: RepoId) -> &Repo {
        &self.repos[repo.0 as usize]
    }
}

impl Entry {
    fn new(addon: &Addon) -> Self {
        let o = &addon.objects;
        let counts = [o.service_accounts, o.config_maps, o.services, o.deployments];
        let mut items = Vec::with_capacity(o.total() as usize);
        for (kind, count) in INSTALLED.into_iter().zip(counts) {
            items.extend((0..count).map(|nth| Item { kind, name: name(&addon.name, kind, nth), nth }));
        }
        let filler = "flamboyance ".chars().cycle().take(o.config_map_bytes as usize).collect();
        Self { addon: addon.clone(), items, filler, image: Image::default() }
    }
}

/// `web-0`, `web-1` for ConfigMaps; `web`, then `web-1` for what is usually one.
fn name(addon: &str, kind: Kind, nth: u32) -> String {
    if nth == 0 && kind != Kind::CONFIG_MAP { addon.to_owned() } else { format!("{addon}-{nth}") }
}

fn join(repos: &mut Vec<Repo>, form: Form, url: &str, reference: &str, chart: &str, addon: AddonId) {
    let same = |r: &&mut Repo| r.form == form && r.url == url && r.reference == reference && r.chart == chart;
    if let Some(repo) = repos.iter_mut().find(same) {
        if !repo.addons.contains(&addon) {
            repo.addons.push(addon);
        }
        return;
    }
    let (url, reference, chart) = (url.to_owned(), reference.to_owned(), chart.to_owned());
    repos.push(Repo { form, url, reference, chart, addons: vec![addon] });
}

#[expect(clippy::cast_possible_truncation, reason = "a catalogue holds few repositories")]
const fn index(n: usize) -> RepoId {
    RepoId(n as u32)
}

/// `./deploy/` and `deploy` are one path; the root is empty.
fn clean(path: &str) -> &str {
    let path = path.trim_matches('/');
    let path = path.strip_prefix("./").unwrap_or(path);
    if path == "." { "" } else { path }
}

/// `words` times eight hex digits.
fn hex(out: &mut String, hash: Seed, words: u64) {
    for n in 0..words {
        let bits = hash.bits(n);
        for shift in (32..64).step_by(4).rev() {
            out.push(char::from(b"0123456789abcdef"[(bits >> shift & 15) as usize]));
        }
    }
}
