//! Runs an expression, and stops it when it costs too much.

use super::check::{dotted, namespaced};
use super::library;
use super::parse::{Each, Expr, Node, What};
use super::value::{Outcome, Stop, Text, Val, error, joined};
use std::rc::Rc;

/// One run of one expression.
pub(super) struct Run<'a> {
    /// The given variables, and those of macros around.
    names: Vec<(&'a str, Val<'a>)>,
    /// What may still be spent: one for each node, and more for long texts and lists.
    left: u64,
}

/// Runs an expression over variables. Gives what is left of the budget as well.
pub(super) fn run<'a>(expr: &'a Expr, names: Vec<(&'a str, Val<'a>)>, budget: u64) -> (Outcome<'a>, u64) {
    let mut run = Run { names, left: budget };
    let outcome = run.of(expr);
    (outcome, run.left)
}

fn no_overload<T>() -> Result<T, Stop> {
    error("no such overload")
}

impl<'a> Run<'a> {
    fn spend(&mut self, cost: u64) -> Result<(), Stop> {
        let enough = self.left >= cost;
        self.left = self.left.saturating_sub(cost);
        if enough { Ok(()) } else { Err(Stop::TooMuch) }
    }

    fn of(&mut self, expr: &'a Expr) -> Outcome<'a> {
        self.spend(1)?;
        Ok(match &expr.node {
            Node::Null => Val::Null,
            Node::Bool(truth) => Val::Bool(*truth),
            Node::Int(number) => Val::Int(*number),
            Node::Uint(number) => Val::Uint(*number),
            Node::Double(number) => Val::Double(*number),
            Node::Text(text) => Val::Text(Text::Borrowed(text)),
            Node::Bytes(bytes) => Val::Bytes(bytes.to_vec().into()),
            Node::Name(name) => return self.name(name),
            Node::Select { of, field, test, optional } => return self.select(expr, of, field, *test, *optional),
            Node::Call { name, of, args } => return self.call(name, of.as_deref(), args),
            Node::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    match (self.of(item)?, optional) {
                        (Val::Optional(inner), true) => list.extend(inner.map(|inner| (*inner).clone())),
                        (value, _) => list.push(value),
                    }
                }
                Val::List(Rc::new(list))
            }
            Node::Map(entries) => {
                let mut map: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
                for (key, value, optional) in entries {
                    let key = self.of(key)?;
                    match (self.of(value)?, optional) {
                        (Val::Optional(inner), true) => map.extend(inner.map(|inner| (key, (*inner).clone()))),
                        (value, _) => map.push((key, value)),
                    }
                }
                Val::Map(Rc::new(map))
            }
            Node::Each(each) => return self.each(each),
        })
    }

    fn name(&self, name: &str) -> Outcome<'a> {
        match self.names.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Ok(Val::Kind(name.to_owned())),
        }
    }

    fn select(&mut self, expr: &'a Expr, of: &'a Expr, field: &str, test: bool, optional: bool) -> Outcome<'a> {
        if matches!(field, "Timestamp" | "Duration" | "IP" | "CIDR")
            && let Some(name @ ("google.protobuf.Timestamp" | "google.protobuf.Duration" | "net.IP" | "net.CIDR")) =
                dotted(expr).as_deref()
        {
            return Ok(Val::Kind(name.to_owned()));
        }
        let mut whole = self.of(of)?;
        let lifted = match &whole {
            Val::Optional(None) if test => return Ok(Val::Bool(false)),
            Val::Optional(None) => return Ok(whole),
            Val::Optional(Some(inner)) => {
                whole = (**inner).clone();
                true
            }
            _ => false,
        };
        let found = whole.field(field).transpose()?;
        if test {
            return Ok(Val::Bool(found.is_some()));
        }
        match (found, optional || lifted) {
            (Some(value), true) => Ok(Val::Optional(Some(Rc::new(value)))),
            (None, true) => Ok(Val::Optional(None)),
            (Some(value), false) => Ok(value),
            (None, false) => error(format!("no such key: {field}")),
        }
    }

    fn call(&mut self, name: &'a str, of: Option<&'a Expr>, args: &'a [Expr]) -> Outcome<'a> {
        match (name, args) {
            ("_&&_" | "_||_", [left, right]) => return self.logic(name == "_||_", left, right),
            ("_?_:_", [condition, then, other]) => {
                return match self.of(condition)? {
                    Val::Bool(true) => self.of(then),
                    Val::Bool(false) => self.of(other),
                    _ => no_overload(),
                };
            }
            ("or" | "orValue", [other]) if of.is_some() => {
                let Some(Val::Optional(value)) = of.map(|of| self.of(of)).transpose()? else { return no_overload() };
                return match (value, name) {
                    (Some(value), "or") => Ok(Val::Optional(Some(value))),
                    (Some(value), _) => Ok((*value).clone()),
                    (None, _) => self.of(other),
                };
            }
            _ => {}
        }
        let namespaced = of.and_then(|of| namespaced(of, name));
        let mut given = Vec::with_capacity(args.len() + 1);
        if let (Some(of), None) = (of, &namespaced) {
            given.push(self.of(of)?);
        }
        for arg in args {
            given.push(self.of(arg)?);
        }
        // What goes through its arguments pays for their length (cel-go: a tenth of the characters, all of a list).
        let long = given.iter().filter_map(Val::len).sum::<usize>() as u64;
        self.spend(long / 10)?;
        self.apply(namespaced.as_deref().unwrap_or(name), &given)
    }

    /// One side may fail if the other one settles it.
    fn logic(&mut self, settles: bool, left: &'a Expr, right: &'a Expr) -> Outcome<'a> {
        let truth = |outcome: Outcome<'a>| match outcome {
            Ok(Val::Bool(truth)) => Ok(truth),
            Ok(_) => no_overload(),
            Err(stop) => Err(stop),
        };
        let first = truth(self.of(left));
        match first {
            Ok(truth) if truth == settles => return Ok(Val::Bool(settles)),
            Err(Stop::TooMuch) => return Err(Stop::TooMuch),
            _ => {}
        }
        match (first, truth(self.of(right))) {
            (_, Ok(truth)) if truth == settles => Ok(Val::Bool(settles)),
            (_, Err(Stop::TooMuch)) => Err(Stop::TooMuch),
            (Err(stop), _) | (_, Err(stop)) => Err(stop),
            _ => Ok(Val::Bool(!settles)),
        }
    }

    fn apply(&mut self, name: &str, given: &[Val<'a>]) -> Outcome<'a> {
        match (name, given) {
            ("_==_", [a, b]) => a.equals(b).map(Val::Bool),
            ("_!=_", [a, b]) => a.equals(b).map(|same| Val::Bool(!same)),
            ("!_", [Val::Bool(truth)]) => Ok(Val::Bool(!truth)),
            ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
                let Some(order) = a.compare(b) else { return no_overload() };
                Ok(Val::Bool(match name {
                    "_<_" => order.is_lt(),
                    "_<=_" => order.is_le(),
                    "_>_" => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            ("_+_", [a, b]) if a.items().is_some() => joined(a, b).unwrap_or_else(no_overload),
            ("@in", [item, list]) => match (list.items(), list.len()) {
                (Some(items), _) => {
                    let items = items?;
                    self.spend(items.len() as u64)?;
                    items.iter().try_fold(false, |found, one| Ok(found || one.equals(item)?)).map(Val::Bool)
                }
                (None, Some(_)) if !matches!(list, Val::Text(_) | Val::Bytes(_)) => {
                    list.at(item).map(|found| Val::Bool(found.is_some()))
                }
                _ => no_overload(),
            },
            ("_[_]" | "_[?_]", [of, key]) => index(of, key, name == "_[?_]"),
            ("size", [of]) => {
                of.len().map_or_else(no_overload, |len| Ok(Val::Int(i64::try_from(len).unwrap_or(i64::MAX))))
            }
            _ => library::call(name, given).unwrap_or_else(no_overload),
        }
    }

    fn each(&mut self, each: &'a Each) -> Outcome<'a> {
        let over = self.of(&each.over)?;
        if let What::Some { flat } = each.what {
            let Val::Optional(inner) = over else { return no_overload() };
            let Some(inner) = inner else { return Ok(Val::Optional(None)) };
            let value = self.with(each, (*inner).clone(), None, &each.body)?;
            return Ok(if flat { value } else { Val::Optional(Some(Rc::new(value))) });
        }
        let two = each.second.is_some();
        let pairs: Vec<(Val<'a>, Option<Val<'a>>)> = match (over.items(), over.entries()) {
            (Some(items), _) if two => (0..).zip(items?).map(|(at, item)| (Val::Int(at), Some(item))).collect(),
            (Some(items), _) => items?.into_iter().map(|item| (item, None)).collect(),
            (None, Some(entries)) => entries?.into_iter().map(|(key, value)| (key, two.then_some(value))).collect(),
            _ => return no_overload(),
        };
        self.over(each, pairs)
    }

    fn over(&mut self, each: &'a Each, pairs: Vec<(Val<'a>, Option<Val<'a>>)>) -> Outcome<'a> {
        let (mut out, mut map, mut matching) = (Vec::new(), Vec::new(), 0);
        let mut failed = None;
        for (first, second) in pairs {
            if let Some(filter) = &each.filter
                && !self.truth(each, first.clone(), second.clone(), filter)?
            {
                continue;
            }
            match each.what {
                What::All | What::Exists => match self.truth(each, first, second, &each.body) {
                    Ok(truth) if truth == (each.what == What::Exists) => return Ok(Val::Bool(truth)),
                    Ok(_) => {}
                    Err(Stop::TooMuch) => return Err(Stop::TooMuch),
                    // A later item may settle it all the same.
                    Err(stop) => failed = failed.or(Some(stop)),
                },
                What::One => matching += usize::from(self.truth(each, first, second, &each.body)?),
                What::Filter => {
                    if self.truth(each, first.clone(), second, &each.body)? {
                        out.push(first);
                    }
                }
                What::Entries => {
                    let value = self.with(each, first.clone(), second, &each.body)?;
                    map.push((first, value));
                }
                What::Map | What::Some { .. } => out.push(self.with(each, first, second, &each.body)?),
            }
        }
        match (failed, each.what) {
            (Some(stop), _) => Err(stop),
            (None, What::All) => Ok(Val::Bool(true)),
            (None, What::Exists) => Ok(Val::Bool(false)),
            (None, What::One) => Ok(Val::Bool(matching == 1)),
            (None, What::Entries) => Ok(Val::Map(Rc::new(map))),
            (None, _) => Ok(Val::List(Rc::new(out))),
        }
    }

    fn with(&mut self, each: &'a Each, first: Val<'a>, second: Option<Val<'a>>, expr: &'a Expr) -> Outcome<'a> {
        let before = self.names.len();
        self.names.push((&each.var, first));
        if let (Some(name), Some(value)) = (&each.second, second) {
            self.names.push((name, value));
        }
        let outcome = self.of(expr);
        self.names.truncate(before);
        outcome
    }

    fn truth(&mut self, each: &'a Each, first: Val<'a>, second: Option<Val<'a>>, expr: &'a Expr) -> Result<bool, Stop> {
        match self.with(each, first, second, expr)? {
            Val::Bool(truth) => Ok(truth),
            _ => no_overload(),
        }
    }
}

fn index<'a>(of: &Val<'a>, key: &Val<'a>, optional: bool) -> Outcome<'a> {
    let (of, lifted) = match of {
        Val::Optional(None) => return Ok(Val::Optional(None)),
        Val::Optional(Some(inner)) => (&**inner, true),
        other => (other, false),
    };
    let found = of.at(key)?;
    match (found, optional || lifted) {
        (found, true) => Ok(Val::Optional(found.map(Rc::new))),
        (Some(value), false) => Ok(value),
        (None, false) => match key {
            Val::Int(at) if of.items().is_some() => error(format!("index out of bounds: {at}")),
            Val::Text(key) => error(format!("no such key: {}", &**key)),
            Val::Int(key) => error(format!("no such key: {key}")),
            _ => no_overload(),
        },
    }
}
