//! The rules of a custom resource's schema (`x-kubernetes-validations`), compiled.
//!
//! In: the schema of one version, as its definition has it. Out: a tree of those parts that have rules in them or below.

use crate::apiserver::cel::{Program, Type};
use serde_json::Value;

/// The rules of one version of a kind.
#[derive(Debug)]
pub(in crate::apiserver) struct Rules {
    pub(in crate::apiserver) root: Node,
}

/// One schema with rules in it or below.
#[derive(Debug)]
pub(in crate::apiserver) struct Node {
    /// The schema's `type`.
    pub(in crate::apiserver) kind: String,
    pub(in crate::apiserver) own: Type,
    pub(in crate::apiserver) rules: Vec<Rule>,
    pub(in crate::apiserver) items: Option<Box<Self>>,
    /// The fields that identify an item of a list with keys.
    pub(in crate::apiserver) keys: Vec<String>,
    /// Whether the parts of the map can be told from those of the old one.
    pub(in crate::apiserver) granular: bool,
    pub(in crate::apiserver) entries: Option<Box<Self>>,
    pub(in crate::apiserver) fields: Vec<(String, Self)>,
    pub(in crate::apiserver) all_of: Vec<Self>,
}

#[derive(Debug)]
pub(in crate::apiserver) struct Rule {
    /// None if it does not compile: nothing like it is stored by this server.
    pub(in crate::apiserver) program: Option<Program>,
    pub(in crate::apiserver) text: String,
    pub(in crate::apiserver) message: String,
    pub(in crate::apiserver) message_program: Option<Program>,
    pub(in crate::apiserver) reason: Option<String>,
    /// Where the error is put, below the value.
    pub(in crate::apiserver) place: String,
    pub(in crate::apiserver) optional_old: bool,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Rules {
    /// The rules of a schema, if it has any.
    pub(in crate::apiserver) fn of_schema(schema: &Value) -> Option<Self> {
        Node::of_schema(schema, schema, true).map(|root| Self { root })
    }

    /// Whether a rule looks at more than one top-level part of an object.
    pub(in crate::apiserver) fn cross_parts(&self) -> bool {
        !self.root.rules.is_empty() || !self.root.all_of.is_empty()
    }

    /// Whether there are rules in a top-level part.
    pub(in crate::apiserver) fn are_in(&self, part: &str) -> bool {
        self.root.fields.iter().any(|(name, _)| name == part)
    }
}

/// The variables of the rules of a value.
pub(in crate::apiserver) fn variables(own: &Type, optional_old: bool) -> [(&'static str, Type); 2] {
    let old = if optional_old { Type::optional(own.clone()) } else { own.clone() };
    [("self", own.clone()), ("oldSelf", old)]
}

impl Node {
    /// `rules` has the rules, which may be of an `allOf`; `schema` the structure.
    fn of_schema(rules: &Value, schema: &Value, root: bool) -> Option<Self> {
        let embedded = |schema: &Value| schema["x-kubernetes-embedded-resource"] == true;
        let own = Type::of_schema(schema, root, "self")?;
        let child = |name: &str| {
            let (rules, schema) = (&rules[name], &schema[name]);
            let both = rules.is_object() && schema.is_object();
            both.then(|| Self::of_schema(rules, schema, embedded(schema))).flatten().map(Box::new)
        };
        let list = rules["x-kubernetes-validations"].as_array().into_iter().flatten();
        let properties = rules["properties"].as_object().into_iter().flatten();
        let fields = properties.filter_map(|(name, rules)| {
            let schema = schema["properties"].get(name)?;
            Some((name.clone(), Self::of_schema(rules, schema, embedded(schema))?))
        });
        let all_of = rules["allOf"].as_array().into_iter().flatten();
        let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        let node = Self {
            kind: text(&schema["type"]),
            rules: list.map(|rule| Rule::read(rule, &own)).collect(),
            items: child("items"),
            keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
            granular: schema["x-kubernetes-map-type"] != "atomic",
            entries: child("additionalProperties"),
            fields: fields.collect(),
            all_of: all_of.filter_map(|part| Self::of_schema(part, schema, root)).collect(),
            own,
        };
        let some = !node.rules.is_empty()
            || node.items.is_some()
            || node.entries.is_some()
            || !node.fields.is_empty()
            || !node.all_of.is_empty();
        some.then_some(node)
    }
}

impl Rule {
    fn read(rule: &Value, own: &Type) -> Self {
        let optional_old = rule["optionalOldSelf"] == true;
        let variables = variables(own, optional_old);
        let compile = |text: &str| Program::compile(text, &variables).ok();
        Self {
            program: compile(&text(&rule["rule"])),
            text: text(&rule["rule"]).trim().to_owned(),
            message: text(&rule["message"]).trim().to_owned(),
            message_program: rule["messageExpression"].as_str().filter(|text| !text.is_empty()).and_then(compile),
            reason: rule["reason"].as_str().map(str::to_owned),
            place: text(&rule["fieldPath"]).replace("['", "[").replace("']", "]"),
            optional_old,
        }
    }

    /// What it is called in errors.
    pub(in crate::apiserver) fn title(&self) -> &str {
        if self.message.is_empty() { &self.text } else { &self.message }
    }

    /// What it says when it fails.
    pub(in crate::apiserver) fn message(&self) -> String {
        if self.message.is_empty() { format!("failed rule: {}", self.text) } else { self.message.clone() }
    }
}
