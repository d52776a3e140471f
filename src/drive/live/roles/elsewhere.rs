//! Hubs and leaves whose objects live elsewhere: what they must hold at the start is written to them, and what happens
//! there is observed by watches.
//!
//! In: API servers that are not ours. Out: the same signals as those of servers of ours, at the time when they are heard
//! instead of when they were stored. What this process asks for is nobody's call: it goes under a name of its own and
//! is not told.

use super::hub::{Status, committed, secrets};
use super::{RoleError, Stage, leaves, serving};
use crate::apiserver::clusters;
use crate::apiserver::schema::{self, Catalog};
use crate::backend::assets::{self, Assets};
use crate::backend::control_plane::ControlPlane;
use crate::calls::{Kind, Tally, Target};
use crate::clock;
use crate::drive::live::above::cells;
use crate::drive::live::driver;
use crate::drive::live::flux::{Inbox, Model, Remote, Stores};
use crate::drive::live::furnish::{self, Furnish};
use crate::drive::live::guest;
use crate::drive::live::mirror::Mirror;
use crate::drive::live::net::{Client, Known, News, Pools, Refusal, Route, Traffic};
use crate::drive::live::notice::{Notice, Order, Server};
use crate::drive::live::reporter::Reporter;
use crate::drive::live::servers::HUB;
use crate::drive::live::settings::{Access, Contact};
use crate::fleet::{ARGOCD_NAMESPACE, World, certificate, namespace};
use crate::ids::{AddonId, ClusterId};
use crate::measure::{Figures, Role, Signal};
use crate::model::flux;
use crate::units::Span;
use futures_util::future::select_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Under this name the harness observes and prepares; its calls count nowhere.
pub(super) const USER_AGENT: &str = "flamboyance-observer";
/// Connections to the API server: watches share one, the writes of the start another.
const CONNECTIONS: u32 = 2;

/// Control planes that come up at the same time: more would wait for the same cores.
const AT_ONCE: usize = 2;
/// Between an apply and the first look at health: what the deployment controller has in reality (25 to 30 ms, recorded).
const SETTLE: Span = Span::from_millis(30);
/// A hub on a control plane of its own, or on a cluster of somebody's.
pub(super) async fn hub(mut stage: Stage) -> Result<(), RoleError> {
    let leaves = stage.settings.leaves.take().ok_or_else(|| RoleError::Server("no leaves are named".to_owned()))?;
    let guest = stage.settings.guest.take();
    let raised = match &guest {
        Some(guest) => host(guest.contact.clone()),
        None => raise(&programs()?, &stage.settings.folder.join(format!("hub-{}", stage.settings.number))).await,
    };
    let Raised { mut plane, contact, route } = raised?;
    let client = Client::new(USER_AGENT);
    let run = guest.as_ref().and_then(|guest| guest.run.as_deref());
    let furnish = Furnish { client: &client, route: &route, target: Target::Hub, run };
    let objects: Vec<_> = std::iter::once(stage.world.project()).chain(secrets(&stage, &leaves)).collect();
    if let Err(refusal) = furnish.all(schema::argocd_crds(), &[namespace(ARGOCD_NAMESPACE)], &objects).await {
        if let Some(run) = run {
            sweep(&furnish, run, &stage.reporter).await?;
        }
        return Err(refused(refusal));
    }
    let signal = |signal| stage.reporter.signal(signal);
    let mut observer = Observer { world: &stage.world, signal, known: Known::default() };
    let info = Kind::APPLICATION.info();
    let path = info.path(info.version, ARGOCD_NAMESPACE, "");
    let observe = client.follow((&route, Target::Hub), Kind::APPLICATION, (&path, ""), |news| observer.hear(news));
    let servers = servers("hub", &plane);
    stage.reporter.notice(Notice::Ready { access: Access::Apart(vec![contact]), servers });
    tokio::select! {
        () = observe => {}
        () = async { while stage.orders.recv().await.is_some() {} } => {}
        error = until_one_ends(plane.as_mut()) => return Err(error),
    }
    stage.reporter.farewell(vec![(Role::Harness, Figures::default())]);
    if let Some(path) = &stage.settings.objects {
        let all = furnish.read(serving::kinds()).await.map_err(refused)?;
        furnish::keep(path, [(HUB.to_owned(), all)])?;
    }
    if let Some(run) = run {
        sweep(&furnish, run, &stage.reporter).await?;
    }
    Ok(())
}

fn programs() -> Result<Assets, RoleError> {
    assets::find().map_err(|e| RoleError::Server(e.to_string()))
}

async fn until_one_ends(plane: Option<&mut ControlPlane>) -> RoleError {
    match plane {
        Some(plane) => RoleError::Server(plane.until_one_ends().await.to_string()),
        None => std::future::pending().await,
    }
}

/// Leaves the cluster of somebody's as it was, or says what is still there.
async fn sweep(furnish: &Furnish<'_>, run: &str, reporter: &Reporter) -> Result<(), RoleError> {
    let (_, left) = guest::sweep(furnish, Some(run)).await.map_err(refused)?;
    if left > 0 {
        let message = format!(
            "{left} objects of this run are still on the cluster; `flamboyance destroy --run {run}` tries again"
        );
        reporter.notice(Notice::Failed { message });
    }
    Ok(())
}

/// Leaves on a control plane each or on clusters of others, and the same Flux as behind the mock, which speaks to them
/// over sockets.
pub(super) async fn leaves(mut stage: Stage) -> Result<(), RoleError> {
    let hosts = std::mem::take(&mut stage.settings.hosts);
    let found = if hosts.is_empty() { Some(programs()?) } else { None };
    let fleet = stage.world.clusters();
    let crds = leaves::definitions(stage.scenario.topology.kind);
    let catalog = Catalog::builtin().with_crds(&crds).map_err(|e| RoleError::Server(e.to_string()))?;
    let namespaces: Vec<_> = stage.world.namespaces().into_iter().map(namespace).collect();
    let client = Arc::new(Client::new(USER_AGENT));
    let raised: Vec<Raised> = stream::iter(fleet.ids())
        .map(async |id| {
            let raised = match &found {
                Some(found) => raise(found, &stage.settings.folder.join(fleet.name(id))).await,
                None => host(
                    hosts.get(id.index()).cloned().ok_or_else(|| RoleError::Server("a leaf has no host".to_owned()))?,
                ),
            }?;
            let furnish = Furnish { client: &client, route: &raised.route, target: Target::Leaf, run: None };
            furnish.all(&crds, &namespaces, &[]).await.map_err(refused)?;
            Ok::<_, RoleError>(raised)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;

    let remote =
        |(id, raised): (ClusterId, &Raised)| Arc::new(Remote::new(id.0, raised.route.clone(), Handle::current()));
    let remotes: Vec<_> = fleet.ids().zip(&raised).map(remote).collect();
    let inbox = Inbox::new(remotes.len(), true);
    let stores = Stores::There(remotes.clone(), catalog.clone());
    let model = Model::start(Arc::clone(&inbox), leaves::setup(&stage, stores, SETTLE))?;
    // Where nodes run pods, nobody stands in for the controller of Deployments.
    let modelled = |kind: Kind| kind != Kind::DEPLOYMENT || !stage.scenario.backend.leaves.is_of_kind();
    for (remote, raised) in remotes.iter().zip(&raised) {
        let observers = |kind| {
            let told = std::iter::once(leaves::observer(&stage.world, &stage.reporter));
            told.chain(modelled(kind).then(|| inbox.observer())).collect()
        };
        follow(&client, &raised.route, &catalog, remote, observers);
    }
    let servers = servers("leaf", raised.iter().filter_map(|raised| raised.plane.as_ref()));
    let (contacts, mut planes): (Vec<_>, Vec<_>) =
        raised.into_iter().map(|it| (it.contact, (it.plane, it.route))).unzip();
    stage.reporter.notice(Notice::Ready { access: Access::Apart(contacts), servers });
    {
        let orders = async {
            while let Some(Order::Commit { addon }) = stage.orders.recv().await {
                model.commit(AddonId(addon));
            }
        };
        let ends = select_all(planes.iter_mut().map(|(plane, _)| Box::pin(until_one_ends(plane.as_mut()))));
        tokio::select! {
            () = orders => {}
            (error, ..) = ends => return Err(error),
        }
    }
    let mut calls = Tally::default();
    remotes.iter().for_each(|remote| calls.merge(&remote.calls()));
    let figures = leaves::told(calls, &model);
    model.stop();
    stage.reporter.farewell(vec![(Role::FluxModel, figures)]);
    if let Some(path) = &stage.settings.objects {
        let mut all = Vec::new();
        for (id, (_, route)) in fleet.ids().zip(&planes) {
            let furnish = Furnish { client: &client, route, target: Target::Leaf, run: None };
            all.push((fleet.name(id), furnish.read(serving::kinds()).await.map_err(refused)?));
        }
        furnish::keep(path, all)?;
    }
    Ok(())
}

/// Tells the observers what happens on a leaf, until the process ends.
fn follow(
    client: &Arc<Client>,
    route: &Route,
    catalog: &Catalog,
    remote: &Arc<Remote>,
    observers: impl Fn(Kind) -> Arc<[clusters::Observer]>,
) {
    // The kinds of Flux's informers, and those that add-ons install.
    for kind in flux::KINDS.into_iter().chain(flux::INSTALLED) {
        let info = kind.info();
        let Some(resource) = catalog.find(info.group, info.version, info.plural).cloned() else { continue };
        let (client, route, deleter) = (Arc::clone(client), route.clone(), Arc::clone(remote));
        let about = Arc::clone(&resource);
        let deleted_by = move |namespace: &str, name: &str| {
            if deleter.has_deleted(&about, namespace, name) { CONTROLLERS } else { driver::USER_AGENT }
        };
        let (cluster, observers) = (remote.id(), observers(kind));
        let mut mirror = Mirror { cluster, resource, observers, deleted_by, known: Known::default() };
        tokio::spawn(async move {
            let path = info.path(info.version, "", "");
            client.follow((&route, Target::Leaf), kind, (&path, ""), |news| mirror.hear(news)).await;
        });
    }
}

/// Whoever deletes and is not the harness.
const CONTROLLERS: &str = "kustomize-controller";

/// An API server that is ready, and how it is reached.
struct Raised {
    /// Where this process has started it.
    plane: Option<ControlPlane>,
    contact: Contact,
    route: Route,
}

async fn raise(found: &Assets, folder: &Path) -> Result<Raised, RoleError> {
    let error = |e: &dyn std::fmt::Display| RoleError::Server(e.to_string());
    let plane = ControlPlane::start(found, folder).await.map_err(|e| error(&e))?;
    let credentials = certificate(&plane.admin.certificate, &plane.admin.key, &plane.ca_pem);
    let contact = Contact { server: plane.server.clone(), credentials };
    let route = route(&contact)?;
    Ok(Raised { plane: Some(plane), contact, route })
}

/// The same of a cluster of others.
fn host(contact: Contact) -> Result<Raised, RoleError> {
    let route = route(&contact)?;
    Ok(Raised { plane: None, contact, route })
}

fn route(contact: &Contact) -> Result<Route, RoleError> {
    let mut pools = Pools::new(CONNECTIONS, Arc::new(Traffic::default()));
    let route = contact.config().and_then(|config| pools.route(&config));
    route.map_err(|e| RoleError::Server(e.to_string()))
}

/// The processes of control planes as the record names them.
fn servers<'a>(what: &str, planes: impl IntoIterator<Item = &'a ControlPlane>) -> Vec<Server> {
    let all = planes.into_iter().flat_map(ControlPlane::processes);
    all.filter_map(|(name, pid)| Some(Server { name: format!("{what}-{name}"), pid: i32::try_from(pid).ok()? }))
        .collect()
}

fn refused(refusal: Refusal) -> RoleError {
    RoleError::Server(refusal.message)
}

/// Turns what is heard of Applications into signals.
struct Observer<'a, F> {
    world: &'a World,
    signal: F,
    /// Applications that are there, by name.
    known: Known<String>,
}

#[derive(Deserialize)]
struct Application {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    generation: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl<F: FnMut(Signal)> Observer<'_, F> {
    fn hear(&mut self, news: News<'_>) {
        match news {
            News::Listing => self.known.listing(),
            News::Applied(object) => self.tell(object, false),
            News::Deleted(object) => self.tell(object, true),
            News::Listed => {
                for (name, ()) in self.known.listed() {
                    self.signal(&name, 0, &Status::default(), true);
                }
            }
        }
    }

    fn tell(&mut self, object: &str, deleted: bool) {
        // Anybody may write Applications; one that makes no sense is none of ours.
        let Ok(Application { metadata, status }) = serde_json::from_str(object) else { return };
        if deleted {
            self.known.remove(&metadata.name);
        } else {
            self.known.insert(metadata.name.clone(), ());
        }
        // With this it goes on in another cell.
        if !metadata.annotations.contains_key(cells::MOVED) {
            self.signal(&metadata.name, metadata.generation, &status, deleted);
        }
    }

    fn signal(&mut self, name: &str, generation: u64, status: &Status, deleted: bool) {
        if let Some(app) = self.world.find_app(name) {
            (self.signal)(committed(app, clock::now(), generation, deleted, status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture;
    use crate::ids::AppId;
    use crate::measure::Health;
    use crate::scenario::Delivery;
    use serde_json::{Value, json};

    fn application(name: &str, generation: u64, annotations: &Value) -> String {
        json!({ "metadata": { "name": name, "generation": generation, "annotations": annotations },
            "status": { "health": { "status": "Healthy" } } })
        .to_string()
    }

    /// Generation, health and absence of everything told.
    fn told(world: &World, news: &[News<'_>]) -> Vec<(u64, Health, bool)> {
        let mut all = Vec::new();
        let signal = |signal| {
            if let Signal::AppCommitted { generation, health, deleted, .. } = signal {
                all.push((generation, health, deleted));
            }
        };
        let mut observer = Observer { world, signal, known: Known::default() };
        news.iter().for_each(|news| observer.hear(*news));
        all
    }

    #[test]
    fn what_went_while_nobody_listened_is_told_with_the_next_list() {
        let scenario = fixture::scenario(
            2,
            vec![fixture::addon("a", Delivery::Git)],
            vec![fixture::step(0, fixture::install(&[0], 1))],
        );
        let world = World::generate(&scenario);
        let [one, two] = [0, 1].map(|app| application(&world.app_name(AppId(app)), 3, &json!({})));
        let (applied, healthy) = ((3, Health::Healthy, false), (3, Health::Healthy, true));
        let first = [News::Listing, News::Applied(&one), News::Applied(&two), News::Listed];
        assert_eq!(told(&world, &first), [applied, applied]);
        let again =
            [&first[..], &[News::Listing, News::Applied(&two), News::Listed, News::Listing, News::Listed]].concat();
        let gone = (0, Health::Unknown, true);
        assert_eq!(told(&world, &again), [applied, applied, applied, gone, gone]);
        assert_eq!(told(&world, &[News::Applied(&one), News::Deleted(&one), News::Listed]), [applied, healthy]);
    }

    #[test]
    fn what_is_none_of_ours_or_goes_on_in_another_cell_is_not_told() {
        let scenario = fixture::scenario(
            1,
            vec![fixture::addon("a", Delivery::Git)],
            vec![fixture::step(0, fixture::install(&[0], 1))],
        );
        let world = World::generate(&scenario);
        let moved = application(&world.app_name(AppId(0)), 1, &json!({ (cells::MOVED): "" }));
        let foreign = application("foreign", 1, &json!({}));
        assert_eq!(told(&world, &[News::Applied(&moved), News::Applied(&foreign), News::Applied("[]")]), []);
    }
}
