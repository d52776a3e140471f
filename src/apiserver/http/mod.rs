//! The rim that speaks HTTP: many clusters behind one socket.
//!
//! In: clusters with their names and tokens, a listening socket, an authority. Out: HTTP/1.1 and HTTP/2 over TLS, as
//! kube-apiserver speaks them. Everything about objects is decided behind
//! [`Cluster::handle`](super::clusters::Cluster::handle); here are paths, media types, headers, texts and bytes.
//!
//! A call goes: `connection` (TLS, protocol) -> `call` (body) -> `server` (cluster, caller) -> `route` -> `authorize` ->
//! `objects`, `discovery`, `health`, `version` or `review` -> `form`, `table`, `watch` -> `reply`.

mod accept;
mod authorize;
mod body;
mod call;
mod cells;
mod connection;
mod counters;
mod discovery;
mod form;
mod guard;
mod health;
mod identity;
mod json;
mod limit;
mod objects;
mod options;
mod path;
mod protobuf;
mod query;
mod reply;
mod review;
mod route;
mod server;
mod service;
mod table;
mod token;
mod version;
mod watch;
mod webhook;
mod yaml;

pub use counters::{Counters, Reading};
pub use service::{Answer, AnswerBody, Service};

use super::clusters::{Cluster, Clusters};
use super::kubeconfig;
use super::listen::Listen;
use super::rbac::Authorization;
use super::request::Now;
use super::tls::Certificates;
use crate::units::Span;
pub(super) use server::Server;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;
use tokio::task::{JoinHandle, JoinSet};

/// How often deadlines are looked at: ends and bookmarks of watches, housekeeping.
const TICK: Span = Span::from_millis(100);

/// One cluster as clients find it.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name in paths and kubeconfigs: a DNS label.
    pub name: String,
    /// Its bearer token. Tokens differ, so that a call that went to the wrong cluster is a 401.
    pub token: String,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The Kubernetes version that `/version` tells (`1.35`); empty for the one whose kinds are served.
    pub kubernetes: Box<str>,
    /// What those may do who are known and are no administrators.
    pub authorization: Authorization,
}

/// What a server is made of.
#[derive(Debug)]
pub struct Setup {
    /// The clusters; the first one answers where nobody else is named. Site `i` has the address of cluster `i`.
    pub sites: Vec<Site>,
    /// What it shows to clients.
    pub certificates: Certificates,
    /// Which local addresses count.
    pub listen: Listen,
    /// Whether big answers are compressed for clients that ask; costs more CPU than it saves on loopback.
    pub gzip: bool,
}

/// A running server. Dropping it stops it at once; [`Serving::stop`] lets calls finish.
#[derive(Debug)]
pub struct Serving {
    server: Arc<Server>,
    port: u16,
    stop: signal::Sender<bool>,
    accepting: JoinHandle<()>,
    ticking: Option<JoinHandle<()>>,
}

impl Serving {
    /// Starts serving on the current tokio runtime.
    ///
    /// # Errors
    /// When the socket does not tell its address.
    pub fn start(setup: Setup, listener: TcpListener) -> std::io::Result<Self> {
        Self::over(Arc::new(Server::new(setup)), listener)
    }

    /// Serves what may be reached in other ways too.
    pub(super) fn over(server: Arc<Server>, listener: TcpListener) -> std::io::Result<Self> {
        let port = listener.local_addr()?.port();
        let (stop, stopping) = signal::channel(false);
        let accepting = tokio::spawn(accept(Arc::clone(&server), listener, stopping));
        Ok(Self { server, port, stop, accepting, ticking: None })
    }

    /// The same, turning the wheel of `clusters` as well: bookmarks, ends of watches, housekeeping.
    ///
    /// # Errors
    /// As [`Serving::start`].
    pub fn start_with(setup: Setup, listener: TcpListener, clusters: Arc<Clusters>) -> std::io::Result<Self> {
        let mut serving = Self::start(setup, listener)?;
        serving.ticking = Some(tokio::spawn(tick(clusters)));
        Ok(serving)
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        self.server.counters()
    }

    /// The URL of a cluster at the shared endpoint, where one HTTP/2 connection carries watches of many clusters.
    #[must_use]
    pub fn shared_url(&self, name: &str) -> String {
        self.server.listen().shared_url(name, self.port)
    }

    /// What a client needs to know of each cluster. On loopback every cluster has an address of its own, as real ones
    /// have; a server that others reach over the network has one address and prefixes.
    #[must_use]
    pub fn contexts(&self) -> Vec<kubeconfig::Context> {
        let context = |(cluster, site): (u32, &Site)| kubeconfig::Context {
            name: site.name.clone(),
            server: self.server.listen().url(cluster, &site.name, self.port),
            token: site.token.clone(),
        };
        (0..).zip(self.server.sites()).map(context).collect()
    }

    /// The same as the text of a kubeconfig, the first cluster being the current context.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        kubeconfig::text(&self.contexts(), &self.server.certificates().authority())
    }

    /// Stops accepting, tells every connection to end, and gives calls `grace` to finish.
    pub async fn stop(mut self, grace: Span) {
        self.stop.send_replace(true);
        // Whatever is not done by then is cut off by the drop.
        let _ = tokio::time::timeout(grace.to_std(), &mut self.accepting).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
    }
}

/// Turns the wheel of `clusters` until it is aborted.
pub(super) async fn tick(clusters: Arc<Clusters>) {
    let mut ticks = tokio::time::interval(TICK.to_std());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        clusters.turn(Now::read());
    }
}

/// Accepts until told to stop, then waits for the connections to end.
async fn accept(server: Arc<Server>, listener: TcpListener, mut stopping: signal::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaps what has ended; the set would grow forever otherwise.
            Some(_) = connections.join_next() => continue,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((socket, _)) => {
                connections.spawn(connection::serve(Arc::clone(&server), socket, stopping.clone()));
            }
            // Out of descriptors, or a client that went away: give others time to close theirs.
            Err(_) => tokio::time::sleep(TICK.to_std()).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
