//! Probes as data: YAML files of steps.
//!
//! ```yaml
//! crds: [widgets]                  # from crds.yaml, installed for this file under the group $group
//! probes:
//!   - name: a sentence             # unique in its file; every probe has a namespace $ns of its own
//!     items: [V-01]                # of the API server's contract
//!     steps:
//!       - do: POST /api/v1/namespaces/$ns/configmaps
//!         body: { ... }            # or `text:` or `bytes:` (base64) for what is no JSON; `patch: json|merge|strategic|apply` says the type
//!         keep: { rv: /metadata/resourceVersion }      # usable as $rv from here on
//!       - { watch: w, do: "GET /api/v1/namespaces/$ns/configmaps?watch=true" }
//!       - { events: w, count: 2 }  # waits for two more events
//!       - { ended: w }             # waits for the end of the stream, with all events before it
//! ```

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// One file of probes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Names in `crds.yaml`.
    #[serde(default)]
    pub crds: Vec<String>,
    pub probes: Vec<Probe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub name: String,
    pub items: Vec<String>,
    #[serde(deserialize_with = "steps")]
    pub steps: Vec<Step>,
}

/// A step may be written as its call alone.
fn steps<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Step>, D::Error> {
    let values = Vec::<Value>::deserialize(deserializer)?;
    let step = |value| match value {
        Value::String(call) => Ok(Step { r#do: Some(call), ..Step::default() }),
        other => serde_json::from_value(other),
    };
    values.into_iter().map(step).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

/// What a step does is told by which of `do`, `events` and `ended` it has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Method and path.
    pub r#do: Option<String>,
    /// The name of a stream: the call's body is read as a watch by later steps.
    pub watch: Option<String>,
    /// Waits for `count` more events of a watch.
    pub events: Option<String>,
    #[serde(default)]
    pub count: usize,
    /// Waits for the end of a watch.
    pub ended: Option<String>,
    pub body: Option<Value>,
    pub text: Option<String>,
    /// A body in base64.
    pub bytes: Option<String>,
    /// The patch type; `Content-Type` follows.
    pub patch: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parts of the answer (JSON pointers) kept as variables.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
    /// Headers of the answer that are part of the transcript besides the usual ones.
    #[serde(default)]
    pub show: Vec<String>,
    /// The call is repeated until these parts of the answer have these values; only the last answer counts.
    #[serde(default)]
    pub until: BTreeMap<String, Value>,
    /// Parts of the answer (JSON pointers) that the transcript keeps; everything if empty.
    #[serde(default)]
    pub only: Vec<String>,
    /// Parts of the answer (JSON pointers) that the transcript leaves out.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Every file of the corpus by its name without extension, in order.
pub(crate) fn corpus(root: &Path) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("tests/probes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let probes = path.extension().is_some_and(|e| e == "yaml") && !["crds", "deviations"].contains(&name.as_str());
        if probes {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.insert(name, file);
        }
    }
    files
}

/// The custom resource definitions that files may ask for, by name.
pub(crate) fn crds(root: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(root.join("tests/probes/crds.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Variables of a probe: what `$name` stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(pub BTreeMap<String, String>);

impl Variables {
    /// The text with every `$name` replaced; longer names first, so that `$rv2` is not `$rv`.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    }

    /// The value with all its texts and keys filled.
    pub(crate) fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (self.fill(key), self.fill_value(value))).collect(),
            other => other.clone(),
        }
    }
}
