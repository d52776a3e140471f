//! A comparison as one HTML page.

use super::{figure, first_upper, framed, shell};
use crate::compare::{Comparison, Metric, ROLES, Verdict};
use crate::measure::{Hop, Role};
use crate::record::{ProcessRecord, Stored};
use crate::report::charts::{Bars, Chart, Line, Series, chart, curve, percentiles};
use crate::report::compared::{interval, ratio, value};
use crate::report::numbers::count;
use maud::{Markup, html};

/// The page of a comparison and the results that it compares, in the same order.
#[must_use]
pub fn compared_page(comparison: &Comparison, results: &[Stored]) -> String {
    let title = comparison.results.iter().map(|result| result.label.as_str()).collect::<Vec<_>>().join(" against ");
    let labelled: Vec<(String, &Stored)> =
        comparison.results.iter().map(|result| result.label.clone()).zip(results).collect();
    let (charts, bars) = (charts_of(&labelled), bars_of(&labelled));
    let body = html! {
        header {
            h1 { (title) " " span.badge.(mood(comparison.verdict)) { (comparison.verdict.name()) } }
            @for sentence in &comparison.sentences { p.verdict { (first_upper(sentence)) "." } }
            p.dim { "Under these conditions:" }
            ul.dim { @for condition in &comparison.conditions { li { (first_upper(condition)) "." } } }
        }
        main {
            section { h2 { "Headlines" } (table(comparison, |metric| metric.headline)) }
            section { h2 { "Charts" } div.charts {
                @for chart in &charts { (figure(chart)) }
                @for bars in &bars {
                    (framed(bars.name, &bars.title, bars.note, &bars.svg(), bars.series.iter().map(|s| s.name.as_str()), &html! {}))
                }
            } }
            section { h2 { "Every metric" }
                p.dim { "The ratio is that of the result to the base. Noisy numbers: the interval holds what the samples "
                    "leave open and what two runs of the same thing are assumed to differ by." }
                (table(comparison, |_| true)) }
            section { h2 { "Results" } (sources(comparison, results)) }
        }
        footer { p { "flamboyance " (env!("CARGO_PKG_VERSION")) } }
    };
    shell(&title, &body)
}

const fn mood(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "good",
        Verdict::Same => "measured",
        Verdict::Inconclusive => "fair",
        Verdict::Regressed => "bad",
    }
}

fn table(comparison: &Comparison, wanted: impl Fn(&Metric) -> bool) -> Markup {
    let head = ["metric", "result", "base", "head", "ratio", "between", "samples", "class", "verdict", "why"];
    let class = |metric: &Metric| format!("{:?}", metric.class).to_lowercase();
    html! {
        div.scroll { table { thead { tr { @for cell in head { th.text[["result", "why"].contains(&cell)] { (cell) } } } } tbody {
            @for metric in comparison.metrics.iter().filter(|metric| wanted(metric)) {
                tr { th { code { (metric.name) } } td.text { (comparison.results[metric.result].label) }
                    td { (value(metric.unit, &metric.base)) } td { (value(metric.unit, &metric.head)) }
                    td { (ratio(metric)) } td { (interval(metric)) } td { (count(metric.n)) } td { (class(metric)) }
                    td { span.(mood(metric.verdict)) { (metric.verdict.name()) } } td.text { (metric.why) } }
            }
        } } }
    }
}

fn sources(comparison: &Comparison, results: &[Stored]) -> Markup {
    html! {
        div.scroll { table { thead { tr { @for cell in ["result", "run", "started", "seed", "build", "scenario hash"] { th { (cell) } } } }
            tbody { @for (compared, stored) in comparison.results.iter().zip(results) {
                @let record = &stored.record;
                tr { th { (compared.label) } td.text { (record.run_id) } td.text { (record.started_at) } td { (record.seed) }
                    td.text { (record.build.version) " " (record.build.profile) " (" (record.build.commit) ")" }
                    td.text { code { (record.scenario.hash) } } }
            } } } }
    }
}

/// Curves: how long changes took, and how many apps were healthy when.
pub(super) fn charts_of(results: &[(String, &Stored)]) -> Vec<Chart> {
    let of_hop = |hop: Hop| {
        let lines = results.iter().map(|(label, stored)| curve(label, &stored.latencies.all()[hop as usize]));
        lines.collect::<Vec<_>>()
    };
    let healthy = results.iter().map(|(label, stored)| Line {
        name: label.clone(),
        points: std::iter::once((0.0, 0.0))
            .chain(stored.windows.iter().map(|window| (window.at.as_secs_f64(), window.healthy as f64)))
            .collect(),
        filled: false,
    });
    let mut charts = vec![
        percentiles("end-to-end", "End to end, all changes", of_hop(Hop::EndToEnd)),
        chart("healthy", "Healthy apps", "Applications that are Healthy and Synced.", "apps", healthy.collect()),
        percentiles("written", "Until the Flux objects are written, since seen", of_hop(Hop::Written)),
        percentiles("reported", "Until the Application says so, since ready", of_hop(Hop::Reported)),
    ];
    charts.retain(|chart| chart.lines.iter().any(|line| line.points.len() > 1));
    charts
}

/// Bars: what each role used, and what each manager carried.
pub(super) fn bars_of(results: &[(String, &Stored)]) -> Vec<Bars> {
    let by_role = |of: &dyn Fn(&ProcessRecord) -> f64| -> Vec<Series> {
        let sum = |stored: &Stored, role: Role| {
            stored.record.processes.iter().filter(|process| process.role == role).map(of).sum()
        };
        let series = |(label, stored): &(String, &Stored)| Series {
            name: label.clone(),
            values: ROLES.iter().map(|role| sum(stored, *role)).collect(),
        };
        results.iter().map(series).collect()
    };
    let roles = |name, title: &str, note, unit, series| Bars {
        name,
        title: title.to_owned(),
        note,
        groups_are: "role",
        groups: ROLES.iter().map(|role| role.name().to_owned()).collect(),
        unit,
        series,
    };
    let gib = |process: &ProcessRecord| process.rss_max_bytes.map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 30));
    let cpu = "CPU of all processes of a role over the whole run.";
    let memory = "Sum of the peaks of a role's processes; threads of another process have none of their own.";
    vec![
        roles("cpu", "CPU by role", cpu, "CPU seconds", by_role(&|process| process.cpu_s)),
        roles("memory", "Memory by role", memory, "GiB", by_role(&gib)),
        roles(
            "calls",
            "Calls by role",
            "Servers count the calls they served, clients those they made.",
            "calls",
            by_role(&|process| process.total_calls() as f64),
        ),
        balance(results),
    ]
}

fn balance(results: &[(String, &Stored)]) -> Bars {
    let most = results.iter().map(|(_, stored)| stored.record.managers.len()).max().unwrap_or(0);
    let apps = |stored: &Stored, at: usize| stored.record.managers.get(at).map_or(0.0, |manager| manager.apps as f64);
    let series = results
        .iter()
        .map(|(label, stored)| Series { name: label.clone(), values: (0..most).map(|at| apps(stored, at)).collect() });
    Bars {
        name: "balance",
        title: "Apps by manager".to_owned(),
        note: "At the start of the run.",
        groups_are: "manager",
        groups: (0..most).map(|at| at.to_string()).collect(),
        unit: "apps",
        series: series.collect(),
    }
}
