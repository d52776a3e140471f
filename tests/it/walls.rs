//! The walls of the house: which folder may name which, and which names a pure folder never says.
//!
//! The rules work on text, as a reader would: every `crate::x` and `super::x` path and every forbidden name outside
//! comments and strings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The flow, from left to right. A module may name itself and what stands left of it.
const FLOW: &[&str] = &[
    "units",
    "ids",
    "seed",
    "clock",
    "calls",
    "scenario",
    "fleet",
    "topology",
    "reconcile",
    "model",
    "apiserver",
    "backend",
    "measure",
    "drive",
    "record",
    "compare",
    "report",
    "study",
    "cli",
];

/// What stands left but must not be named all the same.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // The server is a product of its own: it knows nothing of fleets and reconcilers.
    ("apiserver", &["calls", "scenario", "fleet", "topology", "reconcile", "model"]),
    // What happened is told without knowing how it was driven.
    ("record", &["drive", "reconcile", "model", "apiserver", "backend"]),
    ("compare", &["drive", "reconcile", "model", "apiserver", "backend"]),
    ("report", &["drive", "reconcile", "model", "apiserver", "backend"]),
    // Managers know Flux by its API alone.
    ("model", &["reconcile"]),
];

/// Modules (by path prefix) that decide and never act: what they may not name.
const PURE: &[&str] = &[
    "units",
    "ids",
    "seed",
    "calls",
    "scenario",
    "fleet",
    "topology",
    "reconcile",
    "model",
    "measure/hops",
    "measure/hist",
    "measure/signal",
    "drive/virtual_time",
    "drive/intent",
    "drive/drifted",
    "compare",
    "apiserver/admission",
    "apiserver/cel",
    "apiserver/life",
    "apiserver/select",
    "apiserver/apply",
    "apiserver/patch",
    "apiserver/defaults",
    "apiserver/prune",
    "apiserver/validate",
];

/// The rims inside pure folders.
const RIMS: &[&str] = &["scenario/load"];

const IMPURE_NAMES: &[&str] = &[
    "tokio::",
    "kube::",
    "kube_runtime::",
    "hyper::",
    "hyper_util::",
    "std::net",
    "std::fs",
    "std::process",
    "crate::clock",
    "clock::now",
];

/// Where files may be touched.
const FILE_RIMS: &[&str] = &[
    "scenario/load",
    "record",
    "report",
    "apiserver",
    "backend",
    "measure/process",
    "measure/host",
    "drive/live",
    "study/gate/revision",
    "cli",
    "bin",
];

#[test]
fn imports_point_backwards_along_the_flow() {
    let broken = broken_imports(&sources());
    assert!(broken.is_empty(), "walls crossed:\n{}", broken.join("\n"));
}

#[test]
fn pure_folders_name_no_runtime_socket_file_or_clock() {
    let broken = impure_names(&sources());
    assert!(broken.is_empty(), "pure folders name what acts:\n{}", broken.join("\n"));
}

#[test]
fn only_the_command_line_prints() {
    let broken: Vec<_> = lines(&sources())
        .filter(|line| !line.module.starts_with("cli") && !line.module.starts_with("bin") && line.module != "main")
        .filter(|line| ["println!", "eprintln!", "print!(", "eprint!("].iter().any(|p| line.code.contains(p)))
        .map(|line| line.to_string())
        .collect();
    assert!(broken.is_empty(), "prints outside cli:\n{}", broken.join("\n"));
}

#[test]
fn files_are_touched_at_the_rims_alone() {
    let broken: Vec<_> = lines(&sources())
        .filter(|line| !FILE_RIMS.iter().any(|rim| line.module.starts_with(rim)) && line.code.contains("std::fs"))
        .map(|line| line.to_string())
        .collect();
    assert!(broken.is_empty(), "files touched outside the rims:\n{}", broken.join("\n"));
}

#[test]
fn a_crossed_wall_is_seen() {
    let crossing = |module: &str, code: &str| {
        let files = BTreeMap::from([(module.to_owned(), code.to_owned())]);
        (broken_imports(&files).len(), impure_names(&files).len())
    };
    assert_eq!(crossing("report/html", "use crate::drive::live;"), (1, 0));
    assert_eq!(crossing("fleet/mod", "use crate::{ids, cli::Failure};"), (1, 0));
    assert_eq!(crossing("apiserver/store/mod", "let x = crate::scenario::load();"), (1, 0));
    assert_eq!(crossing("reconcile/mod", "use tokio::sync::mpsc;"), (0, 1));
    assert_eq!(crossing("model/flux", "use crate::clock;"), (0, 1));
    assert_eq!(crossing("report/html", "use crate::record::RunRecord; // crate::drive is elsewhere"), (0, 0));
}

fn broken_imports(files: &BTreeMap<String, String>) -> Vec<String> {
    let rank = |name: &str| FLOW.iter().position(|m| *m == name);
    lines(files)
        .filter(|line| !line.module.starts_with("bin") && line.module != "lib" && line.module != "main")
        .filter(|line| {
            let own = line.module.split('/').next().unwrap_or_default();
            let forbidden = FORBIDDEN.iter().find(|(m, _)| *m == own).map_or(&[][..], |(_, f)| f);
            named_modules(&line.code).iter().any(|named| match (rank(own), rank(named)) {
                (Some(own), Some(other)) => other > own || forbidden.contains(&named.as_str()),
                _ => false,
            })
        })
        .map(|line| line.to_string())
        .collect()
}

fn impure_names(files: &BTreeMap<String, String>) -> Vec<String> {
    lines(files)
        .filter(|line| PURE.iter().any(|pure| within(&line.module, pure)))
        .filter(|line| !RIMS.iter().any(|rim| within(&line.module, rim)))
        .filter(|line| IMPURE_NAMES.iter().any(|name| line.code.contains(name)))
        .map(|line| line.to_string())
        .collect()
}

fn within(module: &str, prefix: &str) -> bool {
    module == prefix || module.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// The top-level modules that a line names through `crate::`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            named.extend(group.split(',').map(|item| first_word(item.trim())));
        } else {
            named.push(first_word(rest));
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

struct Line {
    module: String,
    number: usize,
    code: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.module, self.number, self.code.trim())
    }
}

/// Lines of code outside tests and comments. A file's unit tests, at its end, may name what they like.
fn lines(files: &BTreeMap<String, String>) -> impl Iterator<Item = Line> + '_ {
    files.iter().filter(|(module, _)| !module.split('/').any(|part| part == "tests")).flat_map(|(module, text)| {
        text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]")).map(move |(n, line)| Line {
            module: module.clone(),
            number: n + 1,
            code: line.split("//").next().unwrap_or_default().to_owned(),
        })
    })
}

/// Every source file by its module path (`drive/live/mod`).
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let module = path.strip_prefix(&root).expect("below src").with_extension("");
                files.insert(module.to_string_lossy().into_owned(), fs::read_to_string(&path).expect("utf-8"));
            }
        }
    }
    assert!(files.len() > 10, "the sources were not found");
    files
}
