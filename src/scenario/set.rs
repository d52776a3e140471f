//! `--set a.b=c`: overrides that go into the tree before anything is checked, so that the same checks see them.

use super::errors::Finding;
use super::tree::{self, At, Entry, Node, Style, Value};

/// Puts the override `text` (the source of number `source`) into the tree.
///
/// The path is dotted, below `spec` unless it starts with a key of the document; list entries are numbers from 0, a dot
/// inside a key is `\.`. The value is YAML; a plain word is whatever the schema wants.
pub(super) fn apply(root: &mut Node, text: &str, source: usize) -> Result<(), Finding> {
    let bad = |message: &str| Finding::error("set", &[], message).hint("write --set fleet.clusters=200");
    let Some(equals) = text.find('=') else { return Err(bad("there is no `=`")) };
    let mut path = segments(&text[..equals]);
    if path.iter().any(String::is_empty) {
        return Err(bad("the path before `=` has an empty part"));
    }
    if !matches!(path[0].as_str(), "spec" | "metadata" | "apiVersion" | "kind") {
        path.insert(0, "spec".to_owned());
    }
    let node = value(text, equals + 1, source)?;
    let key_at = At { source, start: 0, end: equals };
    put(root, &path, 0, node, key_at)
}

fn segments(path: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next_if_eq(&'.')).flatten();
        match (character, segments.last_mut()) {
            ('.', _) | (_, None) => segments.push(String::new()),
            (_, Some(last)) => last.push(escaped.unwrap_or(character)),
        }
    }
    segments
}

fn value(text: &str, start: usize, source: usize) -> Result<Node, Finding> {
    let body = &text[start..];
    let at = At { source, start, end: text.len() };
    if !body.trim_start().starts_with(['{', '[', '"', '\'']) {
        return Ok(Node { at, value: Value::Scalar { text: body.to_owned(), style: Style::Free } });
    }
    // Blanks in place of the path keep the places of the value right.
    let padded = " ".repeat(start) + body;
    match tree::parse(&padded, source) {
        (Some(node), malformed) if malformed.is_empty() => Ok(node),
        (_, malformed) => {
            let message = malformed.first().map_or("the value is not YAML", |first| first.message.as_str());
            Err(Finding::error("set", &[], message))
        }
    }
}

/// Walks `path` from `depth` on, making maps on the way, and puts `node` at its end.
fn put(parent: &mut Node, path: &[String], depth: usize, node: Node, key_at: At) -> Result<(), Finding> {
    let Some(segment) = path.get(depth) else {
        *parent = node;
        return Ok(());
    };
    let here = &path[..depth];
    match &mut parent.value {
        Value::List(items) => {
            let count = items.len();
            let item = segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)).ok_or_else(|| {
                let message = format!("`{segment}` is not an entry of this list of {count}");
                let hint = match count {
                    0 => "the list is empty: set it as a whole".to_owned(),
                    _ => format!("its entries are 0 to {}", count - 1),
                };
                Finding::error("set", here, message).hint(hint)
            })?;
            put(item, path, depth + 1, node, key_at)
        }
        Value::Map(entries) => {
            let index = entries.iter().position(|entry| entry.key == *segment).unwrap_or_else(|| {
                let empty = Node { at: key_at, value: Value::Map(Vec::new()) };
                entries.push(Entry { key: segment.clone(), key_at, node: empty });
                entries.len() - 1
            });
            put(&mut entries[index].node, path, depth + 1, node, key_at)
        }
        Value::Scalar { text, .. } if text.is_empty() => {
            parent.value = Value::Map(Vec::new());
            put(parent, path, depth, node, key_at)
        }
        Value::Scalar { text, .. } => {
            let message = format!("`{}` is the value `{text}`, it has no keys", here.join("."));
            Err(Finding::error("set", here, message))
        }
    }
}
