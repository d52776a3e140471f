//! The rim: the only place here that touches files.

use super::errors::{Errors, Problem};
use super::{Scenario, parse};
use std::io::Read;

/// The largest file that is read: a scenario has some kilobytes.
const FILE_MAX: u64 = 64 << 20;

/// Reads a scenario from a file, or from standard input if `path` is `-`, with the overrides of `--set`.
///
/// # Errors
/// Everything that is wrong with it, or why it could not be read.
pub fn load(path: &str, sets: &[String]) -> Result<Scenario, Errors> {
    let (name, text) = read(path)?;
    parse(&text, &name, sets)
}

/// The text of a scenario and its name in messages.
///
/// # Errors
/// Why it could not be read.
pub fn read(path: &str) -> Result<(String, String), Errors> {
    let name = if path == "-" { "standard input" } else { path };
    let mut bytes = Vec::new();
    let outcome = if path == "-" {
        std::io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
    };
    let refuse = |message: String, hint| Errors { problems: vec![Problem::of_file(name, message, hint)] };
    match outcome {
        Err(error) => Err(refuse(
            format!("cannot read {name}: {error}"),
            "`flamboyance init --out FILE` writes a scenario to start from",
        )),
        Ok(size) if size as u64 > FILE_MAX => {
            Err(refuse(format!("{name} is larger than 64 MiB"), "give the file of a scenario"))
        }
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => Ok((name.to_owned(), text)),
            Err(_) => Err(refuse(format!("{name} is not UTF-8 text"), "save it as UTF-8")),
        },
    }
}
