use super::*;

fn shipped() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_shipped_scenario_loads_and_names_its_schema() {
    let shipped = shipped();
    assert!(shipped.len() >= 4);
    for (name, text) in shipped {
        let (scenario, problems) = examine(&text, &name, &[]);
        assert!(problems.is_empty(), "{:?}", miette::Report::new(Errors { problems }));
        let scenario = scenario.unwrap();
        assert!(name.ends_with(&format!("/{}.yaml", scenario.name)), "{name} is called {}", scenario.name);
        assert!(text.starts_with("# yaml-language-server: $schema=scenario.schema.json\n"), "{name}");
    }
}

#[test]
fn the_effective_scenario_is_a_fixed_point() {
    for (name, text) in shipped() {
        let scenario = parse(&text, &name, &[]).unwrap();
        let again = parse(&scenario.effective, "effective", &[])
            .unwrap_or_else(|e| panic!("{:?}\n{}", miette::Report::new(e), scenario.effective));
        assert_eq!(again, scenario);
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_format() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == schema(), "stale: run `flamboyance schema > scenarios/scenario.schema.json`");
}
