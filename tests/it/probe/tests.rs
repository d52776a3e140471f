use super::corpus::{self, Transcripts};
use super::{play, script};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Items of the contract without which nothing useful runs.
const NEEDED: &[&str] = &[
    "T-02", "T-03", "T-04", "T-06", "T-07", "D-01", "D-02", "D-03", "D-04", "C-01", "C-03", "O-01", "O-02", "O-03",
    "O-04", "O-05", "O-07", "V-01", "V-02", "V-03", "V-04", "V-05", "V-06", "V-07", "L-01", "L-02", "L-03", "L-04",
    "W-01", "W-02", "W-04", "W-05", "W-06", "S-01", "S-02", "S-03", "S-04", "S-05", "S-06", "S-07", "G-01", "G-02",
    "G-06", "R-01", "R-02", "R-04", "A-01", "A-02", "A-03", "K-01", "K-02", "E-01", "E-02",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_needed_item_has_three_probes() {
    let mut probes: BTreeMap<String, usize> = BTreeMap::new();
    for probe in script::corpus(root()).values().flat_map(|file| &file.probes) {
        probe.items.iter().for_each(|item| *probes.entry(item.clone()).or_default() += 1);
    }
    let few: Vec<_> =
        NEEDED.iter().map(|item| (item, probes.get(*item).copied().unwrap_or(0))).filter(|n| n.1 < 3).collect();
    assert!(few.is_empty(), "{few:?}");
}

#[test]
fn twenty_probes_watch_and_twenty_apply() {
    let corpus = script::corpus(root());
    let steps = || corpus.values().flat_map(|file| &file.probes).map(|probe| &probe.steps);
    let watching = steps().filter(|steps| steps.iter().any(|step| step.watch.is_some())).count();
    let applying = steps().filter(|steps| steps.iter().any(|step| step.patch.as_deref() == Some("apply"))).count();
    assert!(watching >= 20 && applying >= 20, "{watching} watch, {applying} apply");
}

#[test]
fn every_probe_has_a_transcript_and_every_transcript_a_probe() {
    let recorded: Transcripts = corpus::read(root());
    let recorded: BTreeSet<_> = recorded.iter().map(|(name, steps)| (name.clone(), steps.len())).collect();
    let written = script::corpus(root()).into_iter().flat_map(|(file, probes)| {
        probes.probes.into_iter().map(move |probe| ((file.clone(), probe.name), probe.steps.len()))
    });
    assert_eq!(written.collect::<BTreeSet<_>>(), recorded);
}

/// Our server as everybody gets it, on a free port.
struct Server {
    process: std::process::Child,
    kubeconfig: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_flamboyance"))
            .args(["serve", "--kubeconfig"])
            .arg(&kubeconfig)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, kubeconfig, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn our_server_answers_as_the_real_one() {
    let server = Server::start();
    let client = play::connect(&server.kubeconfig).await;
    let found = corpus::play_all(&client, root(), "t", |_| true).await;
    let mut differences = corpus::compare(&corpus::read(root()), &found);
    let known = corpus::deviations(root());
    differences.retain(|probe, _| !known.contains_key(probe));
    let told: Vec<_> = differences.iter().map(|(probe, difference)| format!("{probe}\n    {difference}")).collect();
    assert!(told.is_empty(), "{} of {} probes differ:\n{}", told.len(), found.len(), told.join("\n"));
}
