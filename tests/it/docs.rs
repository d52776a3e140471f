//! The book in `docs`: its commands run, its links lead somewhere, and what it lists is what there is.

use flamboyance::measure::warning::Warning;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines of all `sh` blocks.
fn commands(page: &str) -> Vec<&str> {
    let mut inside = false;
    let line = |line: &&str| {
        let text = line.trim();
        if text.starts_with("```") {
            inside = text == "```sh";
            return false;
        }
        inside
    };
    page.lines().filter(line).map(str::trim).collect()
}

#[test]
fn every_command_of_the_book_runs() {
    let mut count = 0;
    for (path, page) in pages() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("scenarios"), folder.path().join("scenarios")).unwrap();
        for command in commands(&page) {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(words[0], "flamboyance", "{command}");
            let mut program = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance"));
            let output = program.current_dir(folder.path()).args(&words[1..]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {command}: {said}", path.display());
            count += 1;
        }
    }
    assert!(count > 15, "{count} commands");
}

#[test]
fn every_link_of_the_book_leads_to_a_file() {
    for (path, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = path.parent().unwrap().join(link);
            assert!(target.exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_reference_lists_every_command_and_warning() {
    let page = std::fs::read_to_string(root().join("docs/reference.md")).unwrap();
    for warning in Warning::ALL {
        assert!(page.contains(&format!("| `{}` |", warning.code())), "{}", warning.code());
        assert!(!warning.advice().is_empty());
    }
    let output = Command::new(assert_cmd::cargo::cargo_bin!("flamboyance")).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    // What stands further to the right goes on with what a command does.
    let listed = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> = listed.filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 10, "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
