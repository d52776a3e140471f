//! A summary that a person understands in ten seconds.
//!
//! In: a record. Out: text. Colours only when asked for. A number that was not measured carries a mark: `~` modelled,
//! `?` assumed.

use super::numbers::{bytes, count, mark, maybe, per, percent, time};
use super::table::Table;
use crate::measure::warning::Severity;
use crate::measure::{ChangeKind, Hop};
use crate::record::{Latency, ProcessRecord, Provenance, Reason, RunRecord, Status};
use std::fmt::Write;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours (ANSI).
    pub colour: bool,
}

impl Style {
    pub(super) fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// The summary of a run.
#[must_use]
pub fn summary(record: &RunRecord, style: Style) -> String {
    let mut text = headline(record, style);
    if !record.latency.is_empty() {
        text.push('\n');
        text.push_str(&latencies(record, style));
    }
    if !record.processes.is_empty() {
        text.push('\n');
        text.push_str(&processes(record, style));
    }
    text.push_str(&closing(record));
    if !record.sensitivity.is_empty() {
        text.push('\n');
        text.push_str(&sensitivity(record, style));
    }
    text.push_str(&warnings(record, style));
    text
}

/// Why a run is not complete, in words.
pub(super) const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Interrupted => "interrupted",
        Reason::TimedOut => "timed out",
        Reason::ChildDied => "a process died",
        Reason::DiskFull => "disk full",
        Reason::RecordsDropped => "measuring records were lost",
        Reason::Stuck => "nothing left to happen",
        Reason::BacklogGrows => "the backlog only grows",
        Reason::SetupFailed => "setup failed",
    }
}

/// `complete`, or `partial (timed out)`.
pub(super) fn status(record: &RunRecord) -> String {
    let word = match record.status {
        Status::Complete => "complete",
        Status::Partial => "partial",
        Status::Invalid => "invalid",
    };
    record.reason.map_or_else(|| word.to_owned(), |why| format!("{word} ({})", reason(why)))
}

/// What it came to, in one sentence.
pub(super) fn verdict(record: &RunRecord) -> String {
    if record.latency.is_empty() {
        return "nothing was measured".to_owned();
    }
    let counts = &record.counts;
    let healthy = match record.time.all_healthy_s {
        Some(secs) => format!("all apps healthy after {}", time(Some(secs))),
        None => "never all healthy at once".to_owned(),
    };
    let (now, all) = (count(counts.apps_healthy), count(counts.apps));
    format!("{healthy}; at the end {now} of {all} are")
}

/// What was run, in one line.
pub(super) fn setting(record: &RunRecord) -> String {
    let topology = &record.topology;
    let shape = if topology.shards > 1 {
        format!("{} x {} ({})", topology.kind, topology.shards, topology.scheme)
    } else {
        topology.kind.clone()
    };
    let clock = if record.time.simulated_s.is_some() { "virtual clock" } else { "real clock" };
    let clusters = count(record.counts.clusters);
    let manager = format!("{}/{}", record.manager.kind, record.manager.behaviour);
    format!("{clusters} clusters, {shape}, {manager}, {}, {clock}, seed {}", record.backend, record.seed)
}

fn headline(record: &RunRecord, style: Style) -> String {
    let code = match record.status {
        Status::Complete if record.counts.apps == record.counts.apps_healthy => "1;32",
        Status::Complete | Status::Partial => "1;33",
        Status::Invalid => "1;31",
    };
    let status = style.paint(code, &status(record));
    let wall =
        if record.latency.is_empty() { String::new() } else { format!(" in {}", time(Some(record.time.wall_s))) };
    let name = style.bold(&record.scenario.name);
    let counts = &record.counts;
    let mut changes = format!("{} changes", count(counts.changes));
    if counts.superseded > 0 {
        let _infallible = write!(changes, ", {} superseded", count(counts.superseded));
    }
    if counts.failed > 0 {
        let _infallible = write!(changes, ", {} failed", count(counts.failed));
    }
    format!("{name}: {status}{wall}; {}\n{}\n{changes}\n", verdict(record), setting(record))
}

fn latencies(record: &RunRecord, style: Style) -> String {
    let mut table = Table::new(&["latency", "count", "p50", "p90", "p99", "p99.9", "max"]);
    let mut modelled = false;
    let mut row = |name: String, latency: Option<&Latency>| {
        if let Some(latency) = latency.filter(|l| l.count > 0) {
            let mark = mark(latency.provenance);
            modelled |= !mark.is_empty();
            let value = |secs| format!("{mark}{}", time(secs));
            let (p50, p90, p99) = (value(latency.p50_s), value(latency.p90_s), value(latency.p99_s));
            let samples = count(latency.count);
            table.row(vec![name, samples, p50, p90, p99, value(latency.p999_s), value(latency.max_s)]);
        }
    };
    let words = |name: &str| name.replace('_', " ");
    row("end to end".to_owned(), record.latency.get(Hop::EndToEnd.name()));
    for kind in ChangeKind::ALL {
        let hops = record.latency_by.get(kind.name());
        row(format!("  {}", kind.name()), hops.and_then(|hops| hops.get(Hop::EndToEnd.name())));
    }
    for hop in Hop::ALL.into_iter().filter(|hop| *hop != Hop::EndToEnd) {
        row(format!("hop {}", words(hop.name())), record.latency.get(hop.name()));
    }
    let mut text = table.render(style);
    if modelled {
        text.push_str("~ contains time that a model let pass\n");
    }
    text
}

fn processes(record: &RunRecord, style: Style) -> String {
    let all: f64 = record.processes.iter().map(|p| p.cpu_s).sum();
    let mut table = Table::new(&["process", "CPU", "share", "memory", "fds", "watches", "calls"]);
    for p in shown(&record.processes) {
        let mark = mark(p.provenance);
        let share = if all > 0.0 { percent(p.cpu_s / all) } else { "-".to_owned() };
        table.row(vec![
            p.name.clone(),
            format!("{mark}{}", time(Some(p.cpu_s))),
            share,
            format!("{mark}{}", bytes(p.rss_max_bytes)),
            maybe(p.fds_max),
            maybe(p.watches_max),
            count(p.total_calls()),
        ]);
    }
    table.render(style)
}

/// All processes, or the first and the busiest when there are very many.
fn shown(processes: &[ProcessRecord]) -> Vec<&ProcessRecord> {
    const MANY: usize = 12;
    let mut shown: Vec<_> = processes.iter().collect();
    if shown.len() > MANY {
        shown.sort_by(|a, b| b.cpu_s.total_cmp(&a.cpu_s));
        shown.truncate(MANY);
    }
    shown
}

fn closing(record: &RunRecord) -> String {
    let counts = &record.counts;
    let mut text = String::new();
    if counts.calls > 0 {
        let apps = counts.apps.max(record.latency_by.get("install").map_or(0, |h| h["end_to_end"].count));
        let (calls, each) = (count(counts.calls), per(counts.calls, apps));
        let _infallible = writeln!(text, "\n{calls} calls made, {each} per app; {} rounds", count(counts.rounds));
    }
    if let Some(limit) = &record.limit {
        let name = if limit.place.is_empty() {
            limit.resource.clone()
        } else {
            format!("{} of {}", limit.resource, limit.place)
        };
        let _infallible = writeln!(text, "limit: {name}: {}", limit.evidence);
    }
    text
}

/// Constants that are shown: those that the times depend on most.
const MOST: usize = 6;

fn sensitivity(record: &RunRecord, style: Style) -> String {
    let mut table = Table::new(&["assumed", "is", "instead", "all healthy", "p99"]);
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("x {ratio:.2}"));
    for one in record.sensitivity.iter().take(MOST) {
        let id = one.id.strip_prefix("model.").unwrap_or(&one.id).to_owned();
        let ratios = [one.all_healthy, one.end_to_end_p99].map(ratio);
        table.row([vec![id, one.value.clone(), one.other.clone()], ratios.to_vec()].concat());
    }
    table.render(style)
}

fn warnings(record: &RunRecord, style: Style) -> String {
    let mut text = String::new();
    for warning in &record.warnings {
        let (word, code) = match warning.severity {
            Severity::Invalid => ("invalid", "1;31"),
            Severity::Suspect => ("suspect", "33"),
            Severity::Info => ("note", "2"),
        };
        let word = style.paint(code, word);
        let _infallible = writeln!(text, "{word}: {} ({})\n  {}", warning.message, warning.code, warning.advice);
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Whether a number was measured, in words.
pub(super) const fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "measured",
        Provenance::Modelled => "modelled",
        Provenance::Assumed => "assumed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::synthetic;

    #[test]
    fn the_summary_of_a_run() {
        insta::assert_snapshot!(summary(&synthetic::record(), Style::default()));
    }

    #[test]
    fn the_summary_of_a_run_that_was_cut_short() {
        let mut record = synthetic::begun();
        record.warnings = synthetic::record().warnings;
        record.build = synthetic::record().build;
        insta::assert_snapshot!(summary(&record, Style::default()));
    }

    #[test]
    fn colours_are_there_only_when_asked_for() {
        let record = synthetic::record();
        assert!(!summary(&record, Style::default()).contains('\x1b'));
        assert!(summary(&record, Style { colour: true }).contains("\x1b[1;32mcomplete"));
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let text = summary(&synthetic::record(), Style::default());
        let tables = text.lines().filter(|line| line.starts_with("hop") || line.starts_with("manager"));
        assert!(tables.clone().count() > 4 && tables.into_iter().all(|line| line.chars().count() <= 80));
    }
}
