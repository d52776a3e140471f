//! Clusters of kind that stand in for API servers of ours: made before a run, deleted after it.
//!
//! In: which of the scenario's clusters live there, a private folder. Out: how they are reached. Whatever happens on the
//! way, what was begun is deleted again; what a killed harness leaves is found by its name ([`destroy`]).

use super::net::AccessError;
use super::run::interrupted;
use super::settings::{Contact, Guest, Guests};
use crate::backend::kind::plan::{Shape, images, name};
use crate::backend::kind::{Kind, KindError, NoKind};
use crate::fleet::World;
use crate::scenario::{Home, Scenario};
use crate::topology::Layout;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Clusters that are made at the same time: each waits for the same cores and disk.
const AT_ONCE: usize = 2;

/// Why there are no clusters.
#[derive(Debug, thiserror::Error)]
pub enum RaiseError {
    /// The programs.
    #[error(transparent)]
    Absent(#[from] NoKind),
    /// What they said.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// A kubeconfig of kind that makes no sense.
    #[error("{0}")]
    Access(String),
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// The user stopped it.
    #[error("interrupted before the run began")]
    Interrupted,
}

impl From<AccessError> for RaiseError {
    fn from(error: AccessError) -> Self {
        Self::Access(error.to_string())
    }
}

/// One cluster that is wanted.
struct Wanted {
    name: String,
    shape: Shape,
}

/// The clusters of a run.
#[derive(Debug)]
pub struct Clusters {
    kind: Kind,
    names: Vec<String>,
    folder: PathBuf,
}

impl Clusters {
    /// What they are called.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Keeps the logs of all clusters below a folder, and gives what could not be kept.
    #[must_use]
    pub fn keep_logs(&self, folder: &Path) -> Vec<String> {
        let all = self.names.iter().map(async |name| self.kind.logs(name, &folder.join(name)).await);
        complaints(all)
    }

    /// Deletes all clusters, and gives what could not be deleted.
    #[must_use]
    pub fn delete(self) -> Vec<String> {
        complaints(self.names.iter().map(async |name| self.kind.delete(name, &self.folder).await))
    }
}

/// Asks whether the programs are there and work.
///
/// # Errors
/// What is missing.
pub fn find() -> Result<Kind, RaiseError> {
    Ok(runtime()?.block_on(Kind::find())?)
}

/// Makes the clusters of a run, whose label is `run`; `folder` is private, `logs` gets those of clusters that do not come
/// up. `say` hears what takes long.
///
/// # Errors
/// Why one does not come up; then none is left.
pub fn raise(
    kind: Kind,
    (scenario, world, run): (&Scenario, &World, &str),
    (folder, logs): (&Path, &Path),
    say: impl Fn(&str),
) -> Result<(Clusters, Guests), RaiseError> {
    let (hubs, leaves) = wanted(scenario, world, run);
    let all: Vec<&Wanted> = hubs.iter().chain(&leaves).collect();
    let names = all.iter().map(|wanted| wanted.name.clone()).collect();
    let clusters = Clusters { kind, names, folder: folder.to_owned() };
    let made = runtime()?.block_on(async {
        tokio::select! {
            made = make(&clusters, &all, run, &say) => made,
            () = interrupted() => Err(RaiseError::Interrupted),
        }
    });
    match made {
        Ok(mut contacts) => {
            let leaves = contacts.split_off(hubs.len());
            let hubs = contacts.into_iter().map(|contact| Guest { contact, run: None }).collect();
            Ok((clusters, Guests { hubs, leaves }))
        }
        Err(error) => {
            if matches!(error, RaiseError::Kind(_)) {
                clusters.keep_logs(logs).iter().for_each(|words| say(words));
            }
            clusters.delete().iter().for_each(|words| say(words));
            Err(error)
        }
    }
}

/// Deletes the clusters that a run left, or that all did, and gives their names.
///
/// # Errors
/// When kind cannot be asked, or one cannot be deleted.
pub fn destroy(run: Option<&str>) -> Result<Vec<String>, RaiseError> {
    let nowhere = tempfile::tempdir()?;
    runtime()?.block_on(async {
        let kind = Kind::find().await?;
        let ours = kind.ours(run).await?;
        for name in &ours {
            kind.delete(name, nowhere.path()).await?;
        }
        Ok(ours)
    })
}

/// Hubs and leaves that shall be kind's.
fn wanted(scenario: &Scenario, world: &World, run: &str) -> (Vec<Wanted>, Vec<Wanted>) {
    let of = |home: Home, single: Shape, count: u32, what: &str| {
        let shape = if home == Home::KindHa { Shape::HaHub } else { single };
        let wanted = move |number| Wanted { name: name(run, &format!("{what}-{number}")), shape };
        (0..if home.is_of_kind() { count } else { 0 }).map(wanted).collect()
    };
    let hubs = Layout::of(world, &scenario.topology).hubs;
    (
        of(scenario.backend.hub, Shape::Hub, hubs, "hub"),
        of(scenario.backend.leaves, Shape::Leaf, world.clusters().len(), "leaf"),
    )
}

async fn make(
    clusters: &Clusters,
    wanted: &[&Wanted],
    run: &str,
    say: &impl Fn(&str),
) -> Result<Vec<Contact>, RaiseError> {
    let Clusters { kind, folder, .. } = clusters;
    let needed: BTreeSet<String> = wanted.iter().flat_map(|wanted| images(&wanted.shape.config(run))).collect();
    for image in &needed {
        if !kind.has(image).await? {
            say(&format!("fetching {image}"));
            kind.fetch(image).await?;
        }
    }
    let made = wanted.iter().map(async |wanted| {
        say(&format!("creating cluster {}", wanted.name));
        let kubeconfig = kind.create(&wanted.name, &wanted.shape.config(run), folder).await?;
        Ok::<_, RaiseError>(Contact::read(&kubeconfig, None).await?)
    });
    stream::iter(made).buffered(AT_ONCE).try_collect().await
}

/// Does some things, not too many at once, and gives what was said of those that failed.
fn complaints(all: impl Iterator<Item = impl Future<Output = Result<(), KindError>>>) -> Vec<String> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return vec![error.to_string()],
    };
    let done: Vec<Result<(), KindError>> =
        runtime.block_on(async { stream::iter(all).buffer_unordered(AT_ONCE).collect().await });
    done.into_iter().filter_map(|done| done.err().map(|error| error.to_string())).collect()
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
