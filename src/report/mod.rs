//! What we say about a run: a summary for the terminal, one HTML page, charts as SVG or PNG.
//!
//! In: a record and the files beside it. Out: text and bytes. Never measures, judges or prints; knows nothing of how the
//! run was driven.

mod charts;
mod compared;
mod explain;
mod export;
mod gated;
mod html;
mod numbers;
mod placement;
mod table;
mod terminal;

pub use charts::{ChartError, png};
pub use compared::compared;
pub use explain::explain;
pub use export::{bencher, benchmark, csv, junit, openmetrics};
pub use gated::{gated, gated_junit, gated_markdown};
pub use html::{Grid, Mood, Price, Section, Sheet, Study, StudyCell, compared_page, page, sheet_page, study_page};
pub use numbers::count;
pub use placement::placement;
pub use table::Table;
pub use terminal::{Style, summary};

use crate::measure::Outcome;
use crate::measure::process::Usage;
use crate::record::{FileKind, Folder, RecordError, RunRecord};
use crate::units::Time;

/// Name of the page in a result.
pub const PAGE: &str = "report.html";

/// Completes a result: measurements, page, final record. On a full disk the record alone remains, and says so.
///
/// `start` is when the first change was intended, on the clock of the readings; `scenario` the effective one.
///
/// # Errors
/// When not even the record can be written; then the partial one of the beginning stays.
pub fn deliver(
    mut folder: Folder,
    record: RunRecord,
    outcome: &Outcome,
    usages: &[&Usage],
    start: Time,
    scenario: &str,
) -> Result<RunRecord, RecordError> {
    let mut write = || -> Result<(), RecordError> {
        folder.write_measurements(outcome, usages, start, scenario)?;
        let stored = folder.stored(record.clone())?;
        folder.write(PAGE, FileKind::Report, page(&stored).as_bytes())
    };
    match write() {
        Ok(()) => folder.close(record),
        Err(RecordError::DiskFull(_)) => folder.close_full(record),
        Err(error) => Err(error),
    }
}
