//! Plays the probes of `tests/probes` against the API server of a kubeconfig.
//!
//! `probe record KUBECONFIG [FILE...]` writes its answers down as the truth; `probe compare KUBECONFIG [FILE...]` shows the
//! first difference of every probe from the truth. FILE is the name of a file of probes; without one all are played.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal, not part of the program")]

#[path = "../tests/it/probe/mod.rs"]
mod probe;

use probe::{corpus, play, script};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, kubeconfig, files @ ..] = arguments.as_slice() else {
        eprintln!("usage: probe record|compare KUBECONFIG [FILE...]");
        return ExitCode::from(2);
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let client = play::connect(Path::new(kubeconfig)).await;
    let run = format!("r{}", std::process::id());
    let found =
        corpus::play_all(&client, root, &run, |name| files.is_empty() || files.iter().any(|file| file == name)).await;
    if command == "record" {
        if let Err(error) = write(root, &found) {
            eprintln!("cannot write the transcripts: {error}");
            return ExitCode::from(3);
        }
        eprintln!("{} probes recorded", found.len());
        return ExitCode::SUCCESS;
    }
    let differences = corpus::compare(&corpus::read(root), &found);
    let known = corpus::deviations(root);
    let mut unknown = 0;
    for (name, difference) in &differences {
        let reason = known.get(name).map_or_else(String::new, |reason| format!(" (known: {reason})"));
        unknown += usize::from(reason.is_empty());
        println!("{name}{reason}\n    {difference}");
    }
    for name in known.keys().filter(|name| !differences.contains_key(*name)) {
        println!("{name}\n    no longer differs: take it out of deviations.yaml");
    }
    let items: BTreeSet<_> =
        script::corpus(root).into_values().flat_map(|file| file.probes).flat_map(|p| p.items).collect();
    println!("{} items of the contract are probed", items.len());
    println!("{} probes, {} differ, {unknown} of them unknown", found.len(), differences.len());
    if unknown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes transcripts, one file per file of probes, one line per step.
fn write(root: &Path, transcripts: &corpus::Transcripts) -> std::io::Result<()> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for ((file, probe), steps) in transcripts {
        let text = files.entry(file).or_default();
        for (nth, step) in steps.iter().enumerate() {
            text.push_str(&serde_json::json!([probe, nth, step]).to_string());
            text.push('\n');
        }
    }
    for (file, text) in files {
        std::fs::write(root.join(format!("tests/probes/transcripts/{file}.jsonl")), text)?;
    }
    Ok(())
}
