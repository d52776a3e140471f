//! Label selectors: `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, `k>1`, `k<1`, joined by commas.
//! The grammar is that of `k8s.io/apimachinery/pkg/labels`.

use crate::apiserver::failure::Failure;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTerm {
    /// The label's key.
    pub key: String,
    /// What its value must be.
    pub op: LabelOp,
}

/// What a label's value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelOp {
    /// One of these.
    In(Vec<String>),
    /// Absent or none of these.
    NotIn(Vec<String>),
    /// Present.
    Exists,
    /// Absent.
    Absent,
    /// An integer above this.
    Above(i64),
    /// An integer below this.
    Below(i64),
}

impl LabelTerm {
    /// Whether a label with this value (or absent) satisfies the term.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.op {
            LabelOp::In(allowed) => value.is_some_and(|v| allowed.iter().any(|a| a == v)),
            LabelOp::NotIn(refused) => value.is_none_or(|v| refused.iter().all(|r| r != v)),
            LabelOp::Exists => value.is_some(),
            LabelOp::Absent => value.is_none(),
            LabelOp::Above(bound) => number().is_some_and(|n| n > *bound),
            LabelOp::Below(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    let special = |c: char| "=!<>(),".contains(c);
    while let Some(first) = rest.chars().next() {
        let length = if special(first) {
            if rest.starts_with("==") || rest.starts_with("!=") { 2 } else { 1 }
        } else {
            rest.find(|c: char| special(c) || c.is_whitespace()).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at(length);
        found.push(if special(first) { Token::Sign(token) } else { Token::Word(token) });
        rest = tail.trim_start();
    }
    found
}

/// Reads a label selector; the empty text selects everything.
pub(super) fn parse(text: &str) -> Result<Vec<LabelTerm>, Failure> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens };
    let mut terms = Vec::new();
    if tokens.is_empty() {
        return Ok(terms);
    }
    loop {
        terms.push(reader.term().map_err(|why| unreadable(&why))?);
        match reader.next() {
            None => return Ok(terms),
            Some(Token::Sign(",")) => {}
            Some(other) => {
                return Err(unreadable(&format!("found '{}', expected: ',' or 'end of string'", other.text())));
            }
        }
    }
}

fn unreadable(why: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {why}"))
}

impl Token<'_> {
    const fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Sign(text) => text,
        }
    }
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn term(&mut self) -> Result<LabelTerm, String> {
        match self.next() {
            Some(Token::Sign("!")) => Ok(LabelTerm { key: self.key()?, op: LabelOp::Absent }),
            Some(Token::Word(key)) => {
                let key = checked_key(key)?;
                let op = self.operation()?;
                Ok(LabelTerm { key, op })
            }
            other => Err(format!("found '{}', expected: !, identifier, or 'end of string'", shown(other.as_ref()))),
        }
    }

    fn key(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(key)) => checked_key(key),
            other => Err(format!("found '{}', expected: identifier", shown(other.as_ref()))),
        }
    }

    fn operation(&mut self) -> Result<LabelOp, String> {
        if matches!(self.tokens.first(), None | Some(Token::Sign(","))) {
            return Ok(LabelOp::Exists);
        }
        let next = self.next();
        match next {
            Some(Token::Sign("=" | "==")) => Ok(LabelOp::In(vec![self.value()?])),
            Some(Token::Sign("!=")) => Ok(LabelOp::NotIn(vec![self.value()?])),
            Some(Token::Sign(">")) => Ok(LabelOp::Above(self.integer()?)),
            Some(Token::Sign("<")) => Ok(LabelOp::Below(self.integer()?)),
            Some(Token::Word("in")) => Ok(LabelOp::In(self.set()?)),
            Some(Token::Word("notin")) => Ok(LabelOp::NotIn(self.set()?)),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", shown(other.as_ref()))),
        }
    }

    /// A value; nothing before a comma or the end is the empty one.
    fn value(&mut self) -> Result<String, String> {
        match self.tokens.first() {
            None | Some(Token::Sign("," | ")")) => Ok(String::new()),
            Some(Token::Word(word)) => {
                self.tokens = &self.tokens[1..];
                checked_value(word)
            }
            Some(other) => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn integer(&mut self) -> Result<i64, String> {
        let text = self.value()?;
        text.parse().map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer, not '{text}'"))
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Some(Token::Sign("(")) {
            return Err(format!("found '{}', expected: '('", shown(open.as_ref())));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next() {
                Some(Token::Sign(",")) => {}
                Some(Token::Sign(")")) => return Ok(values),
                other => return Err(format!("found '{}', expected: ',' or ')'", shown(other.as_ref()))),
            }
        }
    }
}

fn shown<'a>(token: Option<&'a Token<'a>>) -> &'a str {
    token.map_or("", Token::text)
}

/// A qualified name: an optional DNS prefix and a part of at most 63 characters.
fn checked_key(key: &str) -> Result<String, String> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let prefix_ok = key.matches('/').count() <= 1 && !key.starts_with('/');
    if prefix_ok && !name.is_empty() && is_label_text(name) {
        Ok(key.to_owned())
    } else {
        Err(format!(
            "key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

fn checked_value(value: &str) -> Result<String, String> {
    if value.is_empty() || is_label_text(value) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "values[0][]: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

/// At most 63 characters of `[A-Za-z0-9-_.]` that start and end with a letter or digit.
pub(in crate::apiserver) fn is_label_text(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() <= 63
        && b.first().is_some_and(u8::is_ascii_alphanumeric)
        && b.last().is_some_and(u8::is_ascii_alphanumeric)
        && b.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let terms = parse(selector).unwrap();
        let value = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let found = terms.iter().all(|term| term.matches(value(&term.key)));
        assert_eq!(found, expected, "{selector} over {labels:?}");
    }

    #[test]
    fn selectors_mean_what_upstream_documents() {
        let web = [("app", "web"), ("tier", "2"), ("a.b/c", "")];
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=2", true),
            ("app=db", false),
            ("app!=db", true),
            ("other!=x", true),
            ("app in (db, web)", true),
            ("app in (db)", false),
            ("app notin (db)", true),
            ("other notin (db)", true),
            ("app notin (web)", false),
            ("app", true),
            ("other", false),
            ("!other", true),
            ("!app", false),
            ("tier>1", true),
            ("tier > 2", false),
            ("tier<3", true),
            ("app>1", false),
            ("a.b/c=", true),
            ("a.b/c", true),
            ("app in (,web)", true),
        ] {
            check(selector, &web, expected);
        }
    }

    #[test]
    fn what_is_no_selector_is_a_bad_request() {
        for text in ["=", "a=b=c", "a in b", "a in (b", "a,,b", "a b", "!", "a>x", "-a=b", "a=-b", "a/b/c=d", ","] {
            let failure = parse(text).unwrap_err();
            assert_eq!((failure.code, &*failure.reason), (400, "BadRequest"), "{text}");
        }
    }
}
