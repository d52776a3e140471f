//! What every word of a scenario, of a record and of a report means.
//!
//! In: a name. Out: text. Nothing is written here twice: meanings are the documentation of the types, advice is that of
//! the warnings.

use crate::compare::ROLES;
use crate::measure::warning::Warning;
use crate::measure::{ChangeKind, Hop};
use crate::record::{Clock, Provenance, RunRecord, hop_provenance};
use crate::scenario::{self, Topic};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// What is known about a key of the scenario, a field of the record, a metric, a hop, a kind of change or a warning.
///
/// # Errors
/// Nothing has that name; the text says which name is near.
pub fn explain(name: &str) -> Result<String, String> {
    let topics = topics();
    // `latency.end_to_end.p99_s`, `processes.manager.cpu_s`: hops, kinds of change and roles are entries of maps.
    let entry = |part: &&str| {
        Hop::ALL.iter().any(|h| h.name() == *part)
            || ChangeKind::ALL.iter().any(|k| k.name() == *part)
            || ROLES.iter().any(|role| role.name() == *part)
    };
    let rest = name.split('.').filter(|part| !entry(part)).collect::<Vec<_>>().join(".");
    scenario::find(&topics, name).or_else(|hint| {
        // A gate's budgets leave units out.
        let units = ["", "_s", "_bytes"];
        let names = [name, rest.as_str()].into_iter().flat_map(|name| units.map(|unit| format!("{name}{unit}")));
        names.filter(|name| !name.is_empty()).find_map(|name| scenario::find(&topics, &name).ok()).ok_or(hint)
    })
}

/// What `compare` and `gate` compute from fields of the record.
const COMPUTED: [(&str, &str, &str); 3] = [
    (
        "calls.per_app",
        "All API calls over the Applications on the hub at the end: what one app costs API servers.",
        "calls",
    ),
    ("managers.clusters.max_over_mean", "Clusters of the fullest manager over the mean of all: 1 is even.", "ratio"),
    ("managers.apps.max_over_mean", "Apps of the fullest manager over the mean of all: 1 is even.", "ratio"),
];

fn topics() -> Vec<Topic> {
    let mut topics = scenario::topics();
    topics.extend(scenario::topics_of(&schema::<RunRecord>(), "record.").into_iter().map(with_unit));
    let hops = about::<Hop>().into_iter().zip(Hop::ALL);
    topics.extend(hops.map(|((name, about), hop)| hop_topic(&name, &about, hop)));
    topics.extend(about::<ChangeKind>().into_iter().map(|(name, about)| topic("change", &name, &about, "")));
    topics.extend(COMPUTED.map(|(name, about, unit)| topic("metric", name, about, &format!("  unit     {unit}\n"))));
    let warnings = about::<Warning>().into_iter().zip(Warning::ALL);
    topics.extend(warnings.map(|((name, about), warning)| warning_topic(&name, &about, &warning)));
    topics
}

fn topic(of: &str, name: &str, about: &str, lines: &str) -> Topic {
    Topic { path: format!("{of}.{name}"), text: format!("{of} {name}\n  {}\n{lines}", about.replace('\n', " ")) }
}

fn hop_topic(name: &str, about: &str, hop: Hop) -> Topic {
    let source = |clock| match hop_provenance(hop, clock) {
        Provenance::Measured => "measured",
        Provenance::Modelled => "contains time that a model let pass",
        Provenance::Assumed => "assumed",
    };
    let lines = format!(
        "  unit     seconds since the hop before that the change passed\n  source   real clock: {}; virtual clock: {}\n",
        source(Clock::Real),
        source(Clock::Virtual)
    );
    topic("hop", name, about, &lines)
}

fn warning_topic(name: &str, about: &str, warning: &Warning) -> Topic {
    let severity = serde_json::to_value(warning.severity()).unwrap_or_default();
    let severity = severity.as_str().unwrap_or_default();
    topic("warning", name, about, &format!("  severity {severity}\n  advice   {}\n", warning.advice()))
}

/// The ends of names say units.
fn with_unit(mut topic: Topic) -> Topic {
    let name = topic.path.rsplit('.').next().unwrap_or_default();
    let unit = match name {
        _ if name.ends_with("_s") => "seconds",
        _ if name.contains("bytes") => "bytes",
        _ if name.ends_with("share") => "share, 0 to 1",
        _ => return topic,
    };
    topic.text.push_str(&format!("  unit     {unit}\n"));
    topic
}

/// A schema with its definitions in place.
fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The variants of an enum with their documentation, in their order.
fn about<T: JsonSchema>() -> Vec<(String, String)> {
    let schema = schema::<T>();
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let names = |alternative: &Value| -> Vec<String> {
        if let Some(name) = alternative["const"].as_str() {
            return vec![name.to_owned()];
        }
        let words = alternative["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let keys = alternative["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        words.chain(keys).map(str::to_owned).collect()
    };
    let text = |alternative: &Value| alternative["description"].as_str().unwrap_or_default().to_owned();
    alternatives.flat_map(|one| names(one).into_iter().map(|name| (name, text(one))).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_has_a_name_is_explained() {
        let hops: Vec<String> = about::<Hop>().into_iter().map(|(name, _)| name).collect();
        assert_eq!(hops, Hop::ALL.map(|hop| hop.name().to_owned()));
        let kinds: Vec<String> = about::<ChangeKind>().into_iter().map(|(name, _)| name).collect();
        assert_eq!(kinds, ChangeKind::ALL.map(|kind| kind.name().to_owned()));
        let codes: Vec<String> = about::<Warning>().into_iter().map(|(name, _)| name).collect();
        assert_eq!(codes, Warning::ALL.map(|warning| warning.code().to_owned()));
        for topic in topics() {
            let about = topic.text.lines().nth(1).unwrap_or_default();
            assert!(about.trim().len() > 5, "nobody says what {} is: {}", topic.path, topic.text);
        }
    }

    #[test]
    fn every_metric_that_is_compared_is_explained() {
        for metric in crate::compare::values(&crate::record::synthetic::stored()) {
            assert!(explain(&metric.name).is_ok(), "{}", metric.name);
        }
        for (name, _) in crate::compare::gate::USUAL {
            assert!(explain(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn metrics_hops_kinds_warnings_and_keys_are_found_by_their_names() {
        for (name, expected) in [
            ("counts.objects", "record.counts.objects\n  Objects in all stores, at their most.\n"),
            ("latency.end_to_end.p99_s", "99th percentile, seconds."),
            ("latency_by.install.seen.count", "Samples."),
            ("p99_s", "record.generator_lag.p99_s"),
            ("processes.0.rss_max_bytes", "  unit     bytes\n"),
            ("fetched", "hop fetched\n  The source's artifact is ready.\n  unit     seconds"),
            ("drift", "change drift\n"),
            ("drift", "spec.timeline.change.drift\n"),
            ("many-superseded", "  advice   read latencies as those of the changes that survived"),
            ("reason", "disk_full: No room for the results."),
            ("fleet.clusters", "spec.fleet.clusters\n"),
            ("calls.per_app", "what one app costs API servers"),
            ("processes.manager.cpu_s", "CPU in all, seconds."),
            ("time.all_healthy", "record.time.all_healthy_s"),
            ("latency.end_to_end.p50", "Median, seconds."),
        ] {
            let text = explain(name).unwrap_or_else(|hint| panic!("{name}: {hint}"));
            assert!(text.contains(expected), "{name}: {text}");
        }
        assert_eq!(explain("many-supersede").unwrap_err(), "did you mean `many-superseded`?");
    }
}
