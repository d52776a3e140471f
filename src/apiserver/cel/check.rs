//! Whether an expression fits the types of what it talks about, in the words of cel-go's checker.

use super::parse::{Each, Expr, Node, What};
use super::signatures::{Signature, signatures};
use super::types::{ListType, Type};
use std::sync::Arc;

/// What is wrong, and where, in characters.
pub(super) type Issue = (usize, String);

/// What the checker found out.
pub(super) struct Checked {
    pub(super) result: Type,
    pub(super) issues: Vec<Issue>,
    /// Names of the given variables that the expression uses.
    pub(super) uses: Vec<String>,
}

struct Checker<'a> {
    given: &'a [(&'a str, Type)],
    own: Vec<(String, Type)>,
    issues: Vec<Issue>,
    uses: Vec<String>,
}

/// Checks an expression over the given variables.
pub(super) fn check(expr: &Expr, given: &[(&str, Type)]) -> Checked {
    let mut checker = Checker { given, own: Vec::new(), issues: Vec::new(), uses: Vec::new() };
    let result = checker.of(expr);
    Checked { result, issues: checker.issues, uses: checker.uses }
}

/// A name with points, if an expression is one.
pub(super) fn dotted(expr: &Expr) -> Option<String> {
    match &expr.node {
        Node::Name(name) => Some(name.clone()),
        Node::Select { of, field, test: false, optional: false } => Some(format!("{}.{field}", dotted(of)?)),
        _ => None,
    }
}

/// The whole name of a function whose first part stands before the point, as in `sets.contains`.
pub(super) fn namespaced(of: &Expr, name: &str) -> Option<String> {
    let Node::Name(prefix) = &of.node else { return None };
    if !matches!(prefix.as_str(), "strings" | "sets" | "lists" | "optional" | "format" | "ip") {
        return None;
    }
    let whole = format!("{prefix}.{name}");
    signatures().contains_key(&whole).then_some(whole)
}

impl Checker<'_> {
    fn wrong(&mut self, at: usize, why: String) -> Type {
        self.issues.push((at, why));
        Type::Dyn
    }

    fn of(&mut self, expr: &Expr) -> Type {
        match &expr.node {
            Node::Null => Type::Null,
            Node::Bool(_) => Type::Bool,
            Node::Int(_) => Type::Int,
            Node::Uint(_) => Type::Uint,
            Node::Double(_) => Type::Double,
            Node::Text(_) => Type::Text,
            Node::Bytes(_) => Type::Bytes,
            Node::Name(name) => self.name(expr.at, name),
            Node::Select { of, field, test, optional } => self.select(expr, of, field, *test, *optional),
            Node::Call { name, of, args } => self.call(expr.at, name, of.as_deref(), args),
            Node::List(items) => {
                let mut kind = None;
                for (item, optional) in items {
                    let of = self.of(item);
                    let of = if *optional { inner(&of) } else { of };
                    kind = Some(self.joined(item.at, kind, of));
                }
                Type::list(kind.unwrap_or(Type::Dyn))
            }
            Node::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                for (key, value, optional) in entries {
                    let of = self.of(key);
                    keys = Some(self.joined(key.at, keys, of));
                    let of = self.of(value);
                    let of = if *optional { inner(&of) } else { of };
                    values = Some(self.joined(value.at, values, of));
                }
                Type::map(keys.unwrap_or(Type::Dyn), values.unwrap_or(Type::Dyn))
            }
            Node::Each(each) => self.each(each),
        }
    }

    /// Literals hold one type only (`HomogeneousAggregateLiterals`).
    fn joined(&mut self, at: usize, known: Option<Type>, new: Type) -> Type {
        match known {
            None => new,
            Some(known) if (known == Type::Dyn) == (new == Type::Dyn) && unify(&known, &new, &mut Vec::new()) => known,
            Some(known) => self.wrong(at, format!("expected type '{known}' but found '{new}'")),
        }
    }

    /// An argument; what fills the holes of a text may be of any types.
    fn argument(&mut self, name: &str, arg: &Expr) -> Type {
        match &arg.node {
            Node::List(items) if name == "format" => {
                for (item, _) in items {
                    self.of(item);
                }
                Type::list(Type::Dyn)
            }
            _ => self.of(arg),
        }
    }

    fn name(&mut self, at: usize, name: &str) -> Type {
        if let Some((_, kind)) = self.own.iter().rev().find(|(known, _)| known == name) {
            return kind.clone();
        }
        if let Some((_, kind)) = self.given.iter().find(|(known, _)| *known == name) {
            if !self.uses.iter().any(|known| known == name) {
                self.uses.push(name.to_owned());
            }
            return kind.clone();
        }
        const KINDS: [&str; 10] =
            ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"];
        if KINDS.contains(&name) {
            return Type::Kind;
        }
        self.wrong(at, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn select(&mut self, expr: &Expr, of: &Expr, field: &str, test: bool, optional: bool) -> Type {
        if matches!(
            dotted(expr).as_deref(),
            Some("google.protobuf.Timestamp" | "google.protobuf.Duration" | "optional_type" | "net.IP" | "net.CIDR")
        ) {
            return Type::Kind;
        }
        let whole = self.of(of);
        let lifted = matches!(whole, Type::Optional(_));
        let of = inner(&whole);
        let found = match &of {
            Type::Dyn => Type::Dyn,
            Type::Map(map) => map.1.clone(),
            Type::Object(object) => match object.fields.get(field) {
                Some((_, kind)) => kind.clone(),
                None => self.wrong(expr.at, format!("undefined field '{field}'")),
            },
            other => self.wrong(expr.at, format!("type '{other}' does not support field selection")),
        };
        match (test, optional || lifted) {
            (true, _) => Type::Bool,
            (false, true) => Type::optional(inner(&found)),
            (false, false) => found,
        }
    }

    fn call(&mut self, at: usize, name: &str, of: Option<&Expr>, args: &[Expr]) -> Type {
        // What stands before the point may be the first part of a function's name.
        let namespaced = of.and_then(|of| namespaced(of, name));
        let (name, of) = match &namespaced {
            Some(whole) => (whole.as_str(), None),
            None => (name, of),
        };
        let target = of.map(|of| self.of(of));
        let member = target.is_some();
        let given: Vec<Type> = target.into_iter().chain(args.iter().map(|arg| self.argument(name, arg))).collect();
        let Some(ways) = signatures().get(name) else {
            return self.wrong(at, format!("undeclared reference to '{name}' (in container '')"));
        };
        let results = ways.iter().filter(|way| way.member == member).filter_map(|way| result(way, &given));
        let mut results: Vec<Type> = results.collect();
        results.dedup();
        if name == "matches"
            && let Some(Expr { at, node: Node::Text(pattern) }) = args.last()
            && regex::Regex::new(pattern).is_err()
        {
            let why = "invalid matches argument".to_owned();
            self.issues.push((*at, why));
        }
        match results.len() {
            1 => results.remove(0),
            0 => {
                let shown: Vec<String> = given.iter().map(ToString::to_string).collect();
                let shown = match shown.split_first() {
                    Some((first, rest)) if member => format!("{first}.({})", rest.join(", ")),
                    _ => format!("({})", shown.join(", ")),
                };
                self.wrong(at, format!("found no matching overload for '{name}' applied to '{shown}'"))
            }
            _ => Type::Dyn,
        }
    }

    fn each(&mut self, each: &Each) -> Type {
        let over = self.of(&each.over);
        let (first, second) = match (&over, each.what) {
            (Type::Optional(of), What::Some { .. }) => ((**of).clone(), Type::Dyn),
            (Type::List(list), _) if each.second.is_some() => (Type::Int, list.of.clone()),
            (Type::List(list), _) => (list.of.clone(), Type::Dyn),
            (Type::Map(map), _) => (map.0.clone(), map.1.clone()),
            (Type::Dyn, _) => (Type::Dyn, Type::Dyn),
            (other, _) => {
                let why = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                (self.wrong(each.over.at, why), Type::Dyn)
            }
        };
        let before = self.own.len();
        self.own.push((each.var.clone(), first));
        self.own.extend(each.second.clone().map(|name| (name, second)));
        if let Some(filter) = &each.filter {
            self.truth(filter);
        }
        let result = match each.what {
            What::All => self.truth(&each.body),
            What::Exists => self.truth(&each.body),
            What::One => self.truth(&each.body),
            What::Filter => {
                self.truth(&each.body);
                match &over {
                    Type::List(list) => Type::list(list.of.clone()),
                    Type::Map(map) => Type::list(map.0.clone()),
                    _ => Type::list(Type::Dyn),
                }
            }
            What::Map => Type::list(self.of(&each.body)),
            What::Entries => {
                let key = match &over {
                    Type::Map(map) => map.0.clone(),
                    _ => Type::Int,
                };
                Type::map(key, self.of(&each.body))
            }
            What::Some { flat } => {
                let body = self.of(&each.body);
                Type::optional(if flat { inner(&body) } else { body })
            }
        };
        self.own.truncate(before);
        result
    }

    fn truth(&mut self, expr: &Expr) -> Type {
        let found = self.of(expr);
        if !matches!(found, Type::Bool | Type::Dyn) {
            self.wrong(expr.at, format!("expected type 'bool' but found '{found}'"));
        }
        Type::Bool
    }
}

/// What an optional holds; anything else is itself.
fn inner(kind: &Type) -> Type {
    match kind {
        Type::Optional(of) => (**of).clone(),
        other => other.clone(),
    }
}

/// What a function gives for arguments of these types, if it takes them.
fn result(way: &Signature, given: &[Type]) -> Option<Type> {
    let mut bound = Vec::new();
    let fits = way.params.len() == given.len()
        && way.params.iter().zip(given).all(|(param, given)| unify(param, given, &mut bound));
    fits.then(|| substitute(&way.result, &bound))
}

fn substitute(kind: &Type, bound: &[(char, Type)]) -> Type {
    match kind {
        Type::Any(letter) => {
            bound.iter().find(|(known, _)| known == letter).map_or(Type::Dyn, |(_, kind)| kind.clone())
        }
        Type::List(list) => {
            let (set, keys) = (list.set, list.keys.clone());
            Type::List(Arc::new(ListType { of: substitute(&list.of, bound), set, keys }))
        }
        Type::Map(map) => Type::map(substitute(&map.0, bound), substitute(&map.1, bound)),
        Type::Optional(of) => Type::optional(substitute(of, bound)),
        other => other.clone(),
    }
}

/// Whether a value of type `given` may stand where `param` is expected.
fn unify(param: &Type, given: &Type, bound: &mut Vec<(char, Type)>) -> bool {
    match (param, given) {
        (Type::Any(letter), _) => {
            let known = bound.iter().position(|(known, _)| known == letter);
            let Some(at) = known else {
                bound.push((*letter, given.clone()));
                return true;
            };
            if bound[at].1 == Type::Dyn {
                bound[at].1 = given.clone();
                return true;
            }
            let known = bound[at].1.clone();
            unify(&known, given, bound)
        }
        (Type::Dyn, _) | (_, Type::Dyn) => true,
        (Type::List(a), Type::List(b)) => unify(&a.of, &b.of, bound),
        (Type::Map(a), Type::Map(b)) => unify(&a.0, &b.0, bound) && unify(&a.1, &b.1, bound),
        (Type::Optional(a), Type::Optional(b)) => unify(a, b, bound),
        (Type::Null, Type::Object(_) | Type::Time | Type::Duration | Type::Opaque(_) | Type::Optional(_))
        | (Type::Object(_) | Type::Time | Type::Duration | Type::Opaque(_) | Type::Optional(_), Type::Null) => true,
        (a, b) => a == b,
    }
}
