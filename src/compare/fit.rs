//! Whether results compare at all, and under which conditions.

use super::Question;
use crate::record::{Clock, RunRecord, Status, Stored};
use crate::scenario;
use serde_json::Value;
use std::collections::BTreeMap;

/// Why results do not compare. `index` counts from 1 in the order they were given; the other side is always the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too few or too many.
    #[error("{0} results: give 2 to 8")]
    Count(usize),
    /// A run that did not end, or must not be used.
    #[error("{run} is {status}: only complete runs compare; run it again")]
    NotComplete {
        /// Which run.
        run: String,
        /// What it is.
        status: &'static str,
    },
    /// They say different things under one name.
    #[error("result {index} has another {what} ({head}) than the first ({base}): {hint}")]
    Differs {
        /// Which result.
        index: usize,
        /// What differs.
        what: &'static str,
        /// The first result's.
        base: String,
        /// This result's.
        head: String,
        /// What to do.
        hint: &'static str,
    },
    /// Their scenarios differ in more than the topology.
    #[error("result {index} ran another scenario than the first, they differ in {}: compare runs of one scenario, or name what may differ with --across", paths.join(", "))]
    Scenario {
        /// Which result.
        index: usize,
        /// Where they differ.
        paths: Vec<String>,
    },
    /// Their scenarios differ and nobody knows how.
    #[error(
        "result {index} ran another scenario than the first, and scenario.yaml is not beside both records to say how they differ: give the folders of the results"
    )]
    Unknown {
        /// Which result.
        index: usize,
    },
}

/// The conditions under which results compare.
pub(super) fn conditions(results: &[Stored], question: &Question) -> Result<Vec<String>, Refusal> {
    if !(2..=8).contains(&results.len()) {
        return Err(Refusal::Count(results.len()));
    }
    for (index, head) in results.iter().enumerate() {
        fits(&results[0], head, index + 1, question)?;
    }
    let records: Vec<&RunRecord> = results.iter().map(|result| &result.record).collect();
    let mut told = size(records[0]);
    if records[0].clock == Clock::Real {
        let machine = format!("{} CPUs, {} GiB", records[0].host.cpus, gibibytes(records[0]));
        told.push(format!("one run each on one machine ({machine}), all processes sharing it"));
        told.push(format!("two runs of the same thing are assumed to differ by {:.0}%", question.noise * 100.0));
    }
    told.extend(doubts(&records));
    Ok(told)
}

/// Whether a result compares with the base.
pub(super) fn fits(base: &Stored, head: &Stored, index: usize, question: &Question) -> Result<(), Refusal> {
    complete(&head.record)?;
    same_kind(&base.record, &head.record, index)?;
    same_scenario(base, head, index, question)
}

fn complete(record: &RunRecord) -> Result<(), Refusal> {
    let status = match record.status {
        Status::Complete => return Ok(()),
        Status::Partial => "partial",
        Status::Invalid => "invalid",
    };
    Err(Refusal::NotComplete { run: record.run_id.clone(), status })
}

/// Memory of one machine varies by what its kernel keeps for itself; other machines have other sizes.
fn gibibytes(record: &RunRecord) -> u64 {
    (record.host.memory_bytes + (1 << 29)) >> 30
}

/// The same rules of measuring, on the same kind of machine.
fn same_kind(base: &RunRecord, head: &RunRecord, index: usize) -> Result<(), Refusal> {
    let texts = |of: &dyn Fn(&RunRecord) -> String| (of(base), of(head));
    let measuring = "run both with one version of this program and one way of measuring";
    let mut rules: Vec<(&'static str, (String, String), &'static str)> = vec![
        ("schema", texts(&|r| r.schema_version.to_string()), measuring),
        ("clock", texts(&|r| format!("{:?}", r.clock).to_lowercase()), "only runs on one kind of clock compare"),
        ("observer", texts(&|r| format!("{:?}", r.observer).to_lowercase()), measuring),
        ("backend", texts(&|r| r.backend.clone()), measuring),
        ("model", texts(&|r| r.model_version.clone()), measuring),
    ];
    if base.clock == Clock::Real {
        let machine = "clocked numbers of different machines do not compare; run both on one";
        rules.push(("build profile", texts(&|r| r.build.profile.clone()), "build both alike"));
        rules.push(("machine", texts(&|r| format!("{} CPUs", r.host.cpus)), machine));
        rules.push(("machine", texts(&|r| format!("{} GiB", gibibytes(r))), machine));
    }
    let broken = rules.into_iter().find(|(_, (base, head), _)| base != head);
    broken.map_or(Ok(()), |(what, (base, head), hint)| Err(Refusal::Differs { index, what, base, head, hint }))
}

/// Equal but for the name, the topology and what was asked for.
fn same_scenario(base: &Stored, head: &Stored, index: usize, question: &Question) -> Result<(), Refusal> {
    let same_seed = base.record.seed == head.record.seed;
    if base.record.scenario.hash == head.record.scenario.hash && same_seed {
        return Ok(());
    }
    let (Some(one), Some(other)) = (leaves(&base.scenario), leaves(&head.scenario)) else {
        return Err(Refusal::Unknown { index });
    };
    let allowed = |path: &String| {
        let below = |above: &str| path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'));
        let named = |asked: &String| below(asked) || below(&format!("spec.{asked}"));
        below("metadata") || below("spec.topology") || below("spec.gate") || question.across.iter().any(named)
    };
    let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = keys.into_iter().filter(|path| one.get(*path) != other.get(*path) && !allowed(path));
    let paths: Vec<String> = differ.take(5).cloned().collect();
    if paths.is_empty() { Ok(()) } else { Err(Refusal::Scenario { index, paths }) }
}

/// The values of a scenario by their path. One of an older version has today's defaults filled in.
fn leaves(text: &str) -> Option<BTreeMap<String, Value>> {
    if text.is_empty() {
        return None;
    }
    let filled = scenario::parse(text, "scenario.yaml", &[]).map_or_else(|_| text.to_owned(), |read| read.effective);
    let root: Value = serde_saphyr::from_str(&filled).ok()?;
    let mut leaves = BTreeMap::new();
    walk(&root, &mut String::new(), &mut leaves);
    Some(leaves)
}

fn walk(value: &Value, path: &mut String, leaves: &mut BTreeMap<String, Value>) {
    let mut step = |name: &str, child: &Value| {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(name);
        walk(child, path, leaves);
        path.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, child)| step(name, child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, child)| step(&at.to_string(), child)),
        Value::Null => {}
        leaf => _ = leaves.insert(path.clone(), leaf.clone()),
    }
}

/// What was run, and how.
pub(super) fn size(record: &RunRecord) -> Vec<String> {
    let mut told = vec![format!("{} clusters with {} apps", record.counts.clusters, record.counts.apps)];
    if record.clock == Clock::Virtual {
        told.push("simulated: exact for the model, as good as the model".to_owned());
    }
    told
}

/// What makes an answer less sure: differences that do not forbid to compare, and what the runs say against themselves.
pub(super) fn doubts(records: &[&RunRecord]) -> Vec<String> {
    let mut told = Vec::new();
    let mut note = |text: &str, of: &dyn Fn(&RunRecord) -> String| {
        let differ = records.iter().any(|record| of(record) != of(records[0]));
        told.extend(differ.then(|| text.to_owned()));
    };
    note("the kernels differ", &|record| record.host.kernel.clone());
    note("the builds differ", &|record| format!("{:?}", record.build));
    for record in records {
        let doubts = record.warnings.iter().filter(|w| w.severity == crate::measure::warning::Severity::Suspect);
        told.extend(doubts.map(|warning| format!("in {}: {}", record.run_id, warning.message)));
    }
    told
}
