//! Time series as CSV: one row per window of the run, one row per reading of a process.
//!
//! Times are seconds from the first change intended; empty fields are unknown. Columns are only ever added at the end.

use crate::measure::Window;
use crate::measure::process::{Sample, Usage};
use crate::units::{Span, Time};
use std::fmt::Write;

const WINDOWS: &str = "t_s,apps,healthy,open_changes,finished,rounds,queue,p50_s,p99_s";
const PROCESSES: &str = "t_s,process,cpu_s,rss_bytes,fds,threads";

/// A reading of a process as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSample {
    /// Seconds from the first change intended; before it, zero.
    pub t_s: f64,
    /// Name of the process.
    pub process: String,
    /// CPU used so far, seconds.
    pub cpu_s: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
}

pub(super) fn write_windows(windows: &[Window]) -> String {
    let mut text = format!("{WINDOWS}\n");
    for w in windows {
        let secs = |span: Option<Span>| span.map(|s| s.as_secs_f64().to_string()).unwrap_or_default();
        let _infallible = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{}",
            w.at.as_secs_f64(),
            w.apps,
            w.healthy,
            w.open,
            w.finished,
            w.rounds,
            w.queue,
            secs(w.p50),
            secs(w.p99)
        );
    }
    text
}

pub(super) fn read_windows(text: &str) -> Option<Vec<Window>> {
    rows(text, WINDOWS)?
        .map(|row| {
            Some(Window {
                at: span(row.first()?)?,
                apps: row.get(1)?.parse().ok()?,
                healthy: row.get(2)?.parse().ok()?,
                open: row.get(3)?.parse().ok()?,
                finished: row.get(4)?.parse().ok()?,
                rounds: row.get(5)?.parse().ok()?,
                queue: row.get(6)?.parse().ok()?,
                p50: span(row.get(7)?),
                p99: span(row.get(8)?),
            })
        })
        .collect()
}

pub(super) fn write_processes<'a>(usages: impl IntoIterator<Item = &'a Usage>, start: Time) -> String {
    let mut text = format!("{PROCESSES}\n");
    for usage in usages {
        for Sample { at, cpu, rss, fds, threads } in &usage.samples {
            let (t, cpu) = (at.since(start).as_secs_f64(), cpu.as_secs_f64());
            let _infallible = writeln!(text, "{t},{},{cpu},{rss},{fds},{threads}", usage.name);
        }
    }
    text
}

pub(super) fn read_processes(text: &str) -> Option<Vec<ProcessSample>> {
    rows(text, PROCESSES)?
        .map(|row| {
            Some(ProcessSample {
                t_s: row.first()?.parse().ok()?,
                process: (*row.get(1)?).to_owned(),
                cpu_s: row.get(2)?.parse().ok()?,
                rss_bytes: row.get(3)?.parse().ok()?,
                fds: row.get(4)?.parse().ok()?,
                threads: row.get(5)?.parse().ok()?,
            })
        })
        .collect()
}

/// The rows of a table of ours; names in it hold no commas. `None` when its head is not the one expected.
fn rows<'a>(text: &'a str, head: &str) -> Option<impl Iterator<Item = Vec<&'a str>>> {
    let mut lines = text.lines();
    lines.next()?.starts_with(head).then(|| lines.map(|line| line.split(',').collect()))
}

fn span(text: &str) -> Option<Span> {
    let secs: f64 = text.parse().ok()?;
    std::time::Duration::try_from_secs_f64(secs).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).map(Span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::synthetic;

    #[test]
    fn windows_and_readings_survive_their_file() {
        let windows = synthetic::outcome().windows;
        assert_eq!(read_windows(&write_windows(&windows)), Some(windows));
        let usages = synthetic::usages();
        let text = write_processes(usages.iter(), Time(0));
        let read = read_processes(&text).unwrap();
        assert_eq!(read.len(), usages.iter().map(|u| u.samples.len()).sum::<usize>());
        assert_eq!((read[0].process.as_str(), read[0].rss_bytes), ("harness", usages[0].samples[0].rss));
    }

    #[test]
    fn tables_of_others_are_not_read() {
        assert_eq!(read_windows("a,b\n1,2\n"), None);
        assert_eq!(read_windows(&format!("{WINDOWS}\n1,2\n")), None);
        assert_eq!(read_windows(&format!("{WINDOWS},later\n1,2,3,4,5,6,7,,,8\n")).map(|w| w.len()), Some(1));
    }
}
