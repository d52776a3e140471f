//! How a long run shows that it goes on: a bar on a terminal, a line now and then elsewhere.
//!
//! In: progress some times per second. Out: text on standard error.

use crate::measure::Progress;
use crate::units::Span;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Between two plain lines: often enough to see life in the log of a CI job, seldom enough to read it.
const LINE_EVERY: Span = Span::from_secs(5);
/// The first one comes sooner: it says that all is well.
const FIRST_LINE: Span = Span::from_secs(1);

/// Where progress goes.
pub(super) enum Screen {
    Quiet,
    Bar(ProgressBar, Rate),
    Lines { next: Span, rate: Rate },
}

/// Healthy apps per second over the last readings, for the time left.
pub(super) struct Rate {
    past: std::collections::VecDeque<(Span, u64)>,
}

/// Readings of the rate: about five seconds.
const READINGS: usize = 25;

impl Rate {
    fn new() -> Self {
        Self { past: std::collections::VecDeque::with_capacity(READINGS) }
    }

    /// Changes finished per second.
    fn take(&mut self, since: Span, finished: u64) -> f64 {
        if self.past.len() == READINGS {
            self.past.pop_front();
        }
        self.past.push_back((since, finished));
        let Some((first, before)) = self.past.front() else { return 0.0 };
        let seconds = since.as_secs_f64() - first.as_secs_f64();
        if seconds > 0.0 { finished.saturating_sub(*before) as f64 / seconds } else { 0.0 }
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
        let bar = ProgressBar::new(0);
        // A template of ours: it cannot be malformed, and without it the default bar will do.
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:32}] {pos}/{len} changes  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(format!("starting (gives up after {timeout})"));
        Self::Bar(bar, Rate::new())
    }

    /// Shows how it goes, `since` the first change.
    pub(super) fn show(&mut self, progress: &Progress, since: Span) {
        let done = progress.finished + progress.superseded + progress.abandoned;
        match self {
            Self::Quiet => {}
            Self::Bar(bar, rate) => {
                let per_second = rate.take(since, done);
                bar.set_length(progress.changes);
                bar.set_position(done);
                bar.set_message(told(progress, per_second));
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
        if let Self::Bar(bar, _) = self {
            bar.finish_and_clear();
        }
    }
}

fn told(progress: &Progress, per_second: f64) -> String {
    let left =
        if per_second > 0.0 { format!(", {:.0} s left", progress.open() as f64 / per_second) } else { String::new() };
    format!("{}/{} apps healthy, {per_second:.0} changes/s{left}", progress.healthy, progress.apps)
}
