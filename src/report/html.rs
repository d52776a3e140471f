//! The report as one HTML page: no network, light and dark, on paper and on a phone. Its only script sorts tables; without
//! it nothing is missing.
//!
//! In: a result that was read. Out: the page. Measured, modelled and assumed numbers look different everywhere.

mod compared;
mod matrix;
mod sheet;
mod tables;

pub use compared::compared_page;
pub use matrix::{Price, Study, StudyCell, study_page};
pub use sheet::{Grid, Mood, Section, Sheet, sheet_page};

use super::charts::{self, Chart, INK, LINES, Palette};
use super::numbers::{bytes, count, per, time};
use super::terminal::{provenance, setting, status, verdict};
use crate::measure::Hop;
use crate::measure::warning::Severity;
use crate::record::{Provenance, RunRecord, Status, Stored, WarningRecord};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::style::RGBColor;

/// The page of a result.
#[must_use]
pub fn page(stored: &Stored) -> String {
    let record = &stored.record;
    let charts = charts::all(stored);
    let body = html! {
        (header(record))
        main {
            (tiles(record))
            (warnings(&record.warnings))
            (legend())
            @if !charts.is_empty() {
                section { h2 { "Charts" } div.charts { @for chart in &charts { (figure(chart)) } } }
            }
            (tables::latency(record))
            (tables::processes(record))
            (tables::calls(record))
            (tables::managers(record))
            (tables::counts(record))
            (tables::assumptions(record))
            (tables::setting(record))
            @if !stored.scenario.is_empty() {
                section { h2 { "Scenario" } details open { summary { "Effective, every default filled in" }
                    pre { (stored.scenario) } } }
            }
        }
        footer { p { "flamboyance " (record.build.version) " (" (record.build.commit) "), record "
            (record.schema_version) ", " (record.run_id) } }
    };
    shell(&record.scenario.name, &body)
}

/// A page that needs nothing but itself.
fn shell(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - flamboyance" }
                // An empty picture, so that no browser asks for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(style())) }
            }
            body { (body) script { (PreEscaped(include_str!("html/sort.js"))) } }
        }
    }
    .into_string()
}

/// The style sheet, with the colours of the lines for light and dark. An SVG's colour attributes give way to it.
fn style() -> String {
    let hex = |c: RGBColor| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2);
    let mut css = include_str!("html/page.css").to_owned();
    css.push_str(&format!("svg [fill=\"{0}\"]{{fill:var(--ink)}}svg [stroke=\"{0}\"]{{stroke:var(--dim)}}", hex(INK)));
    let (mut light, mut dark) = (String::new(), String::new());
    for index in 0..LINES {
        let drawn = hex(Palette::LIGHT[index]);
        css.push_str(&format!(
            "svg [stroke=\"{drawn}\"]{{stroke:var(--line{index})}}svg [fill=\"{drawn}\"]{{fill:var(--line{index})}}"
        ));
        light.push_str(&format!("--line{index}:{drawn};"));
        dark.push_str(&format!("--line{index}:{};", hex(Palette::DARK[index])));
    }
    css.push_str(&format!(":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"));
    css
}

fn header(record: &RunRecord) -> Markup {
    let mood = match record.status {
        Status::Complete if record.counts.apps == record.counts.apps_healthy => "good",
        Status::Complete | Status::Partial => "fair",
        Status::Invalid => "bad",
    };
    html! {
        header {
            h1 { (record.scenario.name) " " span.badge.(mood) { (status(record)) } }
            p.verdict { (first_upper(&verdict(record))) "." }
            p.dim { (setting(record)) ". Started " (record.started_at) ", took " (time(Some(record.time.wall_s))) "." }
        }
    }
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn tiles(record: &RunRecord) -> Markup {
    let end_to_end = record.latency.get(Hop::EndToEnd.name());
    let installs = record.latency_by.get("install").and_then(|hops| hops.get(Hop::EndToEnd.name()));
    let cpu: f64 = record.processes.iter().map(|p| p.cpu_s).sum();
    let memory: u64 = record.processes.iter().filter_map(|p| p.rss_max_bytes).sum();
    let counts = &record.counts;
    let apps = counts.apps.max(installs.map_or(0, |l| l.count));
    let tile = |name: &str, value: String, note: String| {
        html! { div.tile { div.dim { (name) } div.value { (value) } div.dim { (note) } } }
    };
    let healthy = format!("{} of {} healthy at the end", count(counts.apps_healthy), count(counts.apps));
    let p99 = end_to_end.map_or(String::new(), |l| format!("99%: {}", time(l.p99_s)));
    html! {
        div.tiles {
            (tile("All healthy after", time(record.time.all_healthy_s), healthy))
            (tile("End to end, median", time(end_to_end.and_then(|l| l.p50_s)), p99))
            (tile("Calls per app", per(counts.calls, apps), format!("{} calls", count(counts.calls))))
            (tile("CPU, all processes", time(Some(cpu)), format!("{} CPUs", record.host.cpus)))
            (tile("Memory, all processes", bytes(Some(memory)), "sum of peaks".to_owned()))
            @if let Some(limit) = &record.limit {
                (tile("Limit", limit.resource.clone(), limit.evidence.clone()))
            }
            (tile("Trust", trust(record), doubts(record)))
        }
    }
}

/// Whether the numbers can be used, in a word.
fn trust(record: &RunRecord) -> String {
    let worst = record.warnings.iter().map(|warning| warning.severity).max_by_key(|severity| match severity {
        Severity::Info => 0,
        Severity::Suspect => 1,
        Severity::Invalid => 2,
    });
    let word = match (record.status, worst) {
        (Status::Invalid, _) | (_, Some(Severity::Invalid)) => "no",
        (Status::Partial, _) => "in part",
        (Status::Complete, Some(Severity::Suspect)) => "with care",
        (Status::Complete, Some(Severity::Info) | None) => "yes",
    };
    word.to_owned()
}

fn doubts(record: &RunRecord) -> String {
    match record.warnings.len() {
        0 => "no warning".to_owned(),
        1 => "one warning, see below".to_owned(),
        n => format!("{n} warnings, see below"),
    }
}

fn warnings(warnings: &[WarningRecord]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            section { h2 { "Before you trust these numbers" }
                ul.warnings { @for warning in warnings {
                    @let (class, word) = match warning.severity {
                        Severity::Invalid => ("bad", "invalid"),
                        Severity::Suspect => ("fair", "suspect"),
                        Severity::Info => ("dim", "note"),
                    };
                    li { span.badge.(class) { (word) } " " strong { (first_upper(&warning.message)) } " "
                        code { (warning.code) } br; span.dim { (first_upper(&warning.advice)) "." } }
                } }
            }
        }
    }
}

/// How numbers of different origin look.
fn legend() -> Markup {
    html! {
        p.dim { "Numbers: "
            @for kind in [Provenance::Measured, Provenance::Modelled, Provenance::Assumed] {
                span.(provenance(kind)) { (provenance(kind)) } " "
            }
        }
    }
}

fn figure(chart: &Chart) -> Markup {
    let names = chart.lines.iter().map(|line| line.name.as_str());
    let data = html! {
        details.data { summary { "Data" }
            div.scroll { table {
                thead { tr { th { (chart.x.name) } @for line in &chart.lines { th { (line.name) } } } }
                tbody { @for (x, cells) in chart.rows() { tr { th { (x) } @for cell in cells { td { (cell) } } } } }
            } }
        }
    };
    framed(chart.name, &chart.title, chart.note, &charts::svg(chart), names, &data)
}

/// A drawing with its title, the colours of its lines and how to read it.
fn framed<'a>(
    name: &str,
    title: &str,
    note: &str,
    svg: &Result<String, charts::ChartError>,
    lines: impl Iterator<Item = &'a str>,
    data: &Markup,
) -> Markup {
    html! {
        figure id=(name) {
            h3 { (title) }
            @match svg {
                Ok(svg) => { (PreEscaped(svg)) }
                Err(error) => { p { (error) } }
            }
            ul.key { @for (index, line) in lines.enumerate() {
                li { i style=(format!("background:var(--line{index})")) {} (line) }
            } }
            figcaption.dim { (note) }
            (data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Folder, synthetic};
    use crate::report::deliver;
    use crate::units::Time;

    fn delivered() -> (tempfile::TempDir, Stored) {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::create(&temp.path().join("result"), &synthetic::begun()).unwrap();
        let usages = synthetic::usages();
        let usages: Vec<_> = usages.iter().collect();
        let (outcome, scenario) = (synthetic::outcome(), synthetic::scenario().effective);
        deliver(folder, synthetic::record(), &outcome, &usages, Time(0), &scenario).unwrap();
        let stored = crate::record::load(&temp.path().join("result")).unwrap();
        (temp, stored)
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let (temp, stored) = delivered();
        let page = std::fs::read_to_string(temp.path().join("result/report.html")).unwrap();
        assert!(stored.record.files.iter().any(|file| file.path == "report.html"));
        // The names of XML namespaces are the only addresses that may stand in it, and those of the scenario's text.
        let text = page.replace("http://www.w3.org/2000/svg", "");
        let outside = text.split("<h2>Scenario</h2>").next().unwrap();
        for external in ["http:", "https:", "src=", "@import", "url(", "//"] {
            assert!(!outside.contains(external), "{external}");
        }
        assert_eq!(page.matches("<script>").count(), 1, "the one that sorts tables");
        assert!(page.len() < 400_000, "{} bytes", page.len());
    }

    #[test]
    fn the_page_has_a_chart_of_everything_and_marks_what_is_modelled() {
        let (_temp, stored) = delivered();
        let page = page(&stored);
        for name in ["healthy", "hops", "kinds", "latency-over-time", "queue", "cpu", "memory"] {
            assert!(page.contains(&format!("<figure id=\"{name}\"")), "{name}");
        }
        assert_eq!((page.matches("<svg").count(), page.matches("<details class=\"data\">").count()), (7, 7));
        assert!(page.contains("class=\"modelled\"") && !page.contains("cannot be drawn"));
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let (_temp, mut stored) = delivered();
        stored.record.scenario.name = "<script>alert(1)</script>".to_owned();
        stored.scenario = "</pre><script>".to_owned();
        stored.samples.iter_mut().for_each(|s| s.process = "<b>&".to_owned());
        let page = page(&stored);
        assert_eq!(page.matches("<script").count(), 1, "unescaped");
        assert!(!page.contains("<b>"), "unescaped");
    }

    #[test]
    fn a_run_that_was_killed_has_a_page_as_well() {
        let temp = tempfile::tempdir().unwrap();
        drop(Folder::create(&temp.path().join("result"), &synthetic::begun()).unwrap());
        let page = page(&crate::record::load(&temp.path().join("result")).unwrap());
        assert!(page.contains("partial (interrupted)") && !page.contains("<svg"));
    }

    #[test]
    fn charts_are_drawn_as_png_with_the_embedded_font() {
        let (temp, stored) = delivered();
        let names = crate::report::png(&stored, temp.path()).unwrap();
        assert_eq!(names.len(), 7);
        for name in names {
            let bytes = std::fs::read(temp.path().join(name)).unwrap();
            assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 3_000);
        }
    }
}
