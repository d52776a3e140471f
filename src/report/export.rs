//! A result in the formats of others: CSV, OpenMetrics, JUnit, github-action-benchmark, Bencher.
//!
//! In: a result. Out: text. Names in OpenMetrics are those that dashboards of Kubernetes, controller-runtime, Flux and Argo
//! CD query already where they mean the same; what they have no name for is called `flamboyance_*`. A result is one moment: counters are what was
//! counted in the whole run, gauges the most that was reached.

use crate::compare::{Better, Value, values};
use crate::measure::warning::Severity;
use crate::measure::{CallCount, Histogram, Hop, Latencies, Role};
use crate::record::{ProcessRecord, RunRecord, Status, Stored};
use maud::{PreEscaped, html};
use serde_json::json;
use std::fmt::Write;

/// All metrics as `metric,unit,value`, one per line below a head.
#[must_use]
pub fn csv(stored: &Stored) -> String {
    let mut text = String::from("metric,unit,value\n");
    for Value { name, unit, value, .. } in values(stored) {
        let _infallible = writeln!(text, "{name},{unit},{value}");
    }
    text
}

/// The array that github-action-benchmark reads: `customSmallerIsBetter`, so metrics of which more is better are left out.
#[must_use]
pub fn benchmark(stored: &Stored) -> String {
    let name = &stored.record.scenario.name;
    let one = |metric: Value| json!({ "name": format!("{name} {}", metric.name), "unit": metric.unit, "value": metric.value });
    let all: Vec<_> = values(stored).into_iter().filter(|metric| metric.better == Better::Lower).map(one).collect();
    format!("{:#}\n", serde_json::Value::from(all))
}

/// Bencher Metric Format: benchmark, then measure, then value.
#[must_use]
pub fn bencher(stored: &Stored) -> String {
    let measures: serde_json::Map<String, serde_json::Value> =
        values(stored).into_iter().map(|metric| (metric.name, json!({ "value": metric.value }))).collect();
    format!("{:#}\n", json!({ &stored.record.scenario.name: measures }))
}

/// A test case per thing that a run must be: complete, healthy, without failures; and per warning.
#[must_use]
pub fn junit(stored: &Stored) -> String {
    let record = &stored.record;
    let counts = &record.counts;
    let complete = (record.status != Status::Complete).then(|| "the run did not reach its end".to_owned());
    let missing = counts.apps - counts.apps_healthy.min(counts.apps);
    let healthy = (missing > 0).then(|| format!("{missing} of {} apps ended unhealthy", counts.apps));
    let failed = (counts.failed > 0).then(|| format!("{} changes never ended", counts.failed));
    let mut cases: Vec<(String, Option<String>, String)> = vec![
        ("complete".to_owned(), complete, String::new()),
        ("apps healthy".to_owned(), healthy, String::new()),
        ("changes ended".to_owned(), failed, String::new()),
    ];
    cases.extend(record.warnings.iter().map(|warning| {
        let bad = (warning.severity == Severity::Invalid).then(|| warning.message.clone());
        (format!("warning {}", warning.code), bad, format!("{}; {}", warning.message, warning.advice))
    }));
    let failures = cases.iter().filter(|(_, failure, _)| failure.is_some()).count();
    let (name, time) = (&record.scenario.name, record.time.wall_s);
    let suites = html! {
        testsuites name="flamboyance run" tests=(cases.len()) failures=(failures) errors="0" {
            testsuite name=(name) tests=(cases.len()) failures=(failures) errors="0" time=(time) timestamp=(record.started_at) {
                @for (case, failure, said) in &cases {
                    testcase classname=(name) name=(case) {
                        @if let Some(failure) = failure { failure message=(failure) {} }
                        @if !said.is_empty() { system-out { (said) } }
                    }
                }
            }
        }
    };
    html! { (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")) (suites) }.into_string() + "\n"
}

/// OpenMetrics text of a record and its histograms.
#[must_use]
pub fn openmetrics(record: &RunRecord, histograms: &Latencies) -> String {
    let mut text = Families::default();
    info(&mut text, record);
    rounds(&mut text, record);
    processes(&mut text, record);
    latencies(&mut text, histograms);
    text.0.push_str("# EOF\n");
    text.0
}

/// Families of metrics, one after another, as the format wants them.
#[derive(Default)]
struct Families(String);

/// Labels and a value.
type Sample = (Vec<(&'static str, String)>, f64);

impl Families {
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let _infallible = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
        for (labels, value) in samples {
            let _infallible = writeln!(self.0, "{name}{suffix}{} {value}", braces(&labels));
        }
    }

    /// A histogram with the buckets that have an edge where an objective may lie.
    fn histogram(&mut self, name: &str, help: &str, all: &[(Vec<(&'static str, String)>, &Histogram)]) {
        let all: Vec<_> = all.iter().filter(|(_, histogram)| histogram.count() > 0).collect();
        if all.is_empty() {
            return;
        }
        let _infallible = writeln!(self.0, "# TYPE {name} histogram\n# UNIT {name} seconds\n# HELP {name} {help}");
        for (labels, histogram) in all {
            let mut line = |suffix: &str, edge: Option<String>, value: f64| {
                let labels: Vec<_> = labels.iter().cloned().chain(edge.map(|edge| ("le", edge))).collect();
                let _infallible = writeln!(self.0, "{name}_{suffix}{} {value}", braces(&labels));
            };
            for edge in BUCKETS {
                line("bucket", Some(format!("{edge:?}")), up_to(histogram, edge) as f64);
            }
            line("bucket", Some("+Inf".to_owned()), histogram.count() as f64);
            line("count", None, histogram.count() as f64);
            line("sum", None, sum(histogram));
        }
    }
}

/// Edges of buckets, seconds: those of controller-runtime, and whole minutes beyond.
const BUCKETS: [f64; 18] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// Samples of at most so many seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "edges are positive and at most an hour")]
fn up_to(histogram: &Histogram, edge: f64) -> u64 {
    histogram.micros().count_between(0, (edge * 1e6) as u64)
}

/// All samples together, seconds, as exactly as the histogram keeps them.
fn sum(histogram: &Histogram) -> f64 {
    histogram.micros().mean() * histogram.count() as f64 / 1e6
}

fn braces(labels: &[(&'static str, String)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", all.join(","))
}

fn info(text: &mut Families, record: &RunRecord) {
    let labels = vec![
        ("scenario", record.scenario.name.clone()),
        ("run_id", record.run_id.clone()),
        ("version", record.build.version.clone()),
        ("commit", record.build.commit.clone()),
        ("topology", record.topology.kind.clone()),
        ("clock", word(&record.clock)),
        ("status", word(&record.status)),
    ];
    text.family("flamboyance_run", "info", "What was run.", [(labels, 1.0)]);
    let gauge = |value: u64| [(Vec::new(), value as f64)];
    let counts = &record.counts;
    text.family("flamboyance_clusters", "gauge", "Managed clusters.", gauge(counts.clusters));
    let health = [("Healthy", counts.apps_healthy), ("Other", counts.apps - counts.apps_healthy.min(counts.apps))];
    let apps = health.map(|(status, n)| (vec![("health_status", status.to_owned())], n as f64));
    text.family("argocd_app", "gauge", "Applications at the end, by health.", apps);
    let changes = [
        ("ended", counts.changes - (counts.superseded + counts.failed).min(counts.changes)),
        ("superseded", counts.superseded),
        ("failed", counts.failed),
    ];
    let changes = changes.map(|(end, n)| (vec![("end", end.to_owned())], n as f64));
    text.family("flamboyance_changes", "counter", "Changes intended, by their end.", changes);
    let healthy = record.time.all_healthy_s.map(|seconds| (Vec::new(), seconds));
    text.family("flamboyance_all_healthy_seconds", "gauge", "Until every app of the install was healthy.", healthy);
}

/// A value of an enum as the record writes it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn rounds(text: &mut Families, record: &RunRecord) {
    let counts = &record.counts;
    let controller = |result: &str| vec![("controller", "application".to_owned()), ("result", result.to_owned())];
    let again = counts.retries + counts.conflicts + counts.throttled;
    let results = [("success", counts.rounds - again.min(counts.rounds)), ("requeue", again)];
    let results = results.map(|(result, n)| (controller(result), n as f64));
    text.family("controller_runtime_reconcile", "counter", "Rounds of all managers, by result.", results);
    let depth = record.managers.iter().map(|m| (vec![("name", m.name.clone())], m.queue_depth_max as f64));
    text.family("workqueue_depth", "gauge", "The longest queue of each manager.", depth);
    let waits = record.managers.iter().flat_map(|manager| {
        let at = |(quantile, value): (&str, Option<f64>)| {
            Some((vec![("name", manager.name.clone()), ("quantile", quantile.to_owned())], value?))
        };
        let wait = manager.queue_wait;
        [("0.5", wait.p50_s), ("0.9", wait.p90_s), ("0.99", wait.p99_s)]
            .map(at)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    let help = "From the queue's add until a worker took the app.";
    text.family("workqueue_queue_duration_seconds", "summary", help, waits);
}

/// What a call is called by the metrics of Kubernetes: verb in capitals, code as text.
fn call(process: &str, call: &CallCount) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("job", process.to_owned()),
        ("verb", word(&call.verb).to_uppercase()),
        ("resource", call.resource.clone()),
        ("subresource", call.subresource.clone()),
        ("code", call.code.to_string()),
    ];
    if call.dry_run {
        labels.push(("dry_run", "All".to_owned()));
    }
    labels.push(("server", word(&call.target)));
    labels
}

fn processes(text: &mut Families, record: &RunRecord) {
    let serves = |process: &&ProcessRecord| matches!(process.role, Role::Hub | Role::Leaves);
    let all = &record.processes;
    let calls = |process: &ProcessRecord| -> Vec<Sample> {
        process.calls.iter().map(|counted| (call(&process.name, counted), counted.count as f64)).collect()
    };
    let served = all.iter().filter(serves).flat_map(calls);
    text.family("apiserver_request", "counter", "Calls that API servers answered.", served);
    let made = all.iter().filter(|process| process.is_client()).flat_map(calls);
    text.family("rest_client_requests", "counter", "Calls that clients made.", made);
    let each = |of: fn(&ProcessRecord) -> Option<f64>| {
        let one =
            move |p: &ProcessRecord| Some((vec![("job", p.name.clone()), ("role", p.role.name().to_owned())], of(p)?));
        all.iter().filter_map(one).collect::<Vec<_>>()
    };
    text.family("process_cpu_seconds", "counter", "CPU time, user and system.", each(|p| Some(p.cpu_s)));
    let rss = each(|p| p.rss_max_bytes.map(|bytes| bytes as f64));
    text.family("process_resident_memory_bytes", "gauge", "Most resident memory.", rss);
    let fds = each(|p| p.fds_max.map(|fds| fds as f64));
    text.family("process_open_fds", "gauge", "Most open descriptors.", fds);
    let watches =
        all.iter().filter(serves).filter_map(|p| Some((vec![("job", p.name.clone())], p.watches_max? as f64)));
    text.family("apiserver_longrunning_requests", "gauge", "Most watches at the same time.", watches);
    let objects =
        all.iter().filter(serves).filter_map(|p| Some((vec![("job", p.name.clone())], p.cached_objects_max? as f64)));
    text.family("apiserver_storage_objects", "gauge", "Most objects in the stores.", objects);
    let cached = all.iter().filter(|p| p.role == Role::Manager);
    let cached = cached.filter_map(|p| Some((vec![("server", p.name.clone())], p.cached_objects_max? as f64)));
    text.family("argocd_cluster_api_resource_objects", "gauge", "Most objects in a manager's caches.", cached);
}

fn latencies(text: &mut Families, histograms: &Latencies) {
    let kinds: Vec<_> = histograms.by_kind().collect();
    let (mut ends, mut hops) = (Vec::new(), Vec::new());
    for hop in Hop::ALL {
        for (kind, hops_of) in &kinds {
            let (kind, histogram) = (("kind", kind.name().to_owned()), &hops_of[hop as usize]);
            match hop {
                Hop::EndToEnd => ends.push((vec![kind], histogram)),
                _ => hops.push((vec![kind, ("hop", hop.name().to_owned())], histogram)),
            }
        }
    }
    text.histogram("flamboyance_end_to_end_seconds", "From the intended time of a change to its end.", &ends);
    text.histogram("flamboyance_hop_seconds", "From the hop before to this one.", &hops);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::synthetic;

    fn stored() -> Stored {
        synthetic::stored()
    }

    #[test]
    fn openmetrics_declares_every_family_once_and_ends_as_it_must() {
        let text = openmetrics(&stored().record, &stored().latencies);
        assert!(text.ends_with("\n# EOF\n"));
        let mut known = std::collections::BTreeSet::new();
        let (mut family, mut kind) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, of) = rest.split_once(' ').unwrap();
                assert!(known.insert(name.to_owned()), "{name} is declared twice");
                (family, kind) = (name.to_owned(), of.to_owned());
            } else if !line.starts_with('#') {
                assert!(line.starts_with(&family), "{line} stands below {family}");
                assert!(kind != "counter" || line.contains("_total"), "{line}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        for name in ["controller_runtime_reconcile", "workqueue_depth", "apiserver_request", "process_cpu_seconds"] {
            assert!(known.contains(name), "{name} is missing: {known:?}");
        }
    }

    #[test]
    fn buckets_grow_up_to_the_count() {
        let text = openmetrics(&stored().record, &stored().latencies);
        let buckets: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("flamboyance_end_to_end_seconds_bucket{kind=\"install\""))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(buckets.len(), BUCKETS.len() + 1);
        assert!(buckets.is_sorted() && buckets.last() > Some(&0.0), "{buckets:?}");
    }

    #[test]
    fn tables_and_arrays_of_others_have_every_metric_that_they_can_have() {
        let all = values(&stored());
        let text = csv(&stored());
        assert_eq!(text.lines().count(), all.len() + 1);
        assert!(text.contains("\nlatency.end_to_end.p99_s,s,"), "{text}");
        let smaller: serde_json::Value = serde_json::from_str(&benchmark(&stored())).unwrap();
        let names: Vec<_> = smaller.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"quickstart time.all_healthy_s"), "{names:?}");
        assert!(!names.contains(&"quickstart counts.apps_healthy"), "more of these is better");
        let bencher: serde_json::Value = serde_json::from_str(&bencher(&stored())).unwrap();
        assert_eq!(bencher["quickstart"].as_object().unwrap().len(), all.len());
        let xml = junit(&stored());
        assert!(xml.contains("name=\"complete\"") && xml.contains("failures=\"0\""), "{xml}");
    }
}
