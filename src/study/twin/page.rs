//! A twin run as people read it: a table for the terminal, a page with both curves.

use super::{Pair, Part, Row, Twin, Verdict};
use crate::measure::{Histogram, Hop};
use crate::report::{Grid, Mood, Section, Sheet, Style, Table, sheet_page};
use std::fmt::Write;

const fn mood(verdict: Verdict) -> Mood {
    match verdict {
        Verdict::Agree => Mood::Good,
        Verdict::Inconclusive => Mood::Fair,
        Verdict::Differ => Mood::Bad,
    }
}

fn secs(value: f64) -> String {
    match value {
        v if v >= 1.0 => format!("{v:.3} s"),
        v if v >= 1e-3 => format!("{:.2} ms", v * 1e3),
        v => format!("{:.0} us", v * 1e6),
    }
}

fn row(row: &Row) -> Vec<String> {
    vec![
        format!("{} p{}", row.hop.replace('_', " "), row.percentile),
        secs(row.live_s),
        format!("{} to {}", secs(row.between_s[0]), secs(row.between_s[1])),
        secs(row.simulated_s),
        format!("{:.2}", row.ratio),
        row.verdict.name().to_owned(),
    ]
}

const LATENCY: [&str; 6] = ["latency", "live", "between", "simulated", "ratio", "verdict"];
const COUNTS: [&str; 4] = ["count", "live", "simulated", "verdict"];

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn counts(part: &Part) -> Vec<Vec<String>> {
    let live = |[low, high]: [f64; 2]| {
        if low < high { format!("{} to {}", number(low), number(high)) } else { number(low) }
    };
    let count = |count: &super::Count| {
        vec![count.name.clone(), live(count.live), number(count.simulated), count.verdict.name().to_owned()]
    };
    part.counts.iter().map(count).collect()
}

fn machine(part: &Part) -> Vec<String> {
    let say = |machine: &super::Machine| {
        let [busy, others] = [machine.busy_share, machine.others_share].map(|share| share * 100.0);
        let quiet = if machine.quiet { "" } else { ": it does not count" };
        format!("{}: the machine was {busy:.0}% busy, {others:.0}% of it with others' work{quiet}", machine.run_id)
    };
    part.machine.iter().map(say).collect()
}

/// For the terminal.
#[must_use]
pub fn table(twin: &Twin, style: Style) -> String {
    let mut text = String::new();
    let _infallible = writeln!(text, "{}: the clocks {}", twin.scenario, verb(twin.verdict));
    for part in &twin.parts {
        let _infallible = writeln!(text, "\n{}: {}", part.name, part.verdict.name());
        let mut latency = Table::new(&LATENCY);
        part.latency.iter().for_each(|one| latency.row(row(one)));
        text.push_str(&latency.render(style));
        let mut odd = Table::new(&COUNTS);
        let same = part.counts.iter().filter(|count| count.verdict == Verdict::Agree).count();
        let rows = counts(part).into_iter().zip(&part.counts).filter(|(_, count)| count.verdict != Verdict::Agree);
        rows.for_each(|(cells, _)| odd.row(cells));
        if same < part.counts.len() {
            let _infallible = write!(text, "\n{}", odd.render(style));
        }
        let _infallible = writeln!(text, "{same} of {} counts are the same", part.counts.len());
        for sentence in machine(part).iter().chain(&part.why) {
            let _infallible = writeln!(text, "{sentence}");
        }
    }
    text
}

const fn verb(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agree => "agree",
        Verdict::Differ => "differ",
        Verdict::Inconclusive => "cannot be compared on this machine as it is",
    }
}

/// The page: both curves of every hop, then every number.
#[must_use]
pub fn page(twin: &Twin, pairs: &[Pair]) -> String {
    let hops: Vec<(Vec<Vec<Histogram>>, Vec<Histogram>)> = pairs
        .iter()
        .map(|pair| {
            let live = pair.live.iter().map(|played| played.stored.latencies.all().to_vec()).collect();
            (live, pair.simulated.stored.latencies.all().to_vec())
        })
        .collect();
    let sections = twin.parts.iter().zip(&hops).map(|(part, (live, simulated))| section(part, live, simulated));
    let sheet = Sheet {
        title: format!("{}: live and simulated", twin.scenario),
        verdict: (twin.verdict.name(), mood(twin.verdict)),
        sentences: vec![
            "objects and what no race decides must be the same, calls and rounds per app within 10% where one does, \
             percentiles within 10% or a millisecond"
                .to_owned(),
        ],
        sections: sections.collect(),
    };
    sheet_page(&sheet)
}

fn section<'a>(part: &'a Part, live: &'a [Vec<Histogram>], simulated: &'a [Histogram]) -> Section<'a> {
    let chart = |hop: Hop| {
        let own = &simulated[hop as usize];
        let mut lines: Vec<(String, &Histogram)> = Vec::new();
        for (n, of) in live.iter().enumerate() {
            lines.push((format!("live {}", n + 1), &of[hop as usize]));
        }
        lines.push(("simulated".to_owned(), own));
        (own.count() > 0).then(|| (hop.name().replace('_', " "), lines))
    };
    let order = [Hop::EndToEnd, Hop::Seen, Hop::Written, Hop::Fetched, Hop::Applied, Hop::Ready, Hop::Reported];
    Section {
        heading: part.name.to_owned(),
        verdict: (part.verdict.name(), mood(part.verdict)),
        sentences: machine(part).into_iter().chain(part.why.iter().cloned()).collect(),
        curves: order.into_iter().filter_map(chart).collect(),
        tables: vec![
            Grid { heading: "Latency", head: &LATENCY, rows: part.latency.iter().map(row).collect() },
            Grid { heading: "Counts", head: &COUNTS, rows: counts(part) },
        ],
    }
}
