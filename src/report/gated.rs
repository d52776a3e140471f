//! What a gate found: for a terminal, for a pull request (Markdown), for a CI server (JUnit).

use super::compared::{colour, interval, ratio, value};
use super::{Style, Table};
use crate::compare::Metric;
use crate::compare::Verdict;
use crate::compare::gate::Gated;
use maud::{PreEscaped, html};
use std::fmt::Write;

/// The verdict in a sentence.
fn sentence(gated: &Gated) -> String {
    if let Some(why) = &gated.broken {
        return why.clone();
    }
    let named = |verdict: Verdict| {
        let own = gated.metrics.iter().filter(|metric| metric.verdict == verdict);
        own.map(|metric| metric.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let runs = match (gated.pairs, gated.disturbed) {
        (1, 0) => "1 pair of runs".to_owned(),
        (pairs, 0) => format!("{pairs} pairs of runs"),
        (pairs, disturbed) => format!("{pairs} pairs of runs, {disturbed} of them disturbed"),
    };
    match gated.verdict {
        Verdict::Same => format!("nothing got worse than its budget in {runs}"),
        Verdict::Better => format!("better in {runs}: {}", named(Verdict::Better)),
        Verdict::Regressed => format!("worse in {runs}: {}", named(Verdict::Regressed)),
        Verdict::Inconclusive => format!("cannot be told from {runs}: {}", named(Verdict::Inconclusive)),
    }
}

fn budget(metric: &Metric) -> String {
    metric.budget.map_or_else(|| "-".to_owned(), |share| format!("{}%", (share * 1e4).round() / 1e2))
}

const HEAD: [&str; 8] = ["metric", "base", "head", "ratio", "between", "budget", "verdict", "why"];

fn cells(metric: &Metric) -> [String; 8] {
    [
        metric.name.clone(),
        value(metric.unit, &metric.base),
        value(metric.unit, &metric.head),
        ratio(metric),
        interval(metric),
        budget(metric),
        metric.verdict.name().to_owned(),
        metric.why.clone(),
    ]
}

/// The answer on a terminal.
#[must_use]
pub fn gated(gated: &Gated, style: Style) -> String {
    let mut text = format!("{}: {}\n", style.paint(colour(gated.verdict), gated.verdict.name()), sentence(gated));
    if !gated.metrics.is_empty() {
        let mut table = Table::new(&HEAD);
        gated.metrics.iter().for_each(|metric| table.row(cells(metric).into()));
        let _infallible = write!(text, "\n{}\n", table.render(style));
    }
    for condition in &gated.conditions {
        let _infallible = writeln!(text, "condition: {condition}");
    }
    text
}

/// The answer as a comment of a pull request.
#[must_use]
pub fn gated_markdown(gated: &Gated, scenario: &str) -> String {
    let mut text = format!("### {}: {scenario}\n\n{}.\n\n", gated.verdict.name(), sentence(gated));
    if !gated.metrics.is_empty() {
        let _infallible = writeln!(text, "| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
        for metric in &gated.metrics {
            let _infallible = writeln!(text, "| {} |", cells(metric).map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    text.push('\n');
    for condition in &gated.conditions {
        let _infallible = writeln!(text, "- {condition}");
    }
    text
}

/// The answer as JUnit's XML: a test case per metric. What cannot be told is an error, for it is no failure of the code.
#[must_use]
pub fn gated_junit(gated: &Gated, scenario: &str) -> String {
    let count = |verdict| gated.metrics.iter().filter(|metric| metric.verdict == verdict).count();
    let broken = usize::from(gated.broken.is_some());
    let (tests, failures) = (gated.metrics.len() + broken, count(Verdict::Regressed) + broken);
    let errors = count(Verdict::Inconclusive);
    let text = |metric: &Metric| cells(metric)[1..6].join(" ");
    let suites = html! {
        testsuites name="flamboyance gate" tests=(tests) failures=(failures) errors=(errors) {
            testsuite name=(scenario) tests=(tests) failures=(failures) errors=(errors) {
                @if let Some(why) = &gated.broken {
                    testcase classname=(scenario) name="ends" { failure message=(why) type="regressed" {} }
                }
                @for metric in &gated.metrics {
                    testcase classname=(scenario) name=(metric.name) {
                        @match metric.verdict {
                            Verdict::Regressed => { failure message=(metric.why) type="regressed" { (text(metric)) } }
                            Verdict::Inconclusive => { error message=(metric.why) type="inconclusive" { (text(metric)) } }
                            Verdict::Same | Verdict::Better => { system-out { (metric.verdict.name()) ": " (text(metric)) } }
                        }
                    }
                }
            }
        }
    };
    html! { (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")) (suites) }.into_string() + "\n"
}
