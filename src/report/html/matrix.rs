//! A study of one scenario, varied, as one HTML page: which topology, for which fleet, at which price.

use super::compared::{bars_of, charts_of};
use super::{figure, first_upper, framed, shell};
use crate::record::Stored;
use crate::report::charts::{Chart, LINES, Line, scaling};
use crate::report::numbers::{bytes, count, time};
use crate::topology::{Balance, Bill, Event, Moves};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// A study that was run.
#[derive(Debug)]
pub struct Study {
    /// The name of the scenario.
    pub name: String,
    /// What was varied, and the names of its points.
    pub axes: Vec<(String, Vec<String>)>,
    /// Every combination.
    pub cells: Vec<StudyCell>,
    /// What two runs of the same thing are assumed to differ by, as a share; 0 in simulated time.
    pub noise: f64,
    /// What a core and a GiB cost, in any currency and for any time.
    pub price: Option<Price>,
}

/// What resources cost.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    /// One core.
    pub core: f64,
    /// One GiB of memory.
    pub gib: f64,
}

/// One combination.
#[derive(Debug)]
pub struct StudyCell {
    /// Its point on each axis.
    pub points: Vec<usize>,
    /// What was run.
    pub stored: Stored,
    /// What its control plane would weigh, modelled.
    pub bill: Bill,
    /// How even the managers are loaded.
    pub balance: Balance,
    /// What moves when managers come and go; none where clusters have no choice.
    pub moves: Vec<(Event, Moves)>,
}

impl StudyCell {
    fn clusters(&self) -> u64 {
        self.stored.record.counts.clusters
    }

    fn all_healthy(&self) -> Option<f64> {
        self.stored.record.time.all_healthy_s
    }

    /// Core-seconds of the managers' side: hubs, managers and whoever stands above them.
    fn control_cpu(&self) -> f64 {
        use crate::measure::Role;
        let own = self.stored.record.processes.iter().filter(|p| matches!(p.role, Role::Hub | Role::Manager));
        own.map(|process| process.cpu_s).sum()
    }

    fn control_memory(&self) -> u64 {
        use crate::measure::Role;
        let own = self.stored.record.processes.iter().filter(|p| matches!(p.role, Role::Hub | Role::Manager));
        own.filter_map(|process| process.rss_max_bytes).sum()
    }

    fn p99(&self) -> Option<f64> {
        self.stored.record.latency.get("end_to_end").and_then(|latency| latency.p99_s)
    }
}

impl Study {
    /// A cell without its number of clusters: what a line of the scaling charts is.
    fn line(&self, cell: &StudyCell) -> String {
        let varied = self.axes.iter().zip(&cell.points).filter(|((axis, _), _)| axis != CLUSTERS);
        let names: Vec<&str> = varied.map(|((_, points), at)| points[*at].as_str()).collect();
        if names.is_empty() { self.name.clone() } else { names.join(", ") }
    }

    /// Cells by the number of their clusters.
    fn by_size(&self) -> BTreeMap<u64, Vec<&StudyCell>> {
        let mut sizes: BTreeMap<u64, Vec<&StudyCell>> = BTreeMap::new();
        for cell in &self.cells {
            sizes.entry(cell.clusters()).or_default().push(cell);
        }
        sizes
    }

    /// A sentence on every size: who is fastest, who is as fast within the noise, who takes how much longer; and the
    /// same for the memory that the control plane takes.
    #[must_use]
    pub fn verdicts(&self) -> Vec<String> {
        let sentence = |(clusters, cells): (u64, Vec<&StudyCell>)| {
            let by_time = self.ranked(&cells, |cell| cell.all_healthy(), |value| time(Some(value)));
            let by_cpu =
                self.ranked(&cells, |cell| Some(cell.control_cpu()), |value| format!("{value:.1} core-seconds"));
            let memory = |cell: &StudyCell| Some(gib(cell.bill.hubs.memory_bytes + cell.bill.leaves.memory_bytes));
            let by_memory = self.ranked(&cells, memory, |value| format!("{value:.1} GiB"));
            let fleet = format!("{} clusters", count(clusters));
            [
                by_time.map(|ranks| format!("{fleet}: first all healthy is {ranks}")),
                by_cpu.map(|ranks| format!("{fleet}: the least CPU for hubs and managers takes {ranks}")),
                by_memory
                    .map(|ranks| format!("{fleet}: the lightest real control plane, leaves included, has {ranks}")),
            ]
        };
        self.by_size().into_iter().flat_map(sentence).flatten().collect()
    }

    /// The best cells, those that equal them within the noise, and by how much the others are worse.
    fn ranked(
        &self,
        cells: &[&StudyCell],
        of: impl Fn(&StudyCell) -> Option<f64>,
        write: impl Fn(f64) -> String,
    ) -> Option<String> {
        let mut ranks: Vec<(f64, String)> =
            cells.iter().filter_map(|cell| Some((of(cell)?, self.line(cell)))).collect();
        ranks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, name) = ranks.first()?.clone();
        let is_equal = |value: f64| value <= best * (1.0 + self.noise) * (1.0 + f64::EPSILON);
        let equal: Vec<&str> =
            ranks[1..].iter().filter(|(value, _)| is_equal(*value)).map(|(_, name)| name.as_str()).collect();
        let worse = ranks.iter().filter(|(value, _)| !is_equal(*value));
        let worse: Vec<String> =
            worse.map(|(value, name)| format!("{name} with {:.2} times that", value / best)).collect();
        let mut text = format!("{name} ({})", write(best));
        if !equal.is_empty() {
            text.push_str(&format!("; equal to it within the noise: {}", equal.join(", ")));
        }
        if !worse.is_empty() {
            text.push_str(&format!("; then {}", worse.join(", ")));
        }
        Some(text)
    }

    fn conditions(&self) -> Vec<String> {
        let Some(first) = self.cells.first().map(|cell| &cell.stored.record) else { return Vec::new() };
        let mut told = match self.noise {
            0.0 => vec!["simulated: exact for the model, as good as the model".to_owned()],
            noise => vec![
                format!(
                    "one run each on one machine with {} CPUs, which all processes of a run share",
                    first.host.cpus
                ),
                format!("two runs of the same thing are assumed to differ by {:.0}%", noise * 100.0),
            ],
        };
        told.push("the real control plane's cores and memory are modelled from what the real programs took".to_owned());
        told
    }
}

/// The axis that scaling charts run along.
const CLUSTERS: &str = "clusters";

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// The page of a study.
#[must_use]
pub fn study_page(study: &Study) -> String {
    let sizes = study.by_size();
    let largest: Vec<&StudyCell> = sizes.values().next_back().cloned().unwrap_or_default();
    let shown: Vec<(String, &Stored)> =
        largest.iter().take(LINES).map(|cell| (study.line(cell), &cell.stored)).collect();
    let at = largest.first().map_or(0, |cell| cell.clusters());
    let scaling = if sizes.len() > 1 { scaling_charts(study) } else { Vec::new() };
    let body = html! {
        header {
            h1 { (study.name) " " span.badge.measured { (study.cells.len()) " runs" } }
            @for verdict in study.verdicts() { p.verdict { (first_upper(&verdict)) "." } }
            p.dim { "Under these conditions:" }
            ul.dim { @for condition in study.conditions() { li { (first_upper(&condition)) "." } } }
        }
        main {
            @if !scaling.is_empty() {
                section { h2 { "From small fleets to large ones" } div.charts { @for chart in &scaling { (figure(chart)) } } }
            }
            section { h2 { "Every run" } (runs(study)) }
            section { h2 { "What the real control plane would take" }
                p.dim { "Modelled, at rest: " span.modelled { "what the real programs took" } ", hubs and leaves. Flux runs on "
                    "every leaf in each of them; on hub-and-spoke Argo CD, its repo-server and Redis do too." }
                (bills(study)) }
            section { h2 { "At " (count(at)) " clusters" } div.charts {
                @for chart in &charts_of(&shown) { (figure(chart)) }
                @for bars in &bars_of(&shown) {
                    (framed(bars.name, &bars.title, bars.note, &bars.svg(), bars.series.iter().map(|s| s.name.as_str()), &html! {}))
                }
            } }
            section { h2 { "Balance, and what moves" }
                p.dim { "Managers against their mean, and the share of clusters that come to another manager." } (moves(study)) }
            @if study.cells.iter().any(|cell| cell.stored.record.ownership.as_ref().is_some_and(|o| !o.gaps.is_empty())) {
                section { h2 { "When managers went" } (failures(study)) }
            }
        }
        footer { p { "flamboyance " (env!("CARGO_PKG_VERSION")) } }
    };
    shell(&study.name, &body)
}

fn scaling_charts(study: &Study) -> Vec<Chart> {
    let lines = |of: &dyn Fn(&StudyCell) -> Option<f64>| -> Vec<Line> {
        let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        for cell in &study.cells {
            let name = study.line(cell);
            if !order.contains(&name) {
                order.push(name.clone());
            }
            if let Some(value) = of(cell).filter(|value| *value > 0.0) {
                lines.entry(name).or_default().push(((cell.clusters() as f64).log10(), value.log10()));
            }
        }
        let line = |name: String| {
            let mut points = lines.remove(&name).unwrap_or_default();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line { name, points, filled: false }
        };
        order.into_iter().map(line).take(LINES).collect()
    };
    let note = "Both axes are logarithmic.";
    let whole = |cell: &StudyCell| Some(gib(cell.bill.hubs.memory_bytes + cell.bill.leaves.memory_bytes));
    let mut charts = vec![
        scaling("all-healthy", "Until all apps are healthy", note, "seconds", lines(&StudyCell::all_healthy)),
        scaling("p99", "End to end, 99% of the changes", note, "seconds", lines(&StudyCell::p99)),
        scaling(
            "control-cpu",
            "CPU of hubs and managers",
            note,
            "core-seconds",
            lines(&|cell| Some(cell.control_cpu())),
        ),
        scaling("bill", "Memory of the real control plane, modelled", note, "GiB", lines(&whole)),
    ];
    for chart in &mut charts {
        chart.lines.retain(|line| line.points.len() > 1);
    }
    charts.retain(|chart| !chart.lines.is_empty());
    charts
}

fn runs(study: &Study) -> Markup {
    let head = [
        "all healthy",
        "median",
        "99%",
        "calls per app",
        "rounds",
        "double owned",
        "hubs and managers",
        "of it memory",
        "all processes",
    ];
    html! {
        div.scroll { table {
            thead { tr { @for (axis, _) in &study.axes { th.text { (axis) } } @for cell in head { th { (cell) } } } }
            tbody { @for cell in &study.cells {
                @let record = &cell.stored.record;
                @let latency = record.latency.get("end_to_end");
                @let cpu: f64 = record.processes.iter().map(|process| process.cpu_s).sum();
                tr {
                    @for ((_, points), at) in study.axes.iter().zip(&cell.points) { td.text { (points[*at]) } }
                    td { (time(record.time.all_healthy_s)) }
                    td { (time(latency.and_then(|l| l.p50_s))) } td { (time(latency.and_then(|l| l.p99_s))) }
                    td { (format!("{:.1}", record.counts.calls as f64 / record.counts.apps.max(1) as f64)) }
                    td { (count(record.counts.rounds)) } td { (count(record.counts.double_owned)) }
                    td { (format!("{:.1} core-s", cell.control_cpu())) } td { (bytes(Some(cell.control_memory()))) }
                    td { (format!("{cpu:.1} core-s")) }
                }
            } }
        } }
    }
}

fn bills(study: &Study) -> Markup {
    let price = |bill: &Bill, price: Price| {
        let cores = (bill.hubs.cpu_milli + bill.leaves.cpu_milli) as f64 / 1e3;
        cores * price.core + gib(bill.hubs.memory_bytes + bill.leaves.memory_bytes) * price.gib
    };
    let cores = |milli: u64| format!("{:.1}", milli as f64 / 1e3);
    html! {
        div.scroll { table {
            thead { tr { @for (axis, _) in &study.axes { th.text { (axis) } }
                @for cell in ["processes on hubs", "cores", "GiB", "processes on leaves", "cores", "GiB"] { th { (cell) } }
                @if study.price.is_some() { th { "price" } } } }
            tbody { @for cell in &study.cells { tr {
                @for ((_, points), at) in study.axes.iter().zip(&cell.points) { td.text { (points[*at]) } }
                @for side in [&cell.bill.hubs, &cell.bill.leaves] {
                    td { (count(side.processes)) } td { (cores(side.cpu_milli)) } td { (format!("{:.1}", gib(side.memory_bytes))) }
                }
                @if let Some(of) = study.price { td { (format!("{:.2}", price(&cell.bill, of))) } }
            } } }
        } }
    }
}

fn moves(study: &Study) -> Markup {
    let mut events: Vec<Event> = Vec::new();
    for (event, _) in study.cells.iter().flat_map(|cell| &cell.moves) {
        if !events.contains(event) {
            events.push(*event);
        }
    }
    let share = |cell: &StudyCell, event: &Event| {
        let found = cell.moves.iter().find(|(of, _)| of == event);
        found.map_or_else(|| "-".to_owned(), |(_, moves)| format!("{:.1}%", (1.0 - moves.kept_share) * 100.0))
    };
    html! {
        div.scroll { table {
            thead { tr { @for (axis, _) in &study.axes { th.text { (axis) } } th { "scheme" } th { "clusters, max/mean" } th { "apps, max/mean" }
                @for event in &events { th { (event.to_string()) " moves" } } } }
            tbody { @for cell in &study.cells { tr {
                @for ((_, points), at) in study.axes.iter().zip(&cell.points) { td.text { (points[*at]) } }
                @let topology = &cell.stored.record.topology;
                td { @if topology.shards > 1 { (topology.scheme) } @else { "-" } }
                td { (format!("{:.2}", cell.balance.clusters.max_over_mean)) } td { (format!("{:.2}", cell.balance.apps.max_over_mean)) }
                @for event in &events { td { (share(cell, event)) } }
            } } }
        } }
    }
}

fn failures(study: &Study) -> Markup {
    let head = ["gap began", "lasted", "clusters without owner", "moved in all", "double owned apps"];
    html! {
        div.scroll { table {
            thead { tr { @for (axis, _) in &study.axes { th.text { (axis) } } @for cell in head { th { (cell) } } } }
            tbody { @for cell in &study.cells { @if let Some(ownership) = &cell.stored.record.ownership {
                @for gap in &ownership.gaps { tr {
                    @for ((_, points), at) in study.axes.iter().zip(&cell.points) { td.text { (points[*at]) } }
                    td { (time(Some(gap.at_s))) } td { (time(Some(gap.lasted_s))) @if !gap.closed { ", open" } } td { (count(gap.clusters)) }
                    td { (count(ownership.clusters_moved)) } td { (count(cell.stored.record.counts.double_owned)) }
                } }
            } } }
        } }
    }
}
