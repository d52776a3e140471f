//! The corpus as a whole: scripts, the transcripts that a real API server gave, and what differs on purpose or for now.

use super::normal::{first_difference, normalise};
use super::{play, script};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A transcript per probe, by the name of its file and its own.
pub(crate) type Transcripts = BTreeMap<(String, String), Vec<Value>>;

/// A difference that is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deviation {
    /// `file: name of the probe`.
    pub probe: String,
    pub reason: String,
}

/// Plays all probes of the files that `wanted` accepts.
///
/// `run` makes the names of this run its own: a real server without controllers never forgets a namespace.
pub(crate) async fn play_all(client: &Client, root: &Path, run: &str, wanted: impl Fn(&str) -> bool) -> Transcripts {
    let crds = script::crds(root);
    let mut transcripts = Transcripts::new();
    for (name, file) in script::corpus(root).iter().filter(|(name, _)| wanted(name)) {
        // Not of this run alone: hashes in discovery are made of the group's name.
        let group = format!("{name}.example.com");
        play::prepare(client, &group, file, &crds).await;
        for (nth, probe) in file.probes.iter().enumerate() {
            let ns = format!("{name}-{run}-{nth}");
            let transcript = normalise(play::play(client, &group, &ns, probe).await, &group, &ns);
            let earlier = transcripts.insert((name.clone(), probe.name.clone()), transcript);
            assert!(earlier.is_none(), "{name}: two probes are called `{}`", probe.name);
        }
    }
    transcripts
}

/// Reads all committed transcripts.
pub(crate) fn read(root: &Path) -> Transcripts {
    let mut transcripts = Transcripts::new();
    for entry in std::fs::read_dir(root.join("tests/probes/transcripts")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let (probe, _, step): (String, usize, Value) = serde_json::from_str(line).unwrap();
            transcripts.entry((file.clone(), probe)).or_default().push(step);
        }
    }
    transcripts
}

/// What differs and is known to.
pub(crate) fn deviations(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join("tests/probes/deviations.yaml")).unwrap();
    let list: Vec<Deviation> = serde_saphyr::from_str(&text).unwrap();
    list.into_iter().map(|deviation| (deviation.probe, deviation.reason)).collect()
}

/// The first difference of every probe that has one, by `file: probe`.
pub(crate) fn compare(expected: &Transcripts, found: &Transcripts) -> BTreeMap<String, String> {
    let mut differences = BTreeMap::new();
    for ((file, probe), steps) in found {
        let key = format!("{file}: {probe}");
        let Some(wanted) = expected.get(&(file.clone(), probe.clone())) else {
            differences.insert(key, "no transcript: record it".to_owned());
            continue;
        };
        let step = (0..wanted.len().max(steps.len())).find_map(|nth| {
            let (a, b) = (wanted.get(nth).unwrap_or(&Value::Null), steps.get(nth).unwrap_or(&Value::Null));
            first_difference(a, b).map(|difference| format!("step {nth} {difference}"))
        });
        differences.extend(step.map(|difference| (key, difference)));
    }
    differences
}
