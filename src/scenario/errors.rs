//! Everything that is wrong with a scenario, each with its place.

use super::tree::At;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use std::fmt;
use std::sync::Arc;

/// All problems of one scenario, in the order of the file.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Errors {
    /// Errors and warnings; at least one is an error.
    pub problems: Vec<Problem>,
}

/// One problem.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// The file as the user named it, or `--set`.
    pub file: String,
    /// First line, from 1; 0 when there is no text to point at.
    pub line: usize,
    /// First column in characters, from 1.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// The column behind the last character.
    pub end_column: usize,
    /// Which value: `spec.addons.0.name`.
    pub path: String,
    /// Whether it forbids a run.
    pub severity: Severity,
    /// A fixed word for the kind of problem.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// 0 for the file, then the overrides.
    #[serde(skip)]
    ordinal: usize,
    #[serde(skip)]
    source: Option<Source>,
    #[serde(skip)]
    span: SourceSpan,
}

/// Whether a problem forbids a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does.
    Error,
    /// The run is possible but probably not what was meant.
    Warning,
}

/// A text that problems point into.
pub(super) type Source = Arc<NamedSource<String>>;

/// A problem before it knows lines and columns.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) path: Vec<String>,
    /// The key itself is wrong, not its value.
    pub(super) of_key: bool,
    /// Other values that the finding rests on.
    pub(super) about: Vec<Vec<String>>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn error(code: &'static str, path: &[String], message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, message.into());
        Self { severity, code, path: path.to_vec(), of_key: false, about: Vec::new(), message, hint: None }
    }

    pub(super) fn warning(code: &'static str, path: &[String], message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    /// Names a value that the finding rests on besides its own. `*` stands for every entry of a list, `**` at the end for
    /// everything below.
    pub(super) fn about(mut self, path: &str) -> Self {
        self.about.push(path.split('.').map(str::to_owned).collect());
        self
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn of_key(self) -> Self {
        Self { of_key: true, ..self }
    }

    /// Whether it rests on a value that is not what was written.
    pub(super) fn rests_on(&self, damaged: &[Vec<String>]) -> bool {
        let same = |a: &[String], b: &[String]| a.iter().zip(b).all(|(a, b)| a == b || a == "*" || a == "**");
        let deep = |path: &[String]| path.last().is_some_and(|last| last == "**");
        damaged.iter().any(|damage| {
            let of_about = |path: &Vec<String>| same(path, damage) && (damage.len() <= path.len() || deep(path));
            same(&self.path, damage) || self.about.iter().any(of_about)
        })
    }
}

impl Problem {
    /// A problem at a place of one of the sources.
    pub(super) fn new(finding: Finding, at: At, sources: &[Source]) -> Self {
        let source = &sources[at.source];
        let text = source.inner();
        let (line, column) = position(text, at.start);
        let (end_line, end_column) = position(text, at.end.max(at.start));
        Self {
            file: source.name().to_owned(),
            line,
            column,
            end_line,
            end_column,
            path: finding.path.join("."),
            severity: finding.severity,
            code: finding.code,
            message: finding.message,
            hint: finding.hint,
            ordinal: at.source,
            source: Some(Arc::clone(source)),
            span: (at.start, at.end.saturating_sub(at.start)).into(),
        }
    }

    /// In the order of the file, overrides behind it.
    pub(super) const fn order(&self) -> (usize, usize, usize) {
        (self.ordinal, self.line, self.column)
    }

    /// A problem of a file that gave no text.
    pub(super) fn of_file(file: &str, message: String, hint: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            path: String::new(),
            severity: Severity::Error,
            code: "unreadable",
            message,
            hint: Some(hint.to_owned()),
            ordinal: 0,
            source: None,
            span: (0, 0).into(),
        }
    }
}

/// Line and column of a byte, both from 1, columns in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        let plural = if errors == 1 { "" } else { "s" };
        write!(f, "{errors} error{plural} in the scenario")
    }
}

impl Diagnostic for Errors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| -> &dyn Diagnostic { problem })))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| -> Box<dyn fmt::Display> { Box::new(hint) })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| -> &dyn SourceCode { source })
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.is_some().then(|| -> Box<dyn Iterator<Item = LabeledSpan>> {
            Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, self.span)))
        })
    }
}
