//! How a long run shows that it goes on: on a terminal a bar, the managers below it and latencies so far; a line now and
//! then elsewhere.
//!
//! In: progress some times per second. Out: text on standard error.

use crate::measure::{Beat, Progress, Pulse};
use crate::units::Span;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};

/// Between two plain lines: often enough to see life in the log of a CI job, seldom enough to read it.
const LINE_EVERY: Span = Span::from_secs(5);
/// The first one comes sooner: it says that all is well.
const FIRST_LINE: Span = Span::from_secs(1);
/// Managers that have a row of their own; the others share one.
const ROWS: usize = 8;

/// Where progress goes.
pub(super) enum Screen {
    Quiet,
    Terminal(Box<Terminal>),
    Lines { next: Span, rate: Rate },
}

/// A bar, and rows below it that come as they are needed.
pub(super) struct Terminal {
    all: MultiProgress,
    bar: ProgressBar,
    rows: Vec<ProgressBar>,
    rate: Rate,
    managers: Vec<Rate>,
}

/// Counts per second over the last readings.
pub(super) struct Rate {
    past: VecDeque<(Span, u64)>,
}

/// Readings of the rate: about five seconds.
const READINGS: usize = 25;

impl Rate {
    fn new() -> Self {
        Self { past: VecDeque::with_capacity(READINGS) }
    }

    fn take(&mut self, since: Span, count: u64) -> f64 {
        if self.past.len() == READINGS {
            self.past.pop_front();
        }
        self.past.push_back((since, count));
        let Some((first, before)) = self.past.front() else { return 0.0 };
        let seconds = since.as_secs_f64() - first.as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

impl Screen {
    pub(super) fn new(quiet: bool, timeout: Span) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: FIRST_LINE, rate: Rate::new() };
        }
        let all = MultiProgress::new();
        let bar = all.add(ProgressBar::new(0));
        bar.set_style(style("{elapsed:>4} [{bar:32}] {pos}/{len} changes  {msg}"));
        bar.set_message(format!("starting (gives up after {timeout})"));
        Self::Terminal(Box::new(Terminal { all, bar, rows: Vec::new(), rate: Rate::new(), managers: Vec::new() }))
    }

    /// Shows how it goes, `since` the first change; managers are asked about only where they are shown.
    pub(super) fn show(&mut self, progress: &Progress, since: Span, pulse: impl FnOnce() -> Option<Pulse>) {
        let done = progress.finished + progress.superseded + progress.abandoned;
        match self {
            Self::Quiet => {}
            Self::Terminal(terminal) => {
                let per_second = terminal.rate.take(since, done);
                terminal.bar.set_length(progress.changes);
                terminal.bar.set_position(done);
                terminal.bar.set_message(told(progress, per_second));
                if let Some(pulse) = pulse() {
                    terminal.show(since, &pulse);
                }
            }
            Self::Lines { next, rate } => {
                let per_second = rate.take(since, done);
                if since >= *next {
                    *next = since + LINE_EVERY;
                    let seconds = since.0 / 1_000_000_000;
                    let line =
                        format!("{seconds:>4}s  {done}/{} changes  {}", progress.changes, told(progress, per_second));
                    // A log that cannot be written does not stop the run.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }

    /// Leaves the screen clean for what follows.
    pub(super) fn end(&self) {
        if let Self::Terminal(terminal) = self {
            terminal.rows.iter().for_each(ProgressBar::finish_and_clear);
            terminal.bar.finish_and_clear();
        }
    }
}

impl Terminal {
    fn show(&mut self, since: Span, pulse: &Pulse) {
        self.managers.resize_with(pulse.managers.len(), Rate::new);
        let rates = self.managers.iter_mut().zip(&pulse.managers);
        let rates: Vec<f64> = rates.map(|(rate, beat)| rate.take(since, beat.rounds)).collect();
        let lines = rows(pulse, &rates);
        while self.rows.len() < lines.len() {
            let row = self.all.add(ProgressBar::no_length());
            row.set_style(style("     {msg}"));
            self.rows.push(row);
        }
        for (row, line) in self.rows.iter().zip(lines) {
            row.set_message(line);
        }
    }
}

/// A template of ours cannot be malformed; if it were, the usual style would do.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// What stands below the bar: latencies so far, then the managers, those with the longest queues first if they are many.
fn rows(pulse: &Pulse, rates: &[f64]) -> Vec<String> {
    let latency =
        |span: Option<Span>| span.map_or_else(|| "-".to_owned(), |span| format!("{:.2} s", span.as_secs_f64()));
    let mut lines = vec![format!("end to end   p50 {}   p99 {}", latency(pulse.p50), latency(pulse.p99))];
    let mut order: Vec<usize> = (0..pulse.managers.len()).collect();
    if order.len() > ROWS {
        order.sort_by_key(|&number| (std::cmp::Reverse(pulse.managers[number].queue), number));
    }
    let (own, shared) = order.split_at(order.len().min(ROWS));
    let rate = |number: usize| rates.get(number).copied().unwrap_or_default();
    lines.extend(own.iter().map(|&number| row(&format!("manager-{number}"), pulse.managers[number], rate(number))));
    if !shared.is_empty() {
        let sum = shared.iter().fold(Beat::default(), |sum, &number| {
            let next = pulse.managers[number];
            Beat {
                queue: sum.queue + next.queue,
                rounds: sum.rounds + next.rounds,
                apps: sum.apps + next.apps,
                healthy: sum.healthy + next.healthy,
            }
        });
        lines.push(row(&format!("{} more", shared.len()), sum, shared.iter().map(|&number| rate(number)).sum()));
    }
    lines
}

fn row(name: &str, beat: Beat, rounds: f64) -> String {
    let Beat { queue, apps, healthy, .. } = beat;
    format!("{name:<12} queue {queue:>7}   healthy {healthy:>7} of {apps:<7}   {rounds:>6.0} rounds/s")
}

fn told(progress: &Progress, per_second: f64) -> String {
    let left =
        if per_second > 0.0 { format!(", {:.0} s left", progress.open() as f64 / per_second) } else { String::new() };
    format!("{}/{} apps healthy, {per_second:.0} changes/s{left}", progress.healthy, progress.apps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(queues: &[u64]) -> Pulse {
        let beat = |&queue: &u64| Beat { queue, rounds: 10, apps: 100, healthy: 50 };
        Pulse { p50: Some(Span::from_millis(1_234)), p99: None, managers: queues.iter().map(beat).collect() }
    }

    #[test]
    fn few_managers_keep_their_order_and_many_show_the_longest_queues() {
        let names = |queues: &[u64]| {
            let rates = vec![1.0; queues.len()];
            let name = |line: &String| line.split("  ").next().unwrap_or_default().trim().to_owned();
            rows(&pulse(queues), &rates)[1..].iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[1, 5, 3]), ["manager-0", "manager-1", "manager-2"]);
        let many: Vec<u64> = (0..20).collect();
        let shown = names(&many);
        assert_eq!((shown.len(), shown[0].as_str(), shown[8].as_str()), (9, "manager-19", "12 more"));
    }

    #[test]
    fn a_row_says_queue_health_and_rate_and_what_is_unknown() {
        let lines = rows(&pulse(&[7]), &[41.6]);
        assert_eq!(lines[0], "end to end   p50 1.23 s   p99 -");
        assert_eq!(lines[1], "manager-0    queue       7   healthy      50 of 100           42 rounds/s");
    }
}
