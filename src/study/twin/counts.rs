//! Numbers of both clocks: apps, changes, rounds, calls per app by who makes them and what they do.

use super::{Count, Played, Verdict};
use crate::calls::Verb;
use crate::measure::{CallCount, Role};
use crate::record::RunRecord;
use std::collections::{BTreeMap, BTreeSet};

/// What two live runs of one scenario differ by where who comes first decides: reports that are overtaken, looks that
/// come before there is anything to see. Assumed.
const RACED: f64 = 0.10;

pub(super) fn compare(live: &[&Played], simulated: &Played, against: Verdict) -> Vec<Count> {
    let records: Vec<&RunRecord> = live.iter().map(|played| &played.stored.record).collect();
    let own = &simulated.stored.record;
    let mut all = Vec::new();
    let mut put = |name: String, of: &dyn Fn(&RunRecord) -> f64, raced| {
        let lives: Vec<f64> = records.iter().map(|record| of(record)).collect();
        all.push(count(name, &lives, of(own), raced, against));
    };
    put("clusters".to_owned(), &|r| r.counts.clusters as f64, false);
    put("managers".to_owned(), &|r| r.counts.managers as f64, false);
    put("apps".to_owned(), &|r| r.counts.apps as f64, false);
    put("healthy apps".to_owned(), &|r| r.counts.apps_healthy as f64, false);
    put("changes".to_owned(), &|r| r.counts.changes as f64, false);
    put("apps worked on by two managers".to_owned(), &|r| r.counts.double_owned as f64, false);
    put("rounds per app".to_owned(), &|r| per_app(r, r.counts.rounds), true);
    let keys: BTreeSet<String> = records.iter().copied().chain([own]).flat_map(calls).map(|(key, _)| key).collect();
    for key in keys {
        let raced = is_raced(&key);
        put(key.clone(), &|r| per_app(r, calls(r).get(&key).copied().unwrap_or(0)), raced);
    }
    all
}

fn count(name: String, live: &[f64], simulated: f64, raced: bool, against: Verdict) -> Count {
    let low = live.iter().copied().fold(f64::MAX, f64::min);
    let high = live.iter().copied().fold(f64::MIN, f64::max);
    let room = if raced { (high * RACED).max(0.1) } else { 1e-9 };
    let same = (low - room..=high + room).contains(&simulated);
    // What no race decides is the same on any machine.
    let verdict = match (same, raced) {
        (true, _) => Verdict::Agree,
        (false, true) => against,
        (false, false) => Verdict::Differ,
    };
    Count { name, live: [low, high], simulated, raced, verdict }
}

fn per_app(record: &RunRecord, count: u64) -> f64 {
    count as f64 / record.counts.apps.max(1) as f64
}

/// Calls of clients by who makes them and what they do; servers count the same calls once more.
fn calls(record: &RunRecord) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for process in record.processes.iter().filter(|process| process.is_client()) {
        for call in &process.calls {
            *all.entry(key(process.role, call)).or_default() += call.count;
        }
    }
    all
}

fn key(role: Role, call: &CallCount) -> String {
    // A server sees an apply as the patch that it is.
    let verb = if call.verb == Verb::Apply { Verb::Patch } else { call.verb };
    let verb = format!("{verb:?}").to_lowercase();
    let (resource, subresource) = (&call.resource, &call.subresource);
    let slash = if subresource.is_empty() { "" } else { "/" };
    let dry = if call.dry_run { " (dry run)" } else { "" };
    format!("calls per app: {} {verb} {resource}{slash}{subresource}{dry}", role.name())
}

/// Whether who comes first decides how many there are: reports and looks. What is written once is not.
fn is_raced(key: &str) -> bool {
    ["status", " get ", " list ", " watch ", "events", "manager ", "discover"].iter().any(|word| key.contains(word))
        || key.contains("flux-model")
}
