//! What to run: YAML in, a validated [`Scenario`] out, all errors at once with line, column and a hint.
//!
//! Two stages: what was written (`spec`, the file format) and what it means (`model`, every default filled in and every
//! reference resolved). Everything behind the scenario works on the meaning alone.
//!
//! ```text
//! text -> tree (places) + --set -> shape (schema) -> spec -> rules (cross-field) -> resolve -> Scenario
//! ```
//!
//! A problem never hides another: what a stage refuses is left out or stood in for, the later stages go on, and only what
//! they find about values that were damaged this way is dropped. Nothing here touches the world but [`load()`].

mod errors;
mod explain;
mod future;
pub mod import;
mod load;
mod model;
mod resolve;
mod rules;
mod schema;
mod set;
mod shape;
mod spec;
#[cfg(test)]
mod tests;
mod tree;

pub use errors::{Errors, Problem, Severity};
pub use explain::{Topic, find, topics, topics_of};
pub use load::{load, read};
pub use model::*;
pub use schema::schema;

use errors::{Finding, Source};
use std::sync::Arc;
use tree::{At, Node};

/// A commented scenario to start from. It passes every check.
pub const TEMPLATE: &str = include_str!("template.yaml");

/// Reads a scenario from `text`, called `name` in messages, with the overrides of `--set`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, name: &str, sets: &[String]) -> Result<Scenario, Errors> {
    let (scenario, problems) = examine(text, name, sets);
    scenario.ok_or(Errors { problems })
}

/// Like [`parse`], but warnings come along with a good scenario. Without a scenario there is at least one error.
#[must_use]
pub fn examine(text: &str, name: &str, sets: &[String]) -> (Option<Scenario>, Vec<Problem>) {
    let source = |name: &str, text: &str| Arc::new(miette::NamedSource::new(name, text.to_owned()));
    let mut sources: Vec<Source> = vec![source(name, text)];
    sources.extend(sets.iter().map(|set| source("--set", set)));
    let mut problems = Vec::new();

    let (root, malformed) = tree::parse(text, 0);
    for error in malformed {
        let finding = Finding { hint: error.hint.map(str::to_owned), ..Finding::error("yaml", &[], error.message) };
        problems.push(Problem::new(finding, error.at, &sources));
    }
    let mut scenario = None;
    if let Some(mut root) = root {
        for (index, set) in sets.iter().enumerate() {
            if let Err(finding) = set::apply(&mut root, set, index + 1) {
                problems.push(Problem::new(finding, At { source: index + 1, start: 0, end: set.len() }, &sources));
            }
        }
        let findings;
        (scenario, findings) = judge(&root, sets);
        problems.extend(findings.into_iter().map(|finding| {
            let at = root.locate(&finding.path, finding.of_key);
            Problem::new(finding, at, &sources)
        }));
    }
    problems.sort_by_key(Problem::order);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        scenario = None;
    }
    (scenario, problems)
}

/// The stages behind the tree.
fn judge(root: &Node, sets: &[String]) -> (Option<Scenario>, Vec<Finding>) {
    let shaped = shape::check(root, schema::inline());
    let mut findings = shaped.findings;
    let file: spec::File = match serde_json::from_value(shaped.json) {
        Ok(file) => file,
        Err(error) => {
            // The schema is made from the types, so this says something only when shape errors came before.
            if findings.is_empty() {
                findings.push(Finding::error("shape", &[], error.to_string()));
            }
            return (None, findings);
        }
    };
    let contradictions = rules::check(&file.spec).into_iter();
    findings.extend(contradictions.filter(|finding| !finding.rests_on(&shaped.damaged)));
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return (None, findings);
    }
    (Some(resolve::meaning(file, sets)), findings)
}
