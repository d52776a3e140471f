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
        // What a study varies is no part of what one run is.
        assert_eq!(again, Scenario { matrix: Vec::new(), ..scenario });
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_format() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == schema(), "stale: run `flamboyance schema > scenarios/scenario.schema.json`");
}

/// The report as a terminal without colours shows it.
fn rendered(problems: Vec<Problem>) -> String {
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    let mut report = String::new();
    handler.with_width(100).render_report(&mut report, &Errors { problems }).unwrap();
    report
}

#[test]
fn bad_scenarios_are_told_all_their_errors_at_once() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-scenarios");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        // Overrides stand as comments at the head of the file.
        let sets: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect();
        let (scenario, problems) = examine(&text, name, &sets);
        assert!(scenario.is_none(), "{name} is good");
        settings.bind(|| insta::assert_snapshot!(name.trim_end_matches(".yaml"), rendered(problems)));
        seen += 1;
    }
    assert!(seen >= 10);
}

#[test]
fn the_template_of_init_is_a_good_scenario_without_warnings() {
    let (scenario, problems) = examine(TEMPLATE, "template.yaml", &[]);
    assert!(problems.is_empty(), "{}", rendered(problems));
    assert_eq!(scenario.unwrap().addons.len(), 2);
}

#[test]
fn a_problem_in_json_has_the_fields_that_scripts_read() {
    let problems = parse("kind: Scenario\n", "a.yaml", &[]).unwrap_err().problems;
    let json = serde_json::to_value(&problems[0]).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["code", "column", "end_column", "end_line", "file", "hint", "line", "message", "path", "severity"]
    );
    assert_eq!((&json["line"], &json["severity"]), (&1.into(), &"error".into()));
}

const SMOKE: &str = include_str!("../../scenarios/smoke.yaml");

fn set(sets: &[&str]) -> Result<Scenario, Errors> {
    parse(SMOKE, "smoke.yaml", &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>())
}

#[test]
fn overrides_reach_every_place_of_a_scenario() {
    let scenario = set(&[
        "fleet.clusters=7",
        "spec.addons.0.interval=2s",
        "addons.0.values.a\\.b=\"{cluster}\"",
        "addons.0.selector={labels: {environment: [production]}, share: 50%}",
        "metadata.name=other",
        "fleet.kubernetes=[{version: \"1.30\"}]",
        "run.flux.fetch.fixed=1ms",
        "run.tls=false",
    ])
    .unwrap();
    assert_eq!(scenario.name, "other");
    assert_eq!((scenario.fleet.clusters, scenario.run.tls), (7, false));
    let addon = &scenario.addons[0];
    assert_eq!(addon.interval, Some(crate::units::Span::from_secs(2)));
    assert_eq!(addon.values["a.b"], "{cluster}");
    assert_eq!(addon.selector.share_ppm, 500_000);
    assert_eq!(scenario.fleet.kubernetes[0].name, "1.30");
    assert_eq!(scenario.run.flux.fetch, Delay::Fixed(crate::units::Span::from_millis(1)));
    assert_eq!(scenario.set.len(), 8);
}

#[test]
fn the_hash_is_of_the_meaning_and_not_of_the_writing() {
    let hash = set(&[]).unwrap().hash;
    assert_eq!(hash.len(), 64);
    assert_eq!(set(&["fleet.clusters=20", "addons.0.weight=1"]).unwrap().hash, hash);
    assert_eq!(parse(&format!("# a comment\n{SMOKE}"), "b", &[]).unwrap().hash, hash);
    for other in ["fleet.clusters=21", "run.seed=2", "addons.0.wait=false", "metadata.name=a"] {
        assert_ne!(set(&[other]).unwrap().hash, hash, "{other}");
    }
}

#[test]
fn every_number_of_the_format_has_both_limits() {
    fn walk(schema: &serde_json::Value, path: &str) {
        let (schema, _) = schema::without_null(schema);
        if matches!(schema::type_of(schema), "integer" | "number") {
            assert!(schema["minimum"].is_number() && schema["maximum"].is_number(), "{path} has no limits");
        }
        for variant in schema::variants(schema) {
            if let schema::Variant::Key(key, inner) = variant {
                walk(inner, &format!("{path}.{key}"));
            }
        }
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            assert!(inner["description"].is_string(), "{path}.{key} is not described");
            walk(inner, &format!("{path}.{key}"));
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}.*"));
        }
        if schema["additionalProperties"].is_object() {
            walk(&schema["additionalProperties"], &format!("{path}.*"));
        }
    }
    walk(schema::inline(), "");
}

#[test]
fn an_error_does_not_bring_up_others_that_rest_on_it() {
    for (written, instead, codes) in [
        // A misspelt key is not also a contradiction of its default.
        (
            "  fleet:\n    clusters: 20",
            "  fleet:\n    cluster: 2\n  topology: { kind: sharded, shards: 20 }",
            ["unknown-key"],
        ),
        // An add-on whose name is wrong is not also unknown to the timeline.
        ("name: ingress", "name: Ingress", ["value"]),
        ("{ install: {} }", "{ instal: {} }", ["unknown-value"]),
        ("versions: [v1.0.0]", "versions: v1.0.0", ["type"]),
    ] {
        let text = SMOKE.replace(written, instead);
        assert_ne!(text, SMOKE);
        let problems = parse(&text, "a.yaml", &[]).unwrap_err().problems;
        let found: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(found, codes, "{}", rendered(problems));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_panic(text: String, set: String) {
        let _ = examine(&text, "a.yaml", &[set]);
    }

    #[test]
    fn no_damage_to_a_scenario_is_a_panic(which in 0..4_usize, at in 0..4000_usize, cut in 0..40_usize, text in "\\PC{0,3}|[-:{}\\[\\]&*'\"#\n ]{1,4}") {
        let (name, mut scenario) = shipped().swap_remove(which);
        let characters: Vec<(usize, char)> = scenario.char_indices().collect();
        let byte = |index: usize| characters.get(index).map_or(scenario.len(), |(byte, _)| *byte);
        let (start, end) = (byte(at), byte(at + cut));
        scenario.replace_range(start..end, &text);
        let (good, problems) = examine(&scenario, &name, &[]);
        proptest::prop_assert!(good.is_some() || problems.iter().any(|problem| problem.severity == Severity::Error));
        rendered(problems);
    }

    #[test]
    fn an_override_of_anything_by_anything_is_no_panic(path in "(spec|fleet|addons|0|timeline|change|run|source|git|labels|a|[.]){1,8}", value in "(\\PC{0,4}|[\\[{].{0,6})") {
        let _ = set(&[&format!("{path}={value}")]);
    }

    #[test]
    fn the_effective_text_keeps_the_hash_whatever_is_set(
        clusters in 1..1_000_000_u32, milli in 0..10_000_u64, ppm in 1..=1_000_000_u32, exponent in 0.0..5.0_f64, replicas in 0..9_u32,
    ) {
        let span = crate::units::Span::from_millis(milli + 1000);
        let share = crate::units::Share { ppm };
        let sets = [
            format!("fleet.clusters={clusters}"),
            format!("run.flux.healthPoll={span}"),
            format!("addons.0.selector.share={share}"),
            format!("fleet.nodes={{zipf: {{exponent: {exponent}, max: 5}}}}"),
            format!("timeline.0.change={{install: {{waves: {}}}}}", replicas + 1),
        ];
        let (scenario, problems) = examine(SMOKE, "smoke.yaml", &sets);
        let Some(scenario) = scenario else { panic!("{}", rendered(problems)) };
        let again = parse(&scenario.effective, "effective", &[]).unwrap();
        proptest::prop_assert_eq!(again.hash, scenario.hash);
    }
}
