//! What several commands print alike: documents as JSON and YAML, records as people read them.

use super::Failure;
use crate::record::RunRecord;
use crate::report::{self, Style};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

/// Indented JSON with a newline at its end.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::from)? + "\n")
}

/// YAML.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_saphyr::to_string(value).map_err(std::io::Error::other)?)
}

/// What a record says.
pub(super) fn record(record: &RunRecord, output: Output, style: Style) -> Result<String, Failure> {
    match output {
        Output::Table => Ok(report::summary(record, style)),
        Output::Json => json(record),
        Output::Yaml => yaml(record),
    }
}

/// To standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Colours for people at a terminal who did not ask for none (no-color.org).
pub(super) fn style(to_stdout: bool) -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style { colour: to_stdout && !refused && std::io::stdout().is_terminal() }
}
