//! From tokens to a tree, with the macros taken apart (`cel-go/parser`).
//!
//! Positions are those that cel-go reports: of an operator, a point or an opening bracket.

use super::lex::{Kind, Token, Unread, tokens};
use std::sync::Arc;

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Expr {
    /// Where it stands, in characters.
    pub(super) at: usize,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    Name(String),
    Select {
        of: Box<Expr>,
        field: String,
        test: bool,
        optional: bool,
    },
    Call {
        name: String,
        of: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    /// Items, and whether each is left out if there is none.
    List(Vec<(Expr, bool)>),
    Map(Vec<(Expr, Expr, bool)>),
    Each(Box<Each>),
}

/// A macro over the items of a list or the entries of a map.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) what: What,
    pub(super) over: Expr,
    pub(super) var: String,
    pub(super) second: Option<String>,
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    All,
    Exists,
    One,
    Filter,
    Map,
    /// To a map with the same keys.
    Entries,
    /// `optMap` and `optFlatMap`: the value of an optional, if there is one.
    Some {
        flat: bool,
    },
}

/// Deepest nesting that is read (`cel-go` allows 250).
const DEPTH_MAX: usize = 150;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expr, Unread> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        Kind::End => Ok(expr),
        _ => Err(parser.unexpected("<EOF>")),
    }
}

fn call(at: usize, name: &str, args: Vec<Expr>) -> Expr {
    Expr { at, node: Node::Call { name: name.to_owned(), of: None, args } }
}

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn here(&self) -> usize {
        self.tokens[self.at].at
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(known) if *known == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), Unread> {
        if self.take(sign) {
            return Ok(());
        }
        match self.peek() {
            Kind::End => Err((self.here(), format!("Syntax error: missing '{sign}' at '<EOF>'"))),
            _ => Err(self.unexpected(&format!("'{sign}'"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> Unread {
        let found = match self.peek() {
            Kind::End => "<EOF>".to_owned(),
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::Name(name) => name.clone(),
            Kind::Int(number) => number.to_string(),
            Kind::Uint(number) => format!("{number}u"),
            Kind::Double(number) => number.to_string(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Bytes(_) => "b\"\"".to_owned(),
        };
        (self.here(), format!("Syntax error: mismatched input '{found}' expecting {wanted}"))
    }

    fn expr(&mut self) -> Result<Expr, Unread> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((self.here(), "expression recursion limit exceeded".to_owned()));
        }
        let condition = self.either()?;
        let at = self.here();
        let whole = if self.take("?") {
            let then = self.either()?;
            self.need(":")?;
            let other = self.expr()?;
            call(at, "_?_:_", vec![condition, then, other])
        } else {
            condition
        };
        self.depth -= 1;
        Ok(whole)
    }

    /// Operators of one strength, from the left.
    fn chain(&mut self, signs: &[(&str, &str)], inner: fn(&mut Self) -> Result<Expr, Unread>) -> Result<Expr, Unread> {
        let mut left = inner(self)?;
        loop {
            let at = self.here();
            let Some((_, name)) = signs.iter().find(|(sign, _)| self.take_operator(sign)) else { return Ok(left) };
            let right = inner(self)?;
            left = call(at, name, vec![left, right]);
        }
    }

    fn take_operator(&mut self, sign: &str) -> bool {
        if sign == "in" {
            let found = matches!(self.peek(), Kind::Name(name) if name == "in");
            self.at += usize::from(found);
            return found;
        }
        self.take(sign)
    }

    fn either(&mut self) -> Result<Expr, Unread> {
        self.chain(&[("||", "_||_")], Self::both)
    }

    fn both(&mut self) -> Result<Expr, Unread> {
        self.chain(&[("&&", "_&&_")], Self::relation)
    }

    fn relation(&mut self) -> Result<Expr, Unread> {
        const SIGNS: [(&str, &str); 7] =
            [("==", "_==_"), ("!=", "_!=_"), ("<=", "_<=_"), (">=", "_>=_"), ("<", "_<_"), (">", "_>_"), ("in", "@in")];
        self.chain(&SIGNS, Self::sum)
    }

    fn sum(&mut self) -> Result<Expr, Unread> {
        self.chain(&[("+", "_+_"), ("-", "_-_")], Self::product)
    }

    fn product(&mut self) -> Result<Expr, Unread> {
        self.chain(&[("*", "_*_"), ("/", "_/_"), ("%", "_%_")], Self::unary)
    }

    fn unary(&mut self) -> Result<Expr, Unread> {
        let at = self.here();
        for (sign, name) in [("!", "!_"), ("-", "-_")] {
            let mut times = 0;
            while self.take(sign) {
                times += 1;
            }
            if times > 0 {
                let inner = self.member()?;
                return Ok(match (&inner.node, sign) {
                    (Node::Int(number), "-") if times % 2 == 1 => Expr { at, node: Node::Int(number.wrapping_neg()) },
                    (Node::Double(number), "-") if times % 2 == 1 => Expr { at, node: Node::Double(-number) },
                    _ if times % 2 == 0 => inner,
                    _ => call(at, name, vec![inner]),
                });
            }
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expr, Unread> {
        let mut of = self.primary()?;
        loop {
            let at = self.here();
            if self.take(".?") {
                let field = self.name()?;
                of = Expr { at, node: Node::Select { of: of.into(), field, test: false, optional: true } };
            } else if self.take(".") {
                let field = self.name()?;
                let open = self.here();
                of = if self.take("(") {
                    let args = self.list_of(")")?;
                    expand(Expr { at: open, node: Node::Call { name: field, of: Some(of.into()), args } })?
                } else {
                    Expr { at, node: Node::Select { of: of.into(), field, test: false, optional: false } }
                };
            } else if self.is("[") || self.is("[?") {
                let name = if self.take("[?") {
                    "_[?_]"
                } else {
                    self.at += 1;
                    "_[_]"
                };
                let index = self.expr()?;
                self.need("]")?;
                of = call(at, name, vec![of, index]);
            } else {
                return Ok(of);
            }
        }
    }

    fn name(&mut self) -> Result<String, Unread> {
        match self.peek().clone() {
            Kind::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("IDENTIFIER")),
        }
    }

    fn list_of(&mut self, end: &str) -> Result<Vec<Expr>, Unread> {
        let mut items = Vec::new();
        while !self.take(end) {
            if !items.is_empty() {
                self.need(",")?;
            }
            items.push(self.expr()?);
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Expr, Unread> {
        const ANY: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
        let at = self.here();
        let node = match self.peek().clone() {
            Kind::Int(number) => Node::Int(number),
            Kind::Uint(number) => Node::Uint(number),
            Kind::Double(number) => Node::Double(number),
            Kind::Text(text) => Node::Text(text.into()),
            Kind::Bytes(bytes) => Node::Bytes(bytes.into()),
            Kind::Name(name) => match name.as_str() {
                "null" => Node::Null,
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "in" => return Err(self.unexpected(ANY)),
                _ => return self.named(at, name),
            },
            Kind::Sign("(") => {
                self.at += 1;
                let inner = self.expr()?;
                self.need(")")?;
                return Ok(inner);
            }
            Kind::Sign("[" | "[?") => return self.list(at),
            Kind::Sign("{" | "{?") => return self.map(at),
            Kind::Sign(".") => {
                self.at += 1;
                let name = self.name()?;
                self.at -= 1;
                return self.named(at, name);
            }
            _ => return Err(self.unexpected(ANY)),
        };
        self.at += 1;
        Ok(Expr { at, node })
    }

    fn named(&mut self, at: usize, name: String) -> Result<Expr, Unread> {
        self.at += 1;
        let open = self.here();
        if !self.take("(") {
            return Ok(Expr { at, node: Node::Name(name) });
        }
        let args = self.list_of(")")?;
        expand(Expr { at: open, node: Node::Call { name, of: None, args } })
    }

    fn list(&mut self, at: usize) -> Result<Expr, Unread> {
        let mut items = Vec::new();
        let mut optional = self.is("[?");
        self.at += 1;
        while !self.take("]") {
            if !items.is_empty() {
                self.need(",")?;
                if self.take("]") {
                    break;
                }
                optional = self.take("?");
            }
            items.push((self.expr()?, optional));
        }
        Ok(Expr { at, node: Node::List(items) })
    }

    fn map(&mut self, at: usize) -> Result<Expr, Unread> {
        let mut entries = Vec::new();
        let mut optional = self.is("{?");
        self.at += 1;
        while !self.take("}") {
            if !entries.is_empty() {
                self.need(",")?;
                if self.take("}") {
                    break;
                }
                optional = self.take("?");
            }
            let key = self.expr()?;
            self.need(":")?;
            entries.push((key, self.expr()?, optional));
        }
        Ok(Expr { at, node: Node::Map(entries) })
    }
}

/// Takes a call that is a macro apart.
fn expand(expr: Expr) -> Result<Expr, Unread> {
    let at = expr.at;
    let Node::Call { name, of, mut args } = expr.node else { return Ok(expr) };
    if name == "has" && of.is_none() && args.len() == 1 {
        return match args.remove(0) {
            Expr { at: inner, node: Node::Select { of, field, optional, .. } } => {
                Ok(Expr { at: inner, node: Node::Select { of, field, test: true, optional } })
            }
            other => Err((other.at, "invalid argument to has() macro".to_owned())),
        };
    }
    let (over, (what, vars, filtered)) = match (of, each(&name, args.len())) {
        (Some(over), Some(shape)) => (over, shape),
        (of, _) => return Ok(Expr { at, node: Node::Call { name, of, args } }),
    };
    let mut rest = args.split_off(vars);
    let mut names = args.into_iter().map(|var| match var.node {
        Node::Name(name) => Ok(name),
        _ => Err((var.at, "argument must be a simple name".to_owned())),
    });
    let var = names.next().transpose()?.unwrap_or_default();
    let second = names.next().transpose()?;
    drop(names);
    let filter = if filtered { Some(rest.remove(0)) } else { None };
    let body = rest.remove(0);
    Ok(Expr { at, node: Node::Each(Box::new(Each { what, over: *over, var, second, filter, body })) })
}

/// What a macro does, how many names it takes, and whether it has a filter.
fn each(name: &str, args: usize) -> Option<(What, usize, bool)> {
    Some(match (name, args) {
        ("all", 2) => (What::All, 1, false),
        ("all", 3) => (What::All, 2, false),
        ("exists", 2) => (What::Exists, 1, false),
        ("exists", 3) => (What::Exists, 2, false),
        ("exists_one" | "existsOne", 2) => (What::One, 1, false),
        ("existsOne", 3) => (What::One, 2, false),
        ("filter", 2) => (What::Filter, 1, false),
        ("map", 2) => (What::Map, 1, false),
        ("map", 3) => (What::Map, 1, true),
        ("transformList", 3) => (What::Map, 2, false),
        ("transformList", 4) => (What::Map, 2, true),
        ("transformMap", 3) => (What::Entries, 2, false),
        ("transformMap", 4) => (What::Entries, 2, true),
        ("optMap", 2) => (What::Some { flat: false }, 1, false),
        ("optFlatMap", 2) => (What::Some { flat: true }, 1, false),
        _ => return None,
    })
}
