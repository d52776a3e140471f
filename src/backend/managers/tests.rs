use super::*;
use crate::scenario::{Argo, Scheme};

const FOLDER: &str = "/run/managers";

fn scenario(kind: ManagerKind) -> Scenario {
    let text = crate::scenario::TEMPLATE;
    let mut scenario = crate::scenario::parse(text, "template", &[]).unwrap();
    scenario.manager.kind = kind;
    scenario.manager.command = Some("/programs".to_owned());
    scenario
}

fn found() -> Found {
    let all = argocd::PROGRAMS.iter().chain(&argocd::BESIDE).chain(&flux::PROGRAMS);
    Found(all.map(|name| (*name, Path::new("/programs").join(name))).collect())
}

const GROUND: (&str, &str) = (FOLDER, "/run/managers/kubeconfig");

fn ground() -> Ground<'static> {
    Ground { folder: Path::new(GROUND.0), kubeconfig: Path::new(GROUND.1) }
}

#[test]
fn what_is_missing_is_named_with_the_next_step() {
    let check = |kind: ManagerKind, there: &[&str], says: &str| {
        let is_there = |path: &Path| there.iter().any(|name| path == Path::new(name));
        let found = find_in(&scenario(kind).manager, &["/bin".into(), "/usr/bin".into()], is_there);
        match found {
            Ok(found) => assert_eq!(found.is_some().to_string(), says),
            Err(error) => assert!(error.to_string().contains(says), "{error}"),
        }
    };
    let argocd = ManagerKind::Argocd(Argo::default());
    let own = ["/programs/argocd-application-controller", "/programs/argocd-repo-server"];
    check(argocd, &[], "/programs and has no argocd-application-controller");
    check(argocd, &own[..1], "has no argocd-repo-server");
    check(argocd, &own, "needs redis-server, which is not in PATH");
    check(argocd, &[own[0], own[1], "/usr/bin/redis-server"], "needs git");
    check(argocd, &[own[0], own[1], "/usr/bin/redis-server", "/bin/git"], "true");
    check(ManagerKind::Flux, &["/programs/source-controller"], "has no kustomize-controller");
    check(ManagerKind::Loopback, &[], "false");
}

#[test]
fn every_program_stays_on_loopback_and_below_its_folder() {
    let argo = Argo::default();
    let scenario = scenario(ManagerKind::Argocd(argo));
    let ports = argocd::Ports { redis: 1, repo: 2, repo_metrics: 3 };
    let mut programs = argocd::ground(&found(), &scenario, &ground(), ports).to_vec();
    programs.extend(argocd::controllers(&found(), (&scenario, argo), &ground(), (ports, &[4, 5])));
    let ports = flux::Ports { artifacts: 1, metrics: [2, 3, 4], health: [5, 6, 7] };
    programs.extend(flux::controllers(&found(), &scenario, &ground(), ports));
    assert_eq!(programs.len(), 7);
    for program in &programs {
        assert!(program.path.starts_with("/programs"));
        let environment = program.environment.iter().map(|(_, value)| value.as_str());
        for argument in program.arguments.iter().map(String::as_str).chain(environment) {
            let value = argument.split_once('=').map_or(argument, |(_, value)| value);
            let outside = value.starts_with('/') && !value.starts_with(FOLDER);
            let abroad = value.contains(':') && !value.starts_with("127.0.0.1:");
            assert!(!outside && !abroad, "{}: {argument}", program.name);
        }
    }
}

#[test]
fn controllers_get_the_settings_of_the_scenario_and_shards_of_their_own() {
    let argo = Argo { operations: 7, ..Argo::default() };
    let mut scenario = scenario(ManagerKind::Argocd(argo));
    scenario.topology.scheme = Scheme::ConsistentHashing;
    scenario.manager.hub_qps_milli = 75_000;
    let ports = argocd::Ports { redis: 1, repo: 2, repo_metrics: 3 };
    let both = argocd::controllers(&found(), (&scenario, argo), &ground(), (ports, &[4, 5]));
    for (shard, program) in both.iter().enumerate() {
        let has = |wanted: &str| program.arguments.iter().any(|argument| argument == wanted);
        assert!(has("--operation-processors=7") && has("--sharding-method=consistent-hashing"));
        assert!(has(&format!("--metrics-port={}", shard + 4)));
        let told =
            |name: &str| program.environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        assert_eq!(told("ARGOCD_CONTROLLER_SHARD"), Some(shard.to_string()));
        assert_eq!(told("ARGOCD_CONTROLLER_REPLICAS"), Some("2".to_owned()));
        assert_eq!(told("ARGOCD_K8S_CLIENT_QPS"), Some("75".to_owned()));
    }
}
