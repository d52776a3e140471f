//! A scenario whose managers are programs of others: what its add-ons become, and what is served for them.
//!
//! In: a scenario, the address of the sources. Out: the same scenario with add-ons that come from there and that nobody
//! installs by way of Flux on the clusters; the sources. Pure.

use crate::backend::sources::{Chart, Files, Sources, git_path, helm_path};
use crate::ids::AddonId;
use crate::measure::Change;
use crate::model::flux::Catalogue;
use crate::model::flux::render::files;
use crate::scenario::{Delivery, ManagerKind, Scenario};

/// The scenario as it is played with sources at `url`.
pub(super) fn served(scenario: &Scenario, url: &str) -> Scenario {
    let mut served = scenario.clone();
    for addon in &mut served.addons {
        let path = if addon.delivery == Delivery::Helm { helm_path(&addon.name) } else { git_path(&addon.name) };
        addon.repo_url = format!("{url}{path}");
        // Its Flux, if it is one, works on the hub: nothing is told of what happens on the way.
        addon.flux_subsystem = false;
    }
    served
}

/// What is served: a repository for each add-on, with all of its versions.
pub(super) fn sources(scenario: &Scenario) -> Sources {
    let catalogue = Catalogue::new(&scenario.addons);
    let mut sources = Sources::default();
    for (index, addon) in scenario.addons.iter().enumerate() {
        let entry = catalogue.entry(AddonId::from_index(index));
        let versions = addon.versions.iter().enumerate().map(|(number, version)| (version, files(entry, number)));
        if addon.delivery == Delivery::Helm {
            let charts: Vec<_> =
                versions.map(|(version, templates)| Chart { name: &addon.chart, version, templates }).collect();
            sources.helm(&addon.name, &charts);
        } else {
            let path = addon.path.trim_start_matches("./").trim_matches('/');
            let below = |name: String| if path.is_empty() { name } else { format!("{path}/{name}") };
            let branches: Vec<(&str, Files)> = versions
                .map(|(version, files)| {
                    (version.as_str(), files.into_iter().map(|(name, text)| (below(name), text)).collect())
                })
                .collect();
            sources.git(&addon.name, &branches);
        }
    }
    sources
}

/// What a change must bring about where the managers are programs of others: their revisions are theirs, and Flux has no
/// Application that names a source.
pub(super) fn expected(change: Change, kind: ManagerKind) -> Change {
    let source = if kind == ManagerKind::Flux { 0 } else { change.source };
    Change { revision: 0, source, ..change }
}

/// Whose calls those of a user agent are: its name up to the version. Flux asks for priorities, and its Helm for anything, under
/// the name of Go's library; nearly all of it is Helm.
pub(super) fn caller(agent: &str, kind: ManagerKind) -> &str {
    let name = agent.split('/').next().unwrap_or(agent);
    if kind == ManagerKind::Flux && name == "Go-http-client" { "helm-controller" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: served }
spec:
  addons:
    - name: web
      source: { git: { url: "https://git.example.org/web.git", path: ./deploy/ } }
      versions: [v1, v2]
    - name: chart
      source: { helm: { url: "https://charts.example.org", chart: theirs } }
      versions: ["1.0.0"]
  manager: { kind: flux, command: /programs }
  timeline: [{ change: { install: {} } }]
"#;

    #[test]
    fn every_addon_comes_from_here_and_is_served() {
        let scenario = crate::scenario::parse(TEXT, "served", &[]).unwrap();
        let served = served(&scenario, "http://127.0.0.1:1");
        let urls: Vec<_> = served.addons.iter().map(|addon| addon.repo_url.as_str()).collect();
        assert_eq!(urls, ["http://127.0.0.1:1/git/web.git", "http://127.0.0.1:1/charts/chart"]);
        assert_eq!(served.hash, scenario.hash, "the port of a run is no part of what it is");
        let text = format!("{:?}", sources(&scenario));
        for part in ["/git/web.git", "refs/heads/v1", "refs/heads/v2", "/charts/chart/theirs-1.0.0.tgz"] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn calls_go_to_the_program_that_names_itself() {
        let check = |agent, kind, name| assert_eq!(caller(agent, kind), name);
        check("source-controller/v0.0.0 (linux/amd64)", ManagerKind::Flux, "source-controller");
        check("Go-http-client/2.0", ManagerKind::Flux, "helm-controller");
        check("curl", ManagerKind::Flux, "curl");
    }
}
