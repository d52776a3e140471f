//! YAML text -> a tree in which every key and value knows where it stands.
//!
//! In: the text of one document. Out: the tree, or the one place where it stops being YAML. Scalars stay texts: which type
//! they must have is the schema's business.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};
use std::collections::{BTreeMap, BTreeSet};

/// A part of a source: which one (0 is the file, the others are `--set` texts), first byte, end byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) source: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// A value as written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar { text: String, style: Style },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes: YAML decides whether it is a number, a boolean, null or a text.
    Plain,
    /// In quotes or as a block: a text.
    Quoted,
    /// From the command line, where quotes are the shell's: it is what the schema wants.
    Free,
}

/// One key of a map.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) node: Node,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) at: At,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

/// Nodes of one tree, aliases counted at each use. A scenario has some hundred; the limit stops a text of a few lines
/// whose aliases of aliases stand for billions.
const NODES_MAX: usize = 500_000;

/// Collections inside collections. A scenario has eight; the limit keeps recursion over a tree shallow.
const DEPTH_MAX: usize = 100;

impl Node {
    /// Where to point for `path`, or for the deepest part of it that exists: at a scalar, at the key of a collection, at
    /// the key anyway if `of_key`.
    pub(super) fn locate(&self, path: &[String], of_key: bool) -> At {
        let (mut node, mut at) = (self, self.mark());
        for segment in path {
            let step = match &node.value {
                Value::Scalar { .. } => None,
                Value::List(items) => {
                    segment.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item, item.mark()))
                }
                Value::Map(entries) => entries.iter().find(|entry| entry.key == *segment).map(|entry| {
                    let scalar = matches!(&entry.node.value, Value::Scalar { text, .. } if !text.is_empty());
                    (&entry.node, if scalar && !of_key { entry.node.at } else { entry.key_at })
                }),
            };
            match step {
                Some(found) => (node, at) = found,
                None => break,
            }
        }
        at
    }

    /// Where to point for the value itself: a collection is pointed at by its first part.
    pub(super) fn mark(&self) -> At {
        match &self.value {
            Value::Scalar { .. } => self.at,
            Value::List(items) => items.first().map_or(self.at, Self::mark),
            Value::Map(entries) => entries.first().map_or(self.at, |entry| entry.key_at),
        }
    }
}

/// Reads one document of `text`, the source of number `source`. A key written twice is noted and its first value kept.
pub(super) fn parse(text: &str, source: usize) -> (Option<Node>, Vec<Malformed>) {
    let anchors = BTreeMap::new();
    let mut builder = Builder { source, text, open: Vec::new(), anchors, root: None, nodes: 0, noted: Vec::new() };
    let outcome = builder.read();
    let mut malformed = builder.noted;
    match outcome {
        Err(error) => malformed.push(error),
        Ok(()) if builder.root.is_none() => malformed.push(refuse(
            At { source, start: 0, end: 0 },
            "there is no document",
            Some("start from the output of `flamboyance init`"),
        )),
        Ok(()) => return (builder.root, malformed),
    }
    (None, malformed)
}

/// A collection that is not closed yet.
struct Open {
    at: At,
    anchor: usize,
    value: Value,
    /// Keys so far, to find those written twice.
    keys: BTreeSet<String>,
    /// A key that waits for its value.
    key: Option<(String, At)>,
}

struct Builder<'a> {
    source: usize,
    text: &'a str,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, Extent)>,
    root: Option<Node>,
    nodes: usize,
    /// What does not stop the reading.
    noted: Vec<Malformed>,
}

impl Builder<'_> {
    fn read(&mut self) -> Result<(), Malformed> {
        for next in Parser::new_from_str(self.text) {
            let (event, span) = next.map_err(|error| {
                let start = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                let at = At { source: self.source, start, end: start };
                refuse(at, format!("this is not YAML: {}", error.info()), None)
            })?;
            let range = span.byte_range().unwrap_or(self.text.len()..self.text.len());
            let at = At { source: self.source, start: range.start, end: range.end };
            if matches!(event, Event::DocumentStart(..)) && self.root.is_some() {
                let hint = Some("write one scenario per file");
                self.noted.push(refuse(at, "a second document starts here, it is not read", hint));
                break;
            }
            self.take(event, at)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, at: At) -> Result<(), Malformed> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
                let value = Value::Scalar { text: text.into_owned(), style };
                self.close(Node { at: self.first_line(at), value }, anchor, Extent { nodes: 1, depth: 0 })?;
            }
            Event::SequenceStart(_, anchor, _) => self.enter(at, anchor, Value::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.enter(at, anchor, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { at, anchor, value, .. }) = self.open.pop() {
                    let node = Node { at: self.first_character(at), value };
                    let extent = if anchor == 0 { Extent { nodes: 1, depth: 1 } } else { extent(&node) };
                    self.close(node, anchor, extent)?;
                }
            }
            Event::Alias(anchor) => {
                let Some((node, extent)) = self.anchors.get(&anchor).cloned() else {
                    return Err(refuse(at, "this alias stands inside its own anchor", None));
                };
                self.close(node, 0, extent)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, at: At, anchor: usize, value: Value) {
        self.open.push(Open { at, anchor, value, keys: BTreeSet::new(), key: None });
    }

    /// A node is complete: it becomes the root, an item, a key or a value.
    fn close(&mut self, node: Node, anchor: usize, extent: Extent) -> Result<(), Malformed> {
        self.nodes += extent.nodes;
        if self.nodes > NODES_MAX || self.open.len() + extent.depth > DEPTH_MAX {
            return Err(refuse(node.at, "the document is larger or deeper than any scenario", None));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), extent));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                Some((key, key_at)) if open.keys.insert(key.clone()) => entries.push(Entry { key, key_at, node }),
                Some((key, at)) => {
                    let message = format!("`{key}` is written twice");
                    self.noted.push(refuse(at, message, Some("keep one of the two")));
                }
                None => match node.value {
                    Value::Scalar { text, .. } => open.key = Some((text, node.at)),
                    _ => return Err(refuse(node.at, "a key must be a plain word", None)),
                },
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    /// A block scalar runs over many lines: point at its first.
    fn first_line(&self, at: At) -> At {
        let body = self.text.get(at.start..at.end).unwrap_or_default();
        At { end: at.start + body.lines().next().unwrap_or_default().trim_end().len(), ..at }
    }

    /// A collection is pointed at by its first character.
    fn first_character(&self, at: At) -> At {
        let width = self.text.get(at.start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        At { end: at.start + width, ..at }
    }
}

/// How large a node is.
#[derive(Clone, Copy, Debug)]
struct Extent {
    nodes: usize,
    depth: usize,
}

fn extent(node: &Node) -> Extent {
    let children: Vec<Extent> = match &node.value {
        Value::Scalar { .. } => return Extent { nodes: 1, depth: 0 },
        Value::List(items) => items.iter().map(extent).collect(),
        Value::Map(entries) => entries.iter().map(|entry| extent(&entry.node)).collect(),
    };
    Extent {
        nodes: 1 + children.iter().map(|child| child.nodes).sum::<usize>(),
        depth: 1 + children.iter().map(|child| child.depth).max().unwrap_or(0),
    }
}

fn refuse(at: At, message: impl Into<String>, hint: Option<&'static str>) -> Malformed {
    Malformed { at, message: message.into(), hint }
}
