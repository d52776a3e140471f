//! The query of a request, read as Go reads it.
//!
//! In: the raw text after `?`. Out: values by name, with Kubernetes' rules for booleans and integers and the error
//! texts of Go's `strconv`, because clients and tests match on them. Pairs that cannot be decoded are dropped, as
//! `net/url.Values` does when its error is ignored.

use std::borrow::Cow;

/// The decoded pairs of one request, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads the raw query; `None` is an empty one.
    pub(crate) fn read(raw: Option<&'a str>) -> Self {
        let mut pairs = Vec::new();
        for pair in raw.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Go refuses semicolons as separators and drops the whole pair.
            if pair.is_empty() || pair.contains(';') {
                continue;
            }
            if let (Some(name), Some(value)) = (decode(name, true), decode(value, true)) {
                pairs.push((name, value));
            }
        }
        Self { pairs }
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of `name` if it is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub(crate) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// A boolean: present means true, but `false` and `0` mean false.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !(value.eq_ignore_ascii_case("false") || value == "0"))
    }

    /// An integer, or the text that Go's `strconv.ParseInt` gives.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name).map(parse_int).transpose()
    }
}

/// `strconv.ParseInt(text, 10, 64)` with its error text.
fn parse_int(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
    }
    text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: value out of range"))
}

/// Undoes percent encoding; `None` if it is malformed or not UTF-8. In a query `+` is a space.
pub(crate) fn decode(text: &str, query: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || (query && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => nibble(rest.next()?)? << 4 | nibble(rest.next()?)?,
            b'+' if query => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_go_reads_them() {
        let query = Query::read(Some("a=1&a=2&label=x%3Dy%2Cz+w&empty=&bare&bad=%zz&semi;colon=1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("label"), Some("x=y,z w"));
        assert_eq!((query.get("empty"), query.text("empty")), (Some(""), None));
        assert_eq!(query.get("bare"), Some(""));
        assert_eq!((query.get("bad"), query.get("semi;colon")), (None, None));
    }

    #[test]
    fn a_boolean_is_true_unless_it_says_false() {
        for (raw, expected) in [
            ("", None),
            ("watch", Some(true)),
            ("watch=1", Some(true)),
            ("watch=no", Some(true)),
            ("watch=0", Some(false)),
            ("watch=FALSE", Some(false)),
        ] {
            assert_eq!(Query::read(Some(raw)).flag("watch"), expected, "{raw}");
        }
    }

    #[test]
    fn a_bad_integer_gives_the_text_of_strconv() {
        for (value, expected) in [
            ("500", Ok(500)),
            ("-1", Ok(-1)),
            ("x", Err("strconv.ParseInt: parsing \"x\": invalid syntax")),
            ("", Err("strconv.ParseInt: parsing \"\": invalid syntax")),
            ("1.5", Err("strconv.ParseInt: parsing \"1.5\": invalid syntax")),
            ("9223372036854775808", Err("strconv.ParseInt: parsing \"9223372036854775808\": value out of range")),
        ] {
            let raw = format!("limit={value}");
            let read = Query::read(Some(&raw)).integer("limit");
            assert_eq!(read, expected.map(Some).map_err(str::to_owned), "{value}");
        }
    }
}
