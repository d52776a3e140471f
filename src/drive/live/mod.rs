//! Live runs: processes, the measuring pipe, the driver of changes.
