//! How often each caller did what: the numbers behind "calls" in a record.
//!
//! In: one count per handled call, and bytes sent by the rim. Out: a sorted table. Counters are spread over 64 locks by
//! cluster, so that two cores seldom meet; a count is one lookup without an allocation.

use crate::apiserver::request::{Request, Verb};
use indexmap::{Equivalent, IndexMap};
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

const SHARDS: usize = 64;

/// What calls are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    /// Caller's user agent, whole.
    pub user_agent: String,
    /// What it did.
    pub verb: Verb,
    /// On which API group.
    pub group: String,
    /// On which resource.
    pub plural: String,
    /// Through which subresource; empty for the main one.
    pub subresource: String,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// HTTP code of the answer.
    pub code: u16,
}

/// How often, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Calls.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes_in: u64,
}

struct Borrowed<'a> {
    user_agent: &'a str,
    verb: Verb,
    group: &'a str,
    plural: &'a str,
    subresource: &'a str,
    dry_run: bool,
    code: u16,
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.user_agent, self.verb, self.group, self.plural, self.subresource, self.dry_run, self.code).hash(state);
    }
}

impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<CallKey> for Borrowed<'_> {
    fn equivalent(&self, key: &CallKey) -> bool {
        self.code == key.code
            && self.verb == key.verb
            && self.dry_run == key.dry_run
            && self.plural == key.plural
            && self.group == key.group
            && self.subresource == key.subresource
            && self.user_agent == key.user_agent
    }
}

impl CallKey {
    fn borrowed(&self) -> Borrowed<'_> {
        Borrowed {
            user_agent: &self.user_agent,
            verb: self.verb,
            group: &self.group,
            plural: &self.plural,
            subresource: &self.subresource,
            dry_run: self.dry_run,
            code: self.code,
        }
    }
}

impl Borrowed<'_> {
    fn owned(&self) -> CallKey {
        CallKey {
            user_agent: self.user_agent.to_owned(),
            verb: self.verb,
            group: self.group.to_owned(),
            plural: self.plural.to_owned(),
            subresource: self.subresource.to_owned(),
            dry_run: self.dry_run,
            code: self.code,
        }
    }
}

/// The counters.
pub struct Calls {
    shards: Vec<Mutex<IndexMap<CallKey, Call, FxBuildHasher>>>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Calls {
    pub(super) fn count(&self, cluster: u32, request: &Request<'_>, code: u16) {
        let key = Borrowed {
            user_agent: request.user_agent,
            verb: request.verb,
            group: &request.resource.group,
            plural: &request.resource.plural,
            subresource: request.subresource.unwrap_or_default(),
            dry_run: request.options.dry_run,
            code,
        };
        let mut shard = self.shards[cluster as usize % SHARDS].lock();
        let call = match shard.get_index_of(&key) {
            Some(at) => &mut shard[at],
            None => shard.entry(key.owned()).or_default(),
        };
        call.count += 1;
        call.bytes_in += request.body.len() as u64;
    }

    /// All counts, by key.
    #[must_use]
    pub fn read(&self) -> BTreeMap<CallKey, Call> {
        let mut all: BTreeMap<CallKey, Call> = BTreeMap::new();
        for shard in &self.shards {
            for (key, call) in shard.lock().iter() {
                let sum = all.entry(key.clone()).or_default();
                sum.count += call.count;
                sum.bytes_in += call.bytes_in;
            }
        }
        all
    }
}
