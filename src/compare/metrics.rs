//! Which metrics there are, and the verdict on each.

use super::Verdict;
use super::interval::{Estimate, Ratio};
use crate::measure::{ChangeKind, Histogram, Hop, Role};
use crate::record::{Clock, Latency, Provenance, RunRecord, Stored};
use crate::topology::Spread;
use serde::Serialize;

/// One metric of one result against the base.
#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    /// Which result, counted from 0, the base being 0.
    pub result: usize,
    /// A dotted path into the record; processes are summed by role, managers are told by their spread.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// `lower`, `higher` or `none`.
    pub better: Better,
    /// Whether it depends on timing.
    pub class: Class,
    /// The base's; null when it has none.
    pub base: serde_json::Value,
    /// The result's.
    pub head: serde_json::Value,
    /// Head by base; null when there is none.
    pub ratio: Option<f64>,
    /// Between which bounds the ratio lies; null is unknown, and a null bound is none.
    pub interval: Option<[Option<f64>; 2]>,
    /// The smaller number of samples.
    pub n: u64,
    /// How much worse it may get, as a share; null where nobody set a budget.
    pub budget: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Whether it counts for the verdict on the result.
    #[serde(skip)]
    pub headline: bool,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Less.
    Lower,
    /// More.
    Higher,
    /// Neither.
    None,
}

/// Whether a metric depends on timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It does not: any difference is one.
    Exact,
    /// It does.
    Noisy,
}

/// The roles of processes in the order of reports.
pub const ROLES: [Role; 5] = [Role::Harness, Role::Hub, Role::Leaves, Role::FluxModel, Role::Manager];

/// The metrics that count for the verdict on a result: how long, and at what cost.
const HEADLINES: [&str; 6] = [
    "counts.apps_healthy",
    "counts.failed",
    "time.all_healthy_s",
    "latency.end_to_end.p99_s",
    "processes.cpu_s",
    "processes.rss_max_bytes",
];

/// Every metric of a result against the base.
pub(super) fn all(base: &Stored, head: &Stored, result: usize, noise: f64) -> Vec<Metric> {
    let simulated = base.record.clock == Clock::Virtual;
    let noise = if simulated { 0.0 } else { noise };
    let disturbed = !simulated && [base, head].into_iter().any(|result| was_disturbed(&result.record));
    let mut list = List { result, noise, simulated, disturbed, metrics: Vec::new() };
    if simulated {
        list.text("digest", base.record.digest.as_deref(), head.record.digest.as_deref());
    }
    counts(&mut list, &base.record, &head.record);
    times(&mut list, &base.record, &head.record);
    latencies(&mut list, base, head);
    processes(&mut list, &base.record, &head.record);
    managers(&mut list, &base.record, &head.record);
    list.metrics
}

/// A metric of one result.
#[derive(Clone, Debug)]
pub struct Value {
    /// A dotted path into the record, as [`Metric`] has it.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Its value.
    pub value: f64,
}

/// Every number that is compared, of one result.
#[must_use]
pub fn values(stored: &Stored) -> Vec<Value> {
    let value = |metric: Metric| {
        Some(Value { value: metric.head.as_f64()?, name: metric.name, unit: metric.unit, better: metric.better })
    };
    all(stored, stored, 0, 0.0).into_iter().filter_map(value).collect()
}

/// Whether somebody else used the machine during a run.
pub(super) fn was_disturbed(record: &RunRecord) -> bool {
    record.warnings.iter().any(|warning| warning.code == HOST_SHARED)
}

/// The warning of a run beside which others used the machine.
const HOST_SHARED: &str = "host-shared";

struct List {
    result: usize,
    noise: f64,
    simulated: bool,
    disturbed: bool,
    metrics: Vec<Metric>,
}

impl List {
    fn push(&mut self, name: String, unit: &'static str, better: Better, class: Class, judged: Judged) {
        let Judged { base, head, ratio, n, verdict, why } = judged;
        // JSON knows no infinity: a bound that is none is null.
        let bound = |value: f64| value.is_finite().then_some(value);
        let interval = ratio.map(|ratio| [bound(ratio.low), bound(ratio.high)]);
        let headline = HEADLINES.contains(&name.as_str());
        let ratio = ratio.map(|ratio| ratio.value);
        let result = self.result;
        let budget = None;
        self.metrics.push(Metric {
            result,
            name,
            unit,
            better,
            class,
            base,
            head,
            ratio,
            interval,
            n,
            budget,
            verdict,
            why,
            headline,
        });
    }

    fn text(&mut self, name: &str, base: Option<&str>, head: Option<&str>) {
        let same = base == head;
        let judged = Judged {
            base: base.into(),
            head: head.into(),
            ratio: None,
            n: 1,
            verdict: if same { Verdict::Same } else { Verdict::Inconclusive },
            why: if same { "equal" } else { "other things happened" }.to_owned(),
        };
        self.push(name.to_owned(), "", Better::None, Class::Exact, judged);
    }

    /// A count that timing cannot change.
    fn exact(&mut self, name: &str, better: Better, base: u64, head: u64) {
        let ratio = (base > 0).then(|| head as f64 / base as f64);
        let (verdict, why) = match (head.cmp(&base), better) {
            (std::cmp::Ordering::Equal, _) => (Verdict::Same, "equal"),
            (_, Better::None) => (Verdict::Inconclusive, "neither way is better"),
            (std::cmp::Ordering::Less, Better::Lower) | (std::cmp::Ordering::Greater, Better::Higher) => {
                (Verdict::Better, "counted")
            }
            _ => (Verdict::Regressed, "counted"),
        };
        let ratio = ratio.map(|value| Ratio { value, low: value, high: value });
        let judged = Judged { base: base.into(), head: head.into(), ratio, n: 1, verdict, why: why.to_owned() };
        self.push(name.to_owned(), "1", better, Class::Exact, judged);
    }

    /// A number that depends on timing, of which less is better.
    fn noisy(&mut self, name: String, unit: &'static str, base: Option<Estimate>, head: Option<Estimate>) {
        let (Some(base), Some(head)) = (base, head) else {
            if base.is_some() != head.is_some() {
                let value = |estimate: Option<Estimate>| estimate.map_or(serde_json::Value::Null, |e| e.value.into());
                let why = "only one of them has it".to_owned();
                let (base, head) = (value(base), value(head));
                let judged = Judged { base, head, ratio: None, n: 0, verdict: Verdict::Inconclusive, why };
                self.push(name, unit, Better::Lower, Class::Noisy, judged);
            }
            return;
        };
        let ratio = Ratio::of(base, head, self.noise);
        let (verdict, why) = match ratio {
            None if head.value <= 0.0 => (Verdict::Same, "both are zero".to_owned()),
            None => (Verdict::Inconclusive, "the base is zero, so nobody can tell how much that is".to_owned()),
            // Memory does not care who else is busy.
            Some(ratio) if self.disturbed && unit != "B" && ratio.verdict() != Verdict::Same => {
                (Verdict::Inconclusive, "somebody else used the machine during one of the runs".to_owned())
            }
            Some(ratio) => (ratio.verdict(), self.why(ratio)),
        };
        let n = base.n.min(head.n);
        let judged = Judged { base: base.value.into(), head: head.value.into(), ratio, n, verdict, why };
        let class = if self.simulated { Class::Exact } else { Class::Noisy };
        self.push(name, unit, Better::Lower, class, judged);
    }

    fn why(&self, ratio: Ratio) -> String {
        match (ratio.verdict(), self.simulated) {
            (Verdict::Same, true) => "equal".to_owned(),
            (Verdict::Same, false) => "less than the noise".to_owned(),
            (Verdict::Inconclusive, _) => "too few samples, or they scatter too much".to_owned(),
            (_, true) => "simulated, so any difference is one".to_owned(),
            (_, false) => "beyond the noise".to_owned(),
        }
    }
}

struct Judged {
    base: serde_json::Value,
    head: serde_json::Value,
    ratio: Option<Ratio>,
    n: u64,
    verdict: Verdict,
    why: String,
}

fn counts(list: &mut List, base: &RunRecord, head: &RunRecord) {
    let (b, h) = (&base.counts, &head.counts);
    list.exact("counts.clusters", Better::None, b.clusters, h.clusters);
    list.exact("counts.managers", Better::None, b.managers, h.managers);
    list.exact("counts.apps", Better::None, b.apps, h.apps);
    list.exact("counts.apps_healthy", Better::Higher, b.apps_healthy, h.apps_healthy);
    list.exact("counts.changes", Better::None, b.changes, h.changes);
    list.exact("counts.failed", Better::Lower, b.failed, h.failed);
    list.exact("counts.double_owned", Better::Lower, b.double_owned, h.double_owned);
    // Timing decides how often somebody polls, meets a conflict or overtakes.
    let timed: [(&str, u64, u64); 6] = [
        ("counts.calls", b.calls, h.calls),
        ("counts.rounds", b.rounds, h.rounds),
        ("counts.superseded", b.superseded, h.superseded),
        ("counts.retries", b.retries, h.retries),
        ("counts.conflicts", b.conflicts, h.conflicts),
        ("counts.throttled", b.throttled, h.throttled),
    ];
    for (name, base, head) in timed {
        if list.simulated {
            list.exact(name, Better::Lower, base, head);
        } else {
            let one = |count: u64| Some(Estimate::single(count as f64));
            list.noisy(name.to_owned(), "1", one(base), one(head));
        }
    }
    let per_app = |record: &RunRecord| {
        let apps = record.counts.apps.max(1);
        Some(Estimate::single(record.counts.calls as f64 / apps as f64))
    };
    list.noisy("calls.per_app".to_owned(), "1", per_app(base), per_app(head));
}

fn times(list: &mut List, base: &RunRecord, head: &RunRecord) {
    let healthy = |record: &RunRecord| record.time.all_healthy_s.map(Estimate::single);
    list.noisy("time.all_healthy_s".to_owned(), "s", healthy(base), healthy(head));
    let end = |record: &RunRecord| record.time.simulated_s.unwrap_or(record.time.wall_s);
    let name = if list.simulated { "time.simulated_s" } else { "time.wall_s" };
    list.noisy(name.to_owned(), "s", Some(Estimate::single(end(base))), Some(Estimate::single(end(head))));
}

/// A quantile that is compared: the name of its field, its share, its value in a record.
type Quantile = (&'static str, f64, fn(&Latency) -> Option<f64>);

const QUANTILES: [Quantile; 4] = [
    ("p50_s", 0.5, |latency| latency.p50_s),
    ("p90_s", 0.9, |latency| latency.p90_s),
    ("p99_s", 0.99, |latency| latency.p99_s),
    ("p999_s", 0.999, |latency| latency.p999_s),
];

/// A distribution: its samples where the result has them, else what the record says of it.
#[derive(Clone, Copy)]
struct Distribution<'a> {
    samples: Option<&'a Histogram>,
    told: Option<&'a Latency>,
}

impl Distribution<'_> {
    fn quantile(self, (_, share, field): Quantile) -> Option<Estimate> {
        let sampled = self.samples.and_then(|samples| Estimate::quantile(samples, share));
        let told = || self.told.and_then(|told| Some(Estimate { n: told.count, ..Estimate::single(field(told)?) }));
        sampled.or_else(told)
    }
}

fn latencies(list: &mut List, base: &Stored, head: &Stored) {
    let all = [base, head].map(|stored| stored.latencies.all());
    for hop in Hop::ALL {
        let of = |stored: &Stored, at: usize| -> Vec<Option<Estimate>> {
            let told = stored.record.latency.get(hop.name());
            let distribution = Distribution { samples: Some(&all[at][hop as usize]), told };
            QUANTILES.map(|quantile| distribution.quantile(quantile)).into()
        };
        quantiles(list, &format!("latency.{}", hop.name()), of(base, 0), of(head, 1));
    }
    for kind in ChangeKind::ALL {
        let of = |stored: &Stored| -> Vec<Option<Estimate>> {
            let hops = stored.latencies.by_kind().find(|(known, _)| *known == kind).map(|(_, hops)| hops);
            let told = stored.record.latency_by.get(kind.name()).and_then(|hops| hops.get(Hop::EndToEnd.name()));
            let distribution = Distribution { samples: hops.map(|hops| &hops[Hop::EndToEnd as usize]), told };
            QUANTILES.map(|quantile| distribution.quantile(quantile)).into()
        };
        let name = format!("latency_by.{}.{}", kind.name(), Hop::EndToEnd.name());
        quantiles(list, &name, of(base), of(head));
    }
}

fn quantiles(list: &mut List, name: &str, base: Vec<Option<Estimate>>, head: Vec<Option<Estimate>>) {
    let simulated = list.simulated;
    // A simulated run happens the same way every time: its samples are no draw of anything.
    let exact = |e: Estimate| if simulated { Estimate { low: e.value, high: e.value, ..e } } else { e };
    for ((base, head), (field, _, _)) in base.into_iter().zip(head).zip(QUANTILES) {
        list.noisy(format!("{name}.{field}"), "s", base.map(exact), head.map(exact));
    }
}

/// What the processes of a role, or all, used. What was measured beside a simulation is the simulator's own cost and says
/// nothing about the run.
fn used(
    record: &RunRecord,
    role: Option<Role>,
    of: impl Fn(&crate::record::ProcessRecord) -> Option<f64>,
) -> Option<Estimate> {
    let beside =
        |p: &crate::record::ProcessRecord| record.clock == Clock::Virtual && p.provenance == Provenance::Measured;
    let all = record.processes.iter().filter(|p| !beside(p) && role.is_none_or(|role| p.role == role));
    let mut found = all.filter_map(of).peekable();
    found.peek().is_some().then(|| Estimate::single(found.sum()))
}

fn processes(list: &mut List, base: &RunRecord, head: &RunRecord) {
    let roles = std::iter::once(None).chain(ROLES.map(Some));
    for role in roles {
        let path = role.map_or_else(String::new, |role| format!(".{}", role.name()));
        let mut both = |field: &str, unit, of: &dyn Fn(&crate::record::ProcessRecord) -> Option<f64>| {
            list.noisy(format!("processes{path}.{field}"), unit, used(base, role, of), used(head, role, of));
        };
        both("cpu_s", "s", &|process| Some(process.cpu_s));
        both("rss_max_bytes", "B", &|process| process.rss_max_bytes.map(|bytes| bytes as f64));
        if role.is_some() {
            both("calls", "1", &|process| Some(process.total_calls() as f64));
            both("watches_max", "1", &|process| process.watches_max.map(|watches| watches as f64));
        }
    }
}

fn managers(list: &mut List, base: &RunRecord, head: &RunRecord) {
    let worst = |record: &RunRecord, of: &dyn Fn(&crate::record::ManagerRecord) -> Option<f64>| {
        record.managers.iter().filter_map(of).reduce(f64::max).map(Estimate::single)
    };
    let depth = |record: &RunRecord| worst(record, &|manager| Some(manager.queue_depth_max as f64));
    list.noisy("managers.queue_depth_max".to_owned(), "1", depth(base), depth(head));
    let wait = |record: &RunRecord| worst(record, &|manager| manager.queue_wait.p99_s);
    list.noisy("managers.queue_wait.p99_s".to_owned(), "s", wait(base), wait(head));
    let spread = |record: &RunRecord, of: &dyn Fn(&crate::record::ManagerRecord) -> u64| {
        let shares: Vec<u64> = record.managers.iter().map(of).collect();
        (!shares.is_empty()).then(|| Estimate::single(Spread::of(&shares).max_over_mean))
    };
    let clusters = |record: &RunRecord| spread(record, &|manager| manager.clusters);
    list.noisy("managers.clusters.max_over_mean".to_owned(), "1", clusters(base), clusters(head));
    let apps = |record: &RunRecord| spread(record, &|manager| manager.apps);
    list.noisy("managers.apps.max_over_mean".to_owned(), "1", apps(base), apps(head));
}
