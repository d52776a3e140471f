//! Which charts there are, and what each shows.

use crate::measure::{Histogram, Hop, Window};
use crate::record::{ProcessSample, Stored};
use crate::report::numbers;
use crate::units::Span;
use std::collections::BTreeMap;

/// A line of a chart, in the coordinates of its axes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Line {
    /// What it is, for the legend.
    pub(in crate::report) name: String,
    /// Its points, left to right.
    pub(in crate::report) points: Vec<(f64, f64)>,
    /// The area below it is tinted.
    pub(in crate::report) filled: bool,
}

/// An axis: where it begins and ends, and what is written where.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Axis {
    /// What it measures, with unit.
    pub(in crate::report) name: &'static str,
    /// First and last coordinate.
    pub(in crate::report) range: (f64, f64),
    /// Coordinates with their labels.
    pub(in crate::report) ticks: Vec<(f64, String)>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Chart {
    /// File name without extension.
    pub(in crate::report) name: &'static str,
    /// What it shows.
    pub(in crate::report) title: String,
    /// How to read it.
    pub(in crate::report) note: &'static str,
    /// Left to right.
    pub(in crate::report) x: Axis,
    /// Bottom to top.
    pub(in crate::report) y: Axis,
    /// At most as many as there are colours.
    pub(in crate::report) lines: Vec<Line>,
}

/// Rows of a chart's data, at most: those of longer runs are every second one, or every third.
const ROWS: usize = 120;
/// The percentiles that a table of percentile curves tells, in nines.
const TOLD: [(f64, &str); 8] = [
    (std::f64::consts::LOG10_2, "50%"),
    (0.602_06, "75%"),
    (1.0, "90%"),
    (1.301_03, "95%"),
    (2.0, "99%"),
    (3.0, "99.9%"),
    (4.0, "99.99%"),
    (5.0, "99.999%"),
];

impl Chart {
    /// What it shows, as a table: a row per coordinate, a cell per line, empty where the line has no point.
    pub(in crate::report) fn rows(&self) -> Vec<(String, Vec<String>)> {
        let cell = |y: Option<f64>| y.map_or(String::new(), |y| self.y.told(y));
        if self.x.name == "percentile" {
            let at = |line: &Line, x: f64| line.points.iter().find(|point| point.0 >= x - 1e-6).map(|point| point.1);
            let row = |(x, name): &(f64, &str)| {
                let cells: Vec<String> = self.lines.iter().map(|line| cell(at(line, *x))).collect();
                ((*name).to_owned(), cells)
            };
            return TOLD.iter().map(row).filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())).collect();
        }
        // Readings of several processes are some milliseconds apart, and are one row all the same.
        let mut rows: BTreeMap<String, (f64, Vec<Option<f64>>)> = BTreeMap::new();
        for (n, line) in self.lines.iter().enumerate() {
            for (x, y) in &line.points {
                let row = rows.entry(format!("{x:020.1}")).or_insert_with(|| (*x, vec![None; self.lines.len()]));
                row.1[n] = Some(*y);
            }
        }
        let every = rows.len().div_ceil(ROWS).max(1);
        let told = rows.into_values().step_by(every);
        told.map(|(x, cells)| (format!("{x:.1}"), cells.into_iter().map(cell).collect())).collect()
    }
}

impl Axis {
    /// A coordinate as people read it.
    fn told(&self, at: f64) -> String {
        match self.name {
            "time" => numbers::time(Some(10_f64.powf(at))),
            _ if at.fract() == 0.0 => format!("{at:.0}"),
            _ => numbers::three_digits(at),
        }
    }
}

/// All charts for which the result has data.
pub(in crate::report) fn all(stored: &Stored) -> Vec<Chart> {
    let mut charts = vec![healthy(&stored.windows), hops(stored), kinds(stored), over_time(&stored.windows)];
    charts.push(queue(&stored.windows));
    let busy = |s: &[&ProcessSample]| rates(s);
    let cpu = processes(stored, busy);
    charts.push(chart("cpu", "CPU by process", "1 is one CPU, busy all the time.", "CPUs", cpu));
    let rss = |s: &[&ProcessSample]| s.iter().map(|p| (p.t_s, p.rss_bytes as f64 / f64::from(1 << 20))).collect();
    let memory = processes(stored, rss);
    charts.push(chart("memory", "Memory by process", "Resident memory.", "MiB", memory));
    for chart in &mut charts {
        // One point is no line, and a key without its line asks questions.
        chart.lines.retain(|line| line.points.len() > 1);
    }
    charts.retain(|chart| !chart.lines.is_empty());
    charts
}

/// A chart over time.
pub(in crate::report) fn chart(
    name: &'static str,
    title: &str,
    note: &'static str,
    unit: &'static str,
    lines: Vec<Line>,
) -> Chart {
    let (x, y) = (extent(&lines, |p| p.0), extent(&lines, |p| p.1));
    let title = title.to_owned();
    Chart { name, title, note, x: linear("seconds", x), y: linear(unit, y), lines }
}

/// A chart of something against the number of clusters; the coordinates of both are logarithms.
pub(in crate::report) fn scaling(
    name: &'static str,
    title: &str,
    note: &'static str,
    unit: &'static str,
    lines: Vec<Line>,
) -> Chart {
    let (x, y) = (extent(&lines, |p| p.0), extent(&lines, |p| p.1));
    Chart { name, title: title.to_owned(), note, x: log_count("clusters", x), y: log_count(unit, y), lines }
}

fn healthy(windows: &[Window]) -> Chart {
    let line = |name: &str, filled, f: fn(&Window) -> u64| Line {
        name: name.to_owned(),
        points: std::iter::once((0.0, 0.0)).chain(windows.iter().map(|w| (w.at.as_secs_f64(), f(w) as f64))).collect(),
        filled,
    };
    let lines = vec![line("healthy", true, |w| w.healthy), line("on the hub", false, |w| w.apps)];
    chart("healthy", "Healthy apps", "Applications on the hub, and those that are Healthy and Synced.", "apps", lines)
}

fn queue(windows: &[Window]) -> Chart {
    let line = |name: &str, f: fn(&Window) -> u64| Line {
        name: name.to_owned(),
        points: windows.iter().map(|w| (w.at.as_secs_f64(), f(w) as f64)).collect(),
        filled: false,
    };
    let lines = vec![line("queue", |w| w.queue), line("open changes", |w| w.open), line("rounds", |w| w.rounds)];
    let note = "Longest sum of the managers' queues, changes on their way, rounds ended: per window.";
    chart("queue", "Work on hand", note, "count", lines)
}

/// End-to-end time of the changes that finished in each window.
fn over_time(windows: &[Window]) -> Chart {
    let line = |name: &str, f: fn(&Window) -> Option<Span>| Line {
        name: name.to_owned(),
        points: windows.iter().filter_map(|w| Some((w.at.as_secs_f64(), log_secs(f(w)?.as_secs_f64())))).collect(),
        filled: false,
    };
    let lines = vec![line("median", |w| w.p50), line("99th percentile", |w| w.p99)];
    Chart {
        name: "latency-over-time",
        title: "End to end over time".to_owned(),
        note: "Changes that finished in each window.",
        x: linear("seconds", extent(&lines, |p| p.0)),
        y: log_time(extent(&lines, |p| p.1)),
        lines,
    }
}

fn hops(stored: &Stored) -> Chart {
    let all = stored.latencies.all();
    let lines = Hop::ALL.into_iter().map(|hop| curve(hop.name(), &all[hop as usize])).collect();
    percentiles("hops", "Latency by hop, all changes", lines)
}

fn kinds(stored: &Stored) -> Chart {
    let end_to_end = Hop::EndToEnd as usize;
    let lines = stored.latencies.by_kind().map(|(kind, hops)| curve(kind.name(), &hops[end_to_end])).collect();
    percentiles("kinds", "End to end by kind of change", lines)
}

pub(in crate::report) fn percentiles(name: &'static str, title: &str, mut lines: Vec<Line>) -> Chart {
    lines.retain(|line| !line.points.is_empty());
    let nines = extent(&lines, |p| p.0).1.clamp(1.0, 5.0);
    let labels = [(0.301, "50%"), (1.0, "90%"), (2.0, "99%"), (3.0, "99.9%"), (4.0, "99.99%"), (5.0, "99.999%")];
    let shown = labels.into_iter().filter(|(x, _)| *x <= nines);
    Chart {
        name,
        title: title.to_owned(),
        note: "Read: so many percent of the changes took at most so long. Both axes are logarithmic.",
        x: Axis {
            name: "percentile",
            range: (0.0, nines),
            ticks: shown.map(|(x, text)| (x, text.to_owned())).collect(),
        },
        y: log_time(extent(&lines, |p| p.1)),
        lines,
    }
}

/// Points of a percentile curve: the x axis counts nines, `-log10(1 - share)`, up to the last sample.
pub(in crate::report) fn curve(name: &str, histogram: &Histogram) -> Line {
    const STEPS: u32 = 120;
    let nines = (histogram.count().max(1) as f64).log10().clamp(0.5, 5.0);
    let point = |step: u32| {
        let x = nines * f64::from(step) / f64::from(STEPS);
        let value = histogram.quantile(1.0 - 10_f64.powf(-x))?;
        Some((x, log_secs(value.as_secs_f64())))
    };
    Line { name: name.replace('_', " "), points: (0..=STEPS).filter_map(point).collect(), filled: false }
}

/// One line per process that has readings.
fn processes(stored: &Stored, points: impl Fn(&[&ProcessSample]) -> Vec<(f64, f64)>) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    for sample in &stored.samples {
        if !names.contains(&sample.process.as_str()) {
            names.push(&sample.process);
        }
    }
    let of = |name: &str| stored.samples.iter().filter(|s| s.process == name).collect::<Vec<_>>();
    let lines = names.into_iter().map(|name| Line { name: name.to_owned(), points: points(&of(name)), filled: false });
    most_important(lines.collect())
}

/// Keeps the lines that reach highest when there are more than colours, in their order.
fn most_important(mut lines: Vec<Line>) -> Vec<Line> {
    let peak = |line: &Line| line.points.iter().map(|p| p.1).fold(0.0, f64::max);
    let mut peaks: Vec<f64> = lines.iter().map(peak).collect();
    peaks.sort_by(|a, b| b.total_cmp(a));
    if let Some(least) = peaks.get(super::LINES - 1).copied().filter(|_| lines.len() > super::LINES) {
        lines.retain(|line| peak(line) >= least);
        lines.truncate(super::LINES);
    }
    lines
}

/// CPU used between two readings, in CPUs.
fn rates(samples: &[&ProcessSample]) -> Vec<(f64, f64)> {
    let rate = |pair: &[&ProcessSample]| {
        let seconds = pair[1].t_s - pair[0].t_s;
        (seconds > 0.0).then(|| (pair[1].t_s, (pair[1].cpu_s - pair[0].cpu_s).max(0.0) / seconds))
    };
    samples.windows(2).filter_map(rate).collect()
}

/// Logarithm of a time, microseconds being the least.
fn log_secs(secs: f64) -> f64 {
    secs.max(1e-6).log10()
}

fn extent(lines: &[Line], f: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| &line.points).map(f);
    values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
}

/// An axis from zero to a round number, with about five labels.
pub(super) fn linear(name: &'static str, (_, high): (f64, f64)) -> Axis {
    let high = if high > 0.0 { high } else { 1.0 };
    let magnitude = 10_f64.powf((high / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * magnitude).find(|s| high / s <= 5.5).unwrap_or(high);
    // On time axes the data ends where it ends; upwards there is always a label above it.
    let end = if name == "seconds" { high } else { (high / step).ceil() * step };
    let label = |value: f64| match value {
        v if v >= 1e6 => format!("{}M", tidy(v / 1e6)),
        v if v >= 1e4 => format!("{}k", tidy(v / 1e3)),
        v => tidy(v),
    };
    let mut ticks = Vec::new();
    let mut value = 0.0;
    while value <= end * 1.0001 {
        ticks.push((value, label(value)));
        value += step;
    }
    Axis { name, range: (0.0, end), ticks }
}

/// Without trailing zeros; steps are 1, 2 or 5 times a power of ten, so three decimals are enough below one.
fn tidy(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A logarithmic axis of numbers over whole decades.
fn log_count(name: &'static str, (low, high): (f64, f64)) -> Axis {
    let (low, high) = if low > high { (0.0, 1.0) } else { (low.floor(), high.ceil().max(low.floor() + 1.0)) };
    let label = |power: f64| match power {
        p if p >= 6.0 => format!("{}M", tidy(10_f64.powf(p - 6.0))),
        p if p >= 4.0 => format!("{}k", tidy(10_f64.powf(p - 3.0))),
        p => tidy(10_f64.powf(p)),
    };
    let mut ticks = Vec::new();
    let mut power = low;
    while power <= high {
        ticks.push((power, label(power)));
        power += 1.0;
    }
    Axis { name, range: (low, high), ticks }
}

/// A logarithmic axis of times over whole decades.
fn log_time((low, high): (f64, f64)) -> Axis {
    let (low, high) = if low > high { (-3.0, 0.0) } else { (low.floor(), high.ceil().max(low.floor() + 1.0)) };
    let label = |power: f64| match power {
        p if p >= 0.0 => format!("{} s", tidy(10_f64.powf(p))),
        p if p >= -3.0 => format!("{} ms", tidy(10_f64.powf(p + 3.0))),
        p => format!("{} us", tidy(10_f64.powf(p + 6.0))),
    };
    let mut ticks = Vec::new();
    let mut power = low;
    while power <= high {
        ticks.push((power, label(power)));
        power += 1.0;
    }
    Axis { name: "time", range: (low, high), ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn axes_have_round_labels() {
        assert_eq!(labels(&linear("apps", (0.0, 700.0))), ["0", "200", "400", "600", "800"]);
        assert_eq!(labels(&linear("apps", (0.0, 40_000.0))), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(labels(&linear("CPUs", (0.0, 0.9))), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&linear("apps", (f64::MAX, f64::MIN)))[0], "0");
        assert_eq!(labels(&log_time((-2.7, 0.2))), ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!(labels(&log_time((-6.0, -5.5))), ["1 us", "10 us"]);
    }

    #[test]
    fn a_percentile_curve_ends_at_the_largest_sample_and_never_falls() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(Span::from_millis(ms)));
        let line = curve("end_to_end", &histogram);
        assert!(line.points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        let last = line.points.last().unwrap();
        assert!((last.0 - 3.0).abs() < 1e-9 && last.1.abs() < 0.001, "{last:?}");
    }

    #[test]
    fn the_data_of_a_chart_is_told_in_the_words_of_its_axes() {
        let line =
            |name: &str, points: &[(f64, f64)]| Line { name: name.to_owned(), points: points.to_vec(), filled: false };
        let lines = vec![line("hub", &[(1.0, 0.5), (2.0, 3.0)]), line("leaves", &[(2.01, 40_000.0)])];
        let rows = chart("cpu", "CPU", "", "CPUs", lines).rows();
        let row = |x: &str, cells: [&str; 2]| (x.to_owned(), cells.map(str::to_owned).to_vec());
        assert_eq!(rows, [row("1.0", ["0.50", ""]), row("2.0", ["3", "40000"])]);
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(Span::from_millis(ms)));
        let rows = percentiles("hops", "Hops", vec![curve("end_to_end", &histogram)]).rows();
        let told: Vec<_> = rows.iter().map(|(x, cells)| (x.as_str(), cells[0].as_str())).collect();
        assert_eq!((told[0].0, told[2].0, told.len()), ("50%", "90%", 6), "{told:?}");
        assert!(told[2].1.starts_with("90"), "{told:?}");
        let long = line("queue", &(0..1_000).map(|n| (f64::from(n), 1.0)).collect::<Vec<_>>());
        assert!(chart("queue", "Queue", "", "count", vec![long]).rows().len() <= ROWS);
    }

    #[test]
    fn the_busiest_processes_keep_their_line() {
        let line = |n: u32| Line { name: n.to_string(), points: vec![(0.0, f64::from(n))], filled: false };
        let kept = most_important((0..20).map(line).collect());
        assert_eq!(
            kept.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(),
            ["12", "13", "14", "15", "16", "17", "18", "19"]
        );
    }
}
