//! A comparison on the terminal.

use super::numbers::{bytes, count, three_digits, time};
use super::{Style, Table};
use crate::compare::{Comparison, Metric, ROLES, Verdict};
use std::fmt::Write;

/// The metrics that a summary shows; the page and JSON have all.
fn shown() -> Vec<String> {
    let mut names: Vec<String> = [
        "time.all_healthy_s",
        "latency.end_to_end.p50_s",
        "latency.end_to_end.p99_s",
        "latency.seen.p99_s",
        "latency.written.p99_s",
        "latency.reported.p99_s",
        "managers.queue_wait.p99_s",
        "calls.per_app",
        "counts.rounds",
        "counts.apps_healthy",
        "counts.failed",
        "counts.double_owned",
        "processes.cpu_s",
        "processes.rss_max_bytes",
    ]
    .map(str::to_owned)
    .into();
    names.extend(ROLES.iter().map(|role| format!("processes.{}.cpu_s", role.name())));
    names.push("managers.clusters.max_over_mean".to_owned());
    names
}

/// The summary of a comparison.
#[must_use]
pub fn compared(comparison: &Comparison, style: Style) -> String {
    let mut text = String::new();
    for (result, sentence) in comparison.results[1..].iter().zip(&comparison.sentences) {
        let word = style.paint(colour(result.verdict), result.verdict.name());
        let _infallible = writeln!(text, "{word}: {sentence}");
    }
    let mut head = vec!["metric".to_owned(), comparison.results[0].label.clone()];
    for result in &comparison.results[1..] {
        head.extend([result.label.clone(), "ratio".to_owned(), "between".to_owned(), "verdict".to_owned()]);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    for name in shown() {
        let own: Vec<&Metric> = comparison.metrics.iter().filter(|metric| metric.name == name).collect();
        if own.len() + 1 == comparison.results.len() {
            let mut row = vec![name, value(own[0].unit, &own[0].base)];
            for metric in own {
                row.extend([value(metric.unit, &metric.head), ratio(metric), interval(metric)]);
                row.push(metric.verdict.name().to_owned());
            }
            table.row(row);
        }
    }
    let _infallible = write!(text, "\n{}\n", table.render(style));
    for condition in &comparison.conditions {
        let _infallible = writeln!(text, "condition: {condition}");
    }
    text
}

/// A value with its unit.
pub(super) fn value(unit: &str, value: &serde_json::Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some(whole) = value.as_u64() {
        return count(whole);
    }
    let Some(number) = value.as_f64() else { return "-".to_owned() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; sizes are not negative"
    )]
    match unit {
        "s" => time(Some(number)),
        "B" => bytes(Some(number as u64)),
        _ if number >= 1000.0 => count(number.round() as u64),
        _ => three_digits(number),
    }
}

pub(super) fn ratio(metric: &Metric) -> String {
    metric.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

pub(super) fn interval(metric: &Metric) -> String {
    let bound = |bound: Option<f64>| bound.map_or_else(|| "?".to_owned(), |bound| format!("{bound:.2}"));
    metric.interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{} to {}", bound(low), bound(high)))
}

pub(super) const fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "1;32",
        Verdict::Same => "1",
        Verdict::Inconclusive => "1;33",
        Verdict::Regressed => "1;31",
    }
}
