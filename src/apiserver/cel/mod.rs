//! Expressions in the Common Expression Language, as Kubernetes 1.36 lets definitions and policies use it.
//!
//! In: the text of an expression and the types of its variables; later, values. Out: what is wrong with the text, in the
//! words of cel-go's parser and checker, or a program; then its value or its error. Never: time, state, anything outside
//! of the values. A run has a budget and ends when that is spent.
//!
//! Why of our own: what is on crates.io parses and runs CEL but does not check types, so it cannot refuse a definition
//! as kube-apiserver does (`undefined field`, `found no matching overload`), cannot be stopped by what a run costs, knows
//! no lists that are sets or maps, and comes with two dozen dependencies.
//!
//! Arithmetic: a rule such as `self.min <= self.max` is 5 nodes, some 50 ns each: 0.3 us per object and rule.

mod check;
mod eval;
mod format;
mod lex;
mod library;
mod net;
mod parse;
mod quantity;
mod signatures;
mod time;
mod types;
mod value;

#[cfg(test)]
mod tests;

pub(in crate::apiserver) use types::Type;

use parse::Expr;
use serde_json::Value;
use std::rc::Rc;
use value::{Stop, Val};

/// What one expression may cost at most (`PerCallLimit` in `k8s.io/apiserver/pkg/apis/cel/config.go`).
pub(in crate::apiserver) const CALL_MAX: u64 = 1_000_000;

/// An expression that fits its variables.
#[derive(Debug)]
pub(in crate::apiserver) struct Program {
    expr: Expr,
    result: Type,
    uses: Vec<String>,
}

/// The value of a variable.
#[derive(Clone, Copy, Debug)]
pub(in crate::apiserver) enum Input<'a> {
    /// A part of an object, of a type.
    Value(&'a Value, &'a Type),
    /// The same, perhaps absent, as an optional.
    Maybe(Option<(&'a Value, &'a Type)>),
}

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::apiserver) enum Output {
    /// True or false.
    Truth(bool),
    /// A text.
    Text(String),
    /// Anything else.
    Other,
}

/// Why an expression comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::apiserver) enum Failed {
    /// In the words of cel-go.
    Error(String),
    /// It cost more than it may.
    TooMuch,
}

impl Program {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it, as cel-go prints it.
    pub(in crate::apiserver) fn compile(text: &str, variables: &[(&str, Type)]) -> Result<Self, String> {
        let expr = parse::parse(text).map_err(|issue| shown(text, &[issue]))?;
        let checked = check::check(&expr, variables);
        if !checked.issues.is_empty() {
            return Err(shown(text, &checked.issues));
        }
        Ok(Self { expr, result: checked.result, uses: checked.uses })
    }

    /// The type of its value.
    pub(in crate::apiserver) fn result(&self) -> &Type {
        &self.result
    }

    /// Whether it uses a variable.
    pub(in crate::apiserver) fn uses(&self, name: &str) -> bool {
        self.uses.iter().any(|used| used == name)
    }

    /// Runs it, and takes what it cost off the budget.
    ///
    /// # Errors
    /// Its error, or that the budget is spent.
    pub(in crate::apiserver) fn run<'a>(
        &'a self,
        variables: &[(&'a str, Input<'a>)],
        budget: &mut u64,
    ) -> Result<Output, Failed> {
        Scope::new(variables)?.run(self, budget)
    }
}

/// Variables with their values, for several expressions that build on each other.
#[derive(Debug)]
pub(in crate::apiserver) struct Scope<'a> {
    names: Vec<(&'a str, Val<'a>)>,
    composed: Vec<(&'a str, Result<Val<'a>, Stop>)>,
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Error(why) => Self::Error(why),
            Stop::TooMuch => Self::TooMuch,
        }
    }
}

impl<'a> Scope<'a> {
    /// These variables.
    ///
    /// # Errors
    /// When one of them is not of its type.
    pub(in crate::apiserver) fn new(variables: &[(&'a str, Input<'a>)]) -> Result<Self, Failed> {
        let value = |input: Input<'a>| {
            Ok(match input {
                Input::Value(value, kind) => Val::of(value, kind)?,
                Input::Maybe(None) => Val::Optional(None),
                Input::Maybe(Some((value, kind))) => Val::Optional(Some(Rc::new(Val::of(value, kind)?))),
            })
        };
        let names: Result<Vec<_>, Stop> = variables.iter().map(|(name, input)| Ok((*name, value(*input)?))).collect();
        Ok(Self { names: names?, composed: Vec::new() })
    }

    /// Adds a part to `variables`. If it fails, so does whoever uses it.
    pub(in crate::apiserver) fn compose(&mut self, name: &'a str, program: Result<&'a Program, &str>) {
        let fails = |how: &str, why: &str| Stop::Error(format!("composited variable {name:?} fails to {how}: {why}"));
        let value = match program.map(|program| eval::run(&program.expr, self.names(), CALL_MAX).0) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Stop::Error(why))) => Err(fails("evaluate", &why)),
            Ok(Err(Stop::TooMuch)) => Err(Stop::TooMuch),
            Err(why) => Err(fails("compile", why)),
        };
        self.composed.push((name, value));
    }

    fn names(&self) -> Vec<(&'a str, Val<'a>)> {
        let mut names = self.names.clone();
        if !self.composed.is_empty() {
            names.push(("variables", Val::Composed(Rc::new(self.composed.clone()))));
        }
        names
    }

    /// Runs an expression, and takes what it cost off the budget.
    ///
    /// # Errors
    /// Its error, or that the budget is spent.
    pub(in crate::apiserver) fn run(&self, program: &'a Program, budget: &mut u64) -> Result<Output, Failed> {
        let may = CALL_MAX.min(*budget);
        let (outcome, left) = eval::run(&program.expr, self.names(), may);
        *budget -= may - left;
        Ok(match outcome? {
            Val::Bool(truth) => Output::Truth(truth),
            other => library::text(&other).map_or(Output::Other, |text| Output::Text(text.to_owned())),
        })
    }
}

/// Issues as cel-go prints them: each with its line and a mark below.
fn shown(text: &str, issues: &[(usize, String)]) -> String {
    let mut sorted: Vec<_> = issues.iter().collect();
    sorted.sort_by_key(|(at, _)| *at);
    let one = |(at, why): &(usize, String)| {
        let before: Vec<char> = text.chars().take(*at).collect();
        let row = before.iter().filter(|one| **one == '\n').count();
        let column = before.iter().rev().take_while(|one| **one != '\n').count();
        let line = text.lines().nth(row).unwrap_or_default().replace('\t', " ");
        let wide = |one: char, narrow: char, full: char| if one.len_utf8() > 1 { full } else { narrow };
        let dots: String = line.chars().take(column).map(|one| wide(one, '.', '\u{ff0e}')).collect();
        let mark = line.chars().nth(column).map_or('^', |one| wide(one, '^', '\u{ff3e}'));
        format!("ERROR: <input>:{}:{}: {why}\n | {line}\n | {dots}{mark}", row + 1, column + 1)
    };
    sorted.into_iter().map(one).collect::<Vec<_>>().join("\n")
}
