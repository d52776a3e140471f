//! One server: its clusters, and the way from a request to its answer.
//!
//! In: the head and body of a request, and where it came in. Out: the answer. The order of the checks is that of
//! kube-apiserver's filters: which cluster, who calls, may they, what do they want.

use super::body::AnswerBody;
use super::call::{Conn, Received};
use super::counters::Counters;
use super::identity::{self, Identity, Known};
use super::limit::Limit;
use super::query::{self, Query};
use super::reply::Reply;
use super::route::{Route, route};
use super::{Setup, Site, authorize, discovery, health, objects, version};
use crate::apiserver::endpoint;
use crate::apiserver::failure::Failure;
use crate::apiserver::listen::Listen;
use crate::apiserver::tls::Certificates;
use http::request::Parts;
use http::{Method, Response};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Everything that connections share.
pub(crate) struct Server {
    sites: Vec<Site>,
    by_name: FxHashMap<String, u32>,
    certificates: Certificates,
    listen: Listen,
    counters: Arc<Counters>,
    known: Known,
    calls: AtomicU64,
    gzip: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("sites", &self.sites.len()).finish_non_exhaustive()
    }
}

/// One call on its way.
pub(crate) struct Call<'a> {
    pub(crate) site: &'a Site,
    pub(crate) conn: &'a Conn,
    pub(crate) parts: &'a Parts,
    pub(crate) query: &'a Query<'a>,
    pub(crate) reply: Reply<'a>,
    pub(crate) identity: &'a Identity,
    pub(crate) body: &'a Received,
    pub(crate) counters: &'a Arc<Counters>,
    /// When it must be answered; a watch need not be.
    pub(crate) limit: Option<Limit>,
    /// The cluster's path prefix if the client used it, for redirects.
    pub(crate) prefix: &'a str,
}

impl Server {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { sites, certificates, listen, gzip } = setup;
        let by_name = (0..).zip(&sites).map(|(at, site)| (site.name.clone(), at)).collect();
        let (counters, known, calls) = (Arc::default(), Known::default(), AtomicU64::new(0));
        Self { sites, by_name, certificates, listen, counters, known, calls, gzip }
    }

    pub(crate) fn has(&self, cluster: u32) -> bool {
        (cluster as usize) < self.sites.len()
    }

    pub(crate) const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    pub(crate) fn listen(&self) -> Listen {
        self.listen
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Answers one request. A panic is a bug of ours; it costs this answer, not the connection.
    pub(crate) fn answer(&self, conn: &Conn, parts: &Parts, body: &Received) -> Response<AnswerBody> {
        self.counters.request();
        let query = Query::read(parts.uri.query());
        let pretty = query.text("pretty").map(|text| matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"));
        let reply = Reply::new(parts, pretty, self.calls.fetch_add(1, Relaxed), self.gzip);
        let work = std::panic::AssertUnwindSafe(|| self.reach(conn, parts, &query, reply, body));
        std::panic::catch_unwind(work).unwrap_or_else(|_| {
            reply.failure(&Failure::internal("the server has a bug; its standard error says where"))
        })
    }

    fn reach(
        &self,
        conn: &Conn,
        parts: &Parts,
        query: &Query<'_>,
        reply: Reply<'_>,
        body: &Received,
    ) -> Response<AnswerBody> {
        let Some(path) = query::decode(parts.uri.path(), false) else {
            return reply.text(400, "400 Bad Request\n");
        };
        let (name, inner) = endpoint::split(&path);
        let cluster = match name {
            Some(name) => self.by_name.get(name).copied(),
            None => Some(conn.cluster.unwrap_or(0)),
        };
        let Some(site) = cluster.and_then(|cluster| self.sites.get(cluster as usize)) else {
            return reply.no_page();
        };
        let route = route(inner);
        let limit = match Limit::of(&parts.method, query, &route) {
            Ok(limit) => limit,
            Err(failure) => return reply.failure(&failure),
        };
        let mut identity = match identity::identify(&parts.headers, conn.client.as_ref(), site, &self.known) {
            Ok(identity) => identity,
            Err(failure) => return reply.failure(&failure),
        };
        let prefix = &path[..path.len() - inner.len()];
        if let Some(wanted) = identity::wanted(&parts.headers).filter(|_| !identity.is_anonymous()) {
            match wanted.and_then(|wanted| authorize::impersonate(&identity, &wanted, site).map(|()| wanted)) {
                Ok(wanted) => identity = Arc::new(wanted),
                Err(failure) => return reply.failure(&failure),
            }
        }
        let (counters, identity) = (&self.counters, &*identity);
        let call = Call { site, conn, parts, query, reply, identity, body, counters, limit, prefix };
        if let Err(failure) = authorize::call(&call, route, inner) {
            return reply.failure(&failure);
        }
        let answer = call.dispatch(route);
        limit.and_then(|limit| limit.late(&reply)).unwrap_or(answer)
    }
}

impl Call<'_> {
    fn dispatch(&self, route: Route<'_>) -> Response<AnswerBody> {
        let reads = matches!(self.parts.method, Method::GET | Method::HEAD);
        match route {
            Route::Resource(target) => objects::answer(self, target),
            Route::Unknown => self.reply.no_page(),
            // Health answers whatever method asks.
            Route::Health { endpoint, check } => match health::text(endpoint, check, self.query) {
                Some(text) if check.is_empty() => self.reply.text(200, text),
                Some(text) => self.reply.body(200, super::reply::TEXT, text.into()),
                None => self.reply.no_page(),
            },
            _ if !reads => self.reply.failure(&not_allowed()),
            Route::Version => self.reply.body(200, super::reply::JSON, version::document(&self.site.kubernetes)),
            route => discovery::answer(self, route),
        }
    }
}

/// 405 of a built-in resource.
pub(crate) fn not_allowed() -> Failure {
    let message = "the server does not allow this method on the requested resource";
    let mut failure = Failure::new(405, "MethodNotAllowed", message);
    failure.details = Some(Box::default());
    failure
}
