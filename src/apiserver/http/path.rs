//! The simple JSON paths that printer columns may use.
//!
//! In: a value and a path such as `.status.conditions[?(@.type=="Ready")].status`. Out: the first value there. Steps are
//! names, indices, `[*]` and filters on equality; anything else finds nothing.

use serde_json::Value;

/// The first value at `path`.
pub(crate) fn first<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let path = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    if path.is_empty() {
        return Some(value);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let end = closing(rest)?;
        return bracket(value, &rest[..end], &rest[end + 1..]);
    }
    let rest = path.strip_prefix('.').unwrap_or(path);
    let (name, rest) = name(rest);
    first(value.get(&name)?, rest)
}

/// Up to the next `.` or `[`; a backslash takes the next character as it is.
fn name(path: &str) -> (String, &str) {
    let mut name = String::new();
    let mut rest = path.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '.' | '[' => return (name, &path[at..]),
            '\\' => name.extend(rest.next().map(|(_, escaped)| escaped)),
            _ => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket ends; brackets inside of filters and quotes belong to it.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket<'v>(value: &'v Value, inside: &str, rest: &str) -> Option<&'v Value> {
    let inside = inside.trim();
    if let Some(filter) = inside.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        let (path, wanted) = filter.split_once("==")?;
        let path = path.trim().strip_prefix('@')?;
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        let matches = |item: &&Value| {
            first(item, path).is_some_and(|found| match found {
                Value::String(text) => text == wanted,
                other => serde_json::to_string(other).is_ok_and(|text| text == wanted),
            })
        };
        return value.as_array()?.iter().filter(matches).find_map(|item| first(item, rest));
    }
    if inside == "*" {
        return value.as_array()?.iter().find_map(|item| first(item, rest));
    }
    if let Some(quoted) = inside.strip_prefix(['"', '\'']) {
        return first(value.get(quoted.trim_end_matches(['"', '\'']))?, rest);
    }
    let items = value.as_array()?;
    let index: i64 = inside.parse().ok()?;
    let at = if index < 0 {
        items.len().checked_sub(usize::try_from(-index).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    first(items.get(at)?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_finds_the_first_value_there() {
        let value = json!({ "a": { "b.c": 1, "list": [{ "k": "x", "v": 1 }, { "k": "y", "v": [7, 8] }] } });
        for (path, expected) in [
            (".a.list[0].v", Some(json!(1))),
            ("{.a.list[-1].v[1]}", Some(json!(8))),
            (".a.list[?(@.k==\"y\")].v[0]", Some(json!(7))),
            (".a.list[?(@.v==1)].k", Some(json!("x"))),
            (".a.list[*].v", Some(json!(1))),
            (".a['b.c']", Some(json!(1))),
            (r".a.b\.c", Some(json!(1))),
            (".a.none", None),
            (".a.list[9]", None),
            (".a.list[?(broken", None),
        ] {
            assert_eq!(first(&value, path), expected.as_ref(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "[.a\\[\\]?()@=\"'*0-9-]{0,24}") {
            let _ = first(&json!({ "a": [{ "a": 1 }] }), &path);
        }
    }
}
