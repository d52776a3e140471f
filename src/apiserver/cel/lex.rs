//! From the text of an expression to tokens.

/// A token and where it begins, counted in characters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    Sign(&'static str),
    End,
}

/// What cannot be read, and where.
pub(super) type Unread = (usize, String);

const SIGNS: [&str; 26] = [
    "==", "!=", "<=", ">=", "&&", "||", "[?", ".?", "{?", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{",
];

struct Lexer {
    text: Vec<char>,
    at: usize,
}

/// Reads all tokens, the end included.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unread> {
    let mut lexer = Lexer { text: text.chars().collect(), at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip();
        let at = lexer.at;
        let kind = lexer.next()?;
        let end = kind == Kind::End;
        found.push(Token { at, kind });
        if end {
            return Ok(found);
        }
    }
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.text.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip(&mut self) {
        loop {
            match self.peek(0) {
                ' ' | '\t' | '\r' | '\n' | '\u{c}' => self.at += 1,
                '/' if self.peek(1) == '/' => {
                    while self.at < self.text.len() && self.peek(0) != '\n' {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Result<Kind, Unread> {
        if self.at >= self.text.len() {
            return Ok(Kind::End);
        }
        if let Some(prefix) = self.quoted() {
            return self.text(prefix);
        }
        let first = self.peek(0);
        if first.is_ascii_digit() || (first == '.' && self.peek(1).is_ascii_digit()) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let from = self.at;
            while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == '_' {
                self.at += 1;
            }
            return Ok(Kind::Name(self.text[from..self.at].iter().collect()));
        }
        if first == '}' {
            self.at += 1;
            return Ok(Kind::Sign("}"));
        }
        let matches = |sign: &&&str| sign.chars().enumerate().all(|(ahead, one)| self.peek(ahead) == one);
        match SIGNS.iter().find(matches) {
            // `a ?.b` and `x ? .5 : 1` read alike up to here: a digit after the point makes it a number.
            Some(&sign) => {
                self.at += sign.len();
                Ok(Kind::Sign(sign))
            }
            None => Err((self.at, format!("Syntax error: token recognition error at: '{first}'"))),
        }
    }

    /// How many letters stand before the quote of a text, if one begins here.
    fn quoted(&self) -> Option<usize> {
        (0..=2).find(|&ahead| {
            let prefix = (0..ahead).map(|n| self.peek(n).to_ascii_lowercase());
            matches!(self.peek(ahead), '"' | '\'')
                && matches!(prefix.collect::<String>().as_str(), "" | "r" | "b" | "rb" | "br")
        })
    }

    fn text(&mut self, prefix: usize) -> Result<Kind, Unread> {
        let from = self.at;
        let letters: String = (0..prefix).map(|n| self.peek(n).to_ascii_lowercase()).collect();
        let (raw, bytes) = (letters.contains('r'), letters.contains('b'));
        self.at += prefix;
        let quote = self.peek(0);
        let long = self.peek(1) == quote && self.peek(2) == quote;
        let width = if long { 3 } else { 1 };
        self.at += width;
        let mut out = Out { text: String::new(), bytes: Vec::new(), as_bytes: bytes };
        loop {
            let broken = || (from, format!("Syntax error: token recognition error at: '{}'", self.rest(from)));
            if self.at >= self.text.len() || (!long && self.peek(0) == '\n') {
                return Err(broken());
            }
            if (0..width).all(|n| self.peek(n) == quote) {
                self.at += width;
                return Ok(if bytes { Kind::Bytes(out.bytes) } else { Kind::Text(out.text) });
            }
            let one = self.peek(0);
            self.at += 1;
            if one == '\\' && !raw {
                self.escape(&mut out).ok_or_else(|| {
                    (from, format!("Syntax error: token recognition error at: '{}'", self.rest(from)))
                })?;
            } else {
                out.push(one);
            }
        }
    }

    fn rest(&self, from: usize) -> String {
        self.text[from..].iter().collect()
    }

    fn escape(&mut self, out: &mut Out) -> Option<()> {
        let one = self.peek(0);
        self.at += 1;
        let (digits, radix) = match one {
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => {
                let plain = match one {
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    '\\' | '\'' | '"' | '`' | '?' => one,
                    _ => return None,
                };
                out.push(plain);
                return Some(());
            }
        };
        let text: String = (0..digits).map(|n| self.peek(n)).collect();
        let code = u32::from_str_radix(&text, radix).ok()?;
        self.at += digits;
        if out.as_bytes && digits < 4 {
            out.bytes.push(u8::try_from(code).ok()?);
        } else {
            out.push(char::from_u32(code)?);
        }
        Some(())
    }

    fn number(&mut self) -> Result<Kind, Unread> {
        let from = self.at;
        let bad = |what: &str, text: &str| (from, format!("Syntax error: invalid {what} literal: {text}"));
        if self.peek(0) == '0' && matches!(self.peek(1), 'x' | 'X') {
            self.at += 2;
            let digits = self.while_digit(|one| one.is_ascii_hexdigit());
            return self.whole(&digits, 16).map_err(|()| bad("int", &digits));
        }
        let mut text = self.while_digit(|one| one.is_ascii_digit());
        let mut double = false;
        if self.peek(0) == '.' && self.peek(1).is_ascii_digit() {
            double = true;
            self.at += 1;
            text = text + "." + &self.while_digit(|one| one.is_ascii_digit());
        }
        let signed = usize::from(matches!(self.peek(1), '+' | '-'));
        if matches!(self.peek(0), 'e' | 'E') && self.peek(1 + signed).is_ascii_digit() {
            double = true;
            text.extend((0..=signed).map(|n| self.peek(n)));
            self.at += 1 + signed;
            text += &self.while_digit(|one| one.is_ascii_digit());
        }
        if double {
            return text.parse().map(Kind::Double).map_err(|_| bad("double", &text));
        }
        self.whole(&text, 10).map_err(|()| bad("int", &text))
    }

    fn while_digit(&mut self, digit: fn(&char) -> bool) -> String {
        let digits: String = self.text[self.at..].iter().copied().take_while(digit).collect();
        self.at += digits.len();
        digits
    }

    fn whole(&mut self, digits: &str, radix: u32) -> Result<Kind, ()> {
        if matches!(self.peek(0), 'u' | 'U') {
            self.at += 1;
            return u64::from_str_radix(digits, radix).map(Kind::Uint).map_err(|_| ());
        }
        // The lowest number is written as the negation of one more than the highest.
        match u64::from_str_radix(digits, radix) {
            Ok(number) if number == 1 << 63 => Ok(Kind::Int(i64::MIN)),
            Ok(number) => i64::try_from(number).map(Kind::Int).map_err(|_| ()),
            Err(_) => Err(()),
        }
    }
}

struct Out {
    text: String,
    bytes: Vec<u8>,
    as_bytes: bool,
}

impl Out {
    fn push(&mut self, one: char) {
        if self.as_bytes {
            self.bytes.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.text.push(one);
        }
    }
}
