//! The house rules that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn no_source_file_is_longer_than_seven_hundred_lines() {
    let long: Vec<_> = files_below(&root().join("src"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            (code > 700).then(|| format!("{}: {code} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn no_folder_is_a_drawer_for_everything() {
    let drawers: Vec<_> = files_below(&root().join("src"))
        .into_iter()
        .filter(|path| {
            path.components().any(|part| {
                let name = part.as_os_str().to_string_lossy();
                ["utils", "common", "helpers", "core", "misc", "utils.rs", "common.rs", "helpers.rs", "misc.rs"]
                    .contains(&name.as_ref())
            })
        })
        .collect();
    assert!(drawers.is_empty(), "{drawers:?}");
}

#[test]
fn committed_results_stay_below_twenty_megabytes() {
    let bytes: u64 =
        files_below(&root().join("results")).iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum();
    assert!(bytes < 20_000_000, "{bytes} bytes in results/");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = files_below(&root().join("src"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "tests.rs"))
        .filter(|path| !fs::read_to_string(path).unwrap_or_default().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no module head: {silent:?}");
}
