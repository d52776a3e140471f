//! What a simulation stands on and never changes: the scenario, its world, the rules of kinds, names and fingerprints.

use crate::apiserver::schema::{Catalog, Resource, argocd_crds, flux_crds};
use crate::calls::Kind;
use crate::drive::drifted::object_fingerprint;
use crate::fleet::World;
use crate::ids::AddonId;
use crate::model::flux;
use crate::model::flux::Revision;
use crate::scenario::{Model, Scenario};
use std::sync::{Arc, OnceLock};

/// See the module head.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: &'a World,
    pub(super) model: Arc<Model>,
    /// Sources and settings of the Flux controllers; commits are told to it.
    pub(super) flux: flux::World,
    /// What the API server says of each kind, by [`Kind::index`].
    resources: &'static [Option<Arc<Resource>>],
    /// The namespace of each add-on.
    pub(super) namespaces: Vec<Arc<str>>,
    /// The place of each add-on's first object among the objects of a leaf, and their number at the end.
    bases: Vec<u32>,
    /// Fingerprints of revisions, by repository and commits.
    revisions: Vec<Vec<u64>>,
    /// Which add-on each object of a leaf belongs to, how signals call it and what it is called.
    pub(super) items: Vec<ItemName>,
}

/// An installed object, the same on every leaf.
#[derive(Debug)]
pub(super) struct ItemName {
    pub(super) addon: AddonId,
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    pub(super) print: u64,
}

impl<'a> Ground<'a> {
    pub(super) fn new(scenario: &'a Scenario, world: &'a World) -> Self {
        let flux = flux::World::new(scenario);
        let (mut bases, mut items) = (Vec::new(), Vec::new());
        for addon in (0..world.addons().len()).map(AddonId::from_index) {
            bases.push(u32::try_from(items.len()).unwrap_or(u32::MAX));
            let namespace = &world.addons()[addon.index()].namespace;
            items.extend(flux.catalogue.items(addon).iter().map(|item| ItemName {
                addon,
                kind: item.kind,
                name: item.name.as_str().into(),
                print: object_fingerprint(item.kind, namespace, &item.name),
            }));
        }
        let of = |repo| (0..COMMITS).map(|commits| print_of(&flux, Revision { repo, commits })).collect();
        let revisions = flux.catalogue.repositories().map(of).collect();
        Self {
            revisions,
            scenario,
            world,
            model: Arc::new(scenario.model.clone()),
            flux,
            resources: resources(),
            namespaces: world.addons().iter().map(|addon| addon.namespace.as_str().into()).collect(),
            bases,
            items,
        }
    }

    /// The place of an add-on's `n`-th object among the objects of a leaf.
    pub(super) fn item(&self, addon: AddonId, n: u16) -> usize {
        self.bases[addon.index()] as usize + usize::from(n)
    }

    /// The generation of an object of this kind after a change of its spec.
    pub(super) fn next_generation(&self, kind: Kind, generation: u64) -> u64 {
        use crate::apiserver::life::{Changes, next_generation};
        let spec = Changes { spec: true, ..Changes::default() };
        self.resources[kind.index()].as_deref().map_or(generation, |r| next_generation(r, generation, spec))
    }

    /// The same after a change of its status.
    pub(super) fn generation_of_status(&self, kind: Kind, generation: u64) -> u64 {
        use crate::apiserver::life::{Changes, next_generation};
        let status = Changes { status: true, ..Changes::default() };
        self.resources[kind.index()].as_deref().map_or(generation, |r| next_generation(r, generation, status))
    }

    /// The first generation of an object of this kind: 0 for kinds that keep none.
    pub(super) fn first_generation(&self, kind: Kind) -> u64 {
        self.resources[kind.index()].as_deref().map_or(0, |r| u64::from(r.tracks_generation))
    }

    /// The fingerprint of a revision's text, as signals carry it; 0 for none.
    pub(super) fn revision(&self, revision: Option<Revision>) -> u64 {
        let Some(revision) = revision else { return 0 };
        let known = self.revisions.get(revision.repo.0 as usize).and_then(|of| of.get(revision.commits as usize));
        known.copied().unwrap_or_else(|| print_of(&self.flux, revision))
    }
}

/// What the API server says of each kind. Reading the definitions takes ten times as long as a small simulation, so that is
/// done once.
fn resources() -> &'static [Option<Arc<Resource>>] {
    static ALL: OnceLock<Vec<Option<Arc<Resource>>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let crds = [flux_crds(), argocd_crds()].concat();
        // The definitions are ours, and a test of the schema reads them all.
        let catalog = Catalog::builtin().with_crds(&crds).unwrap_or_else(|_| Catalog::builtin().clone());
        let resource = |kind: Kind| {
            let info = kind.info();
            catalog.find(info.group, info.version, info.plural).cloned()
        };
        Kind::all().map(resource).collect()
    })
}

/// A revision's text is 50 to 80 bytes, written and hashed: what takes 300 ns is done once for those of the first commits.
fn print_of(flux: &flux::World, revision: Revision) -> u64 {
    let mut text = String::new();
    flux.catalogue.write_revision(&mut text, revision);
    crate::measure::fingerprint(&text)
}

/// Commits whose fingerprints are kept.
const COMMITS: u32 = 16;
