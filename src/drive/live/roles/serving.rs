//! What hub and leaves have in common: clusters behind one socket, and their figures for the harness.
//!
//! In: clusters with names. Out: where they are reached, and at the end what was counted.

use super::{RoleError, Stage};
use crate::apiserver::clusters::{Cluster, Clusters};
use crate::apiserver::http::{Serving, Setup, Site};
use crate::apiserver::listen::{Listen, raise_file_limit};
use crate::apiserver::rbac::Authorization;
use crate::apiserver::request;
use crate::apiserver::tls::{Authority, Certificates};
use crate::calls::{Kind, Tally, Target};
use crate::drive::live::counted::About;
use crate::drive::live::driver::USER_AGENT;
use crate::drive::live::foreign;
use crate::drive::live::furnish;
use crate::drive::live::notice::Notice;
use crate::drive::live::reporter::Reporter;
use crate::drive::live::settings::Access;
use crate::measure::{Figures, Role};
use crate::model::flux;
use crate::scenario::ManagerKind;
use crate::units::Span;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How long calls may take to finish at the end.
const GRACE: Span = Span::from_millis(500);
/// How often the objects are counted for their most: one read of a counter.
const COUNT_EVERY: Span = Span::from_millis(200);

/// A server of this role.
pub(super) struct Server {
    serving: Serving,
    clusters: Arc<Clusters>,
    reporter: Reporter,
    role: Role,
    target: Target,
    objects_max: Arc<AtomicU64>,
    names: Vec<String>,
    /// The managers are programs of others, of this kind.
    real: Option<ManagerKind>,
}

/// Starts to serve and tells the harness where. Names and Kubernetes versions are given in the order of the clusters.
pub(super) fn start(
    clusters: Arc<Clusters>,
    names: Vec<(String, &str)>,
    role: Role,
    stage: &Stage,
) -> Result<Server, RoleError> {
    let reporter = &stage.reporter;
    // The harness has compared the limit with the need already.
    let _limit = raise_file_limit();
    let server_error = |e: &dyn std::fmt::Display| RoleError::Server(e.to_string());
    let called = names.iter().map(|(name, _)| name.clone()).collect();
    let authority = Arc::new(Authority::generate().map_err(|e| server_error(&e))?);
    let sites: Vec<Site> = names
        .into_iter()
        .zip(clusters.iter())
        .map(|((name, kubernetes), cluster)| Site {
            token: authority.secret(&name),
            name,
            cluster: Arc::clone(cluster),
            kubernetes: kubernetes.into(),
            authorization: Authorization::Everyone,
        })
        .collect();
    let tokens = sites.iter().map(|site| site.token.clone()).collect();
    let listen = Listen::new(None);
    let listener = listen.bind().map_err(|e| server_error(&e))?;
    let ca_pem = authority.pem();
    let setup = Setup { sites, certificates: Certificates::Ours(authority), listen, gzip: false };
    let serving = Serving::start_with(setup, listener, Arc::clone(&clusters))?;
    let url = format!("https://127.0.0.1:{}", serving.port());
    reporter.notice(Notice::Ready { access: Access::Paths { url, ca_pem, tokens }, servers: Vec::new() });
    let target = if role == Role::Hub { Target::Hub } else { Target::Leaf };
    let objects_max = Arc::new(AtomicU64::new(clusters.objects()));
    tokio::spawn(count(Arc::clone(&clusters), Arc::clone(&objects_max)));
    Ok(Server {
        serving,
        clusters,
        reporter: reporter.clone(),
        role,
        target,
        objects_max,
        names: called,
        real: stage.real(),
    })
}

async fn count(clusters: Arc<Clusters>, most: Arc<AtomicU64>) {
    let mut ticks = tokio::time::interval(COUNT_EVERY.to_std());
    loop {
        ticks.tick().await;
        most.fetch_max(clusters.objects(), Relaxed);
    }
}

impl Server {
    /// What programs of others called.
    fn callers(&self) -> Vec<(String, Figures)> {
        let Some(kind) = self.real else { return Vec::new() };
        let mut names: Vec<String> = Vec::new();
        for (key, _) in self.clusters.calls().read() {
            let name = foreign::caller(&key.user_agent, kind).to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let of = |name: &str| tally(&self.clusters, self.target, |agent| foreign::caller(agent, kind) == name);
        names.into_iter().map(|name| (name.clone(), Figures::of_tally(&of(&name)))).collect()
    }

    /// Stops serving and says what it counted, beside the figures of other roles of this process. All objects go to the
    /// file `objects`, if they are wanted.
    pub(super) async fn close(self, objects: Option<&Path>, mut others: Vec<(Role, Figures)>) {
        let reading = self.serving.counters().read();
        let tally = tally(&self.clusters, self.target, |_| true);
        others.push((
            self.role,
            Figures {
                bytes_in: Some(reading.bytes_in),
                bytes_out: Some(reading.bytes_out),
                connections_max: Some(reading.connections_max),
                watches_max: Some(reading.watches_max),
                cached_objects_max: Some(self.objects_max.load(Relaxed).max(self.clusters.objects())),
                watch_events: self.clusters.watch_events(),
                ..Figures::of_tally(&tally)
            },
        ));
        let callers = self.callers();
        self.reporter.farewell_of_server(others, callers);
        if let Some(path) = objects
            && let Err(error) = self.write_objects(path)
        {
            self.reporter.notice(Notice::Failed { message: format!("cannot write {}: {error}", path.display()) });
        }
        self.serving.stop(GRACE).await;
    }
}

/// The kinds that a run is about.
pub(super) fn kinds() -> impl Iterator<Item = Kind> {
    [Kind::APPLICATION].into_iter().chain(flux::KINDS).chain(flux::INSTALLED).chain([Kind::REPLICA_SET])
}

impl Server {
    fn write_objects(&self, path: &Path) -> std::io::Result<()> {
        let objects = |cluster: &Cluster| {
            let catalog = cluster.catalog();
            let mut objects = Vec::new();
            for info in kinds().map(Kind::info) {
                let Some(resource) = catalog.find(info.group, info.version, info.plural) else { continue };
                let request = request::Request::new(request::Verb::List, resource, USER_AGENT);
                if let request::Response::List(list) = cluster.handle(&request, request::Now::read()) {
                    objects.extend(list.items.iter().map(|object| object.to_value(&object.resource)));
                }
            }
            objects
        };
        let clusters = self.names.iter().cloned().zip(self.clusters.iter());
        furnish::keep(path, clusters.map(|(name, cluster)| (name, objects(cluster))))
    }
}

/// Calls that some callers made, by what they were.
pub(super) fn tally(clusters: &Clusters, target: Target, of: impl Fn(&str) -> bool) -> Tally {
    let mut tally = Tally::default();
    for (key, call) in clusters.calls().read().iter().filter(|(key, _)| of(&key.user_agent)) {
        let about = About {
            verb: key.verb,
            group: &key.group,
            plural: &key.plural,
            subresource: &key.subresource,
            dry_run: key.dry_run,
        };
        tally.add_key(about.key(target, key.code), call.count);
    }
    tally
}
