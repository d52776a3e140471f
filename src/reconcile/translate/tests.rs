use super::*;
use proptest::prelude::*;

/// What Flux 2.2 served: the versions that the original pins.
fn flux_2_2() -> FluxApi {
    FluxApi { source: "v1beta2".into(), kustomize: "v1".into(), helm: "v2beta2".into() }
}

fn app(name: &str, source: Value) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "source": source,
            "destination": { "server": "https://example.org", "namespace": "team" },
            "syncPolicy": { "syncOptions": ["FluxSubsystem=true", "AutoCreateFluxResources=true"] },
        },
    })
}

fn documents(app: &Value) -> [Value; 2] {
    translate(app, &flux_2_2(), Behaviour::Faithful).unwrap().documents.unwrap()
}

/// Section 2.6 of the behavioural specification: its own test vector.
fn worked_example() -> Value {
    let mut web =
        app("web", json!({"repoURL": "https://example.org/r.git", "path": "./deploy", "targetRevision": "main"}));
    web["metadata"]["labels"] = json!({ "flamingo/workload-name": "web-ks" });
    web["metadata"]["annotations"] =
        json!({ "flamingo/gitrepository-override": "spec:\n  secretRef:\n    name: cred\n  ref: {tag: v1}\n" });
    web
}

#[test]
fn the_worked_example_of_a_kustomization_holds() {
    let [workload, source] = documents(&worked_example());
    assert_eq!(
        source,
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1beta2", "kind": "GitRepository",
            "metadata": { "name": "web", "namespace": "team", "labels": { "flamingo/generated": "true" } },
            "spec": {
                "interval": "10m", "url": "https://example.org/r.git", "ref": { "branch": "main", "tag": "v1" },
                "secretRef": { "name": "cred" },
            },
        })
    );
    assert_eq!(
        workload,
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "web-ks", "namespace": "team", "labels": { "flamingo/generated": "true" } },
            "spec": {
                "interval": "10m", "path": "./deploy", "prune": true, "wait": true,
                "sourceRef": { "kind": "GitRepository", "name": "web", "namespace": "team" },
            },
        })
    );
}

#[test]
fn the_worked_example_of_a_helm_release_holds() {
    let [workload, source] = documents(&app(
        "chart",
        json!({
            "chart": "podinfo", "repoURL": "oci://reg/charts", "targetRevision": "6.6.1",
            "helm": {
                "releaseName": "x", "values": "ui: {message: a}",
                "parameters": [{"name": "ui.message", "value": "b"}, {"name": "replicaCount", "value": "2"}],
            },
        }),
    ));
    assert_eq!(source["spec"], json!({ "interval": "10m", "type": "oci", "url": "oci://reg/charts" }));
    assert_eq!(workload["apiVersion"], "helm.toolkit.fluxcd.io/v2beta2");
    assert_eq!(
        workload["spec"],
        json!({
            "interval": "10m", "releaseName": "chart", "targetNamespace": "team",
            "chart": { "spec": {
                "chart": "podinfo", "version": "6.6.1",
                "sourceRef": { "kind": "HelmRepository", "name": "chart", "namespace": "team" },
            } },
            "install": { "replace": true, "crds": "CreateReplace" }, "upgrade": { "crds": "CreateReplace" },
            "values": { "ui": { "message": "b" }, "replicaCount": "2" },
        })
    );
}

#[test]
fn an_oci_url_makes_an_oci_repository_with_a_tag() {
    let source = json!({"repoURL": "oci://reg/manifests", "path": ".", "targetRevision": "1.2"});
    let [workload, source] = documents(&app("web", source));
    assert_eq!((&source["kind"], &source["spec"]["ref"]), (&json!("OCIRepository"), &json!({ "tag": "1.2" })));
    assert_eq!(workload["spec"]["sourceRef"]["kind"], "OCIRepository");
}

#[test]
fn modes_follow_exact_sync_options() {
    for (options, want) in [
        (json!(["FluxSubsystem=true", "AutoCreateFluxResources=true"]), Mode::AutoCreate),
        (json!(["FluxSubsystem=true"]), Mode::Reference),
        (json!(["FluxSubsystem=true", "AutoCreateFluxResources=false"]), Mode::Reference),
        (json!(["FluxSubsystem=false", "AutoCreateFluxResources=true"]), Mode::Ordinary),
        (json!(["FluxSubsystem = true"]), Mode::Ordinary),
        (json!(null), Mode::Ordinary),
    ] {
        assert_eq!(mode(&json!({ "syncPolicy": { "syncOptions": options } })), want, "{options}");
    }
    assert_eq!(mode(&json!({})), Mode::Ordinary);
}

#[track_caller]
fn adjusted(annotation: &str, yaml: &str) -> Result<[Value; 2], TranslateError> {
    let mut app = worked_example();
    app["metadata"]["annotations"] = json!({ annotation: yaml });
    translate(&app, &flux_2_2(), Behaviour::Fixed).map(|plan| plan.documents.unwrap())
}

#[test]
fn overrides_merge_maps_and_replace_everything_else() {
    let [workload, _] = adjusted(
        "flamingo/kustomize-override",
        "metadata: {labels: {team: x}}\nspec: {wait: false, interval: null, dependsOn: [{name: a}]}",
    )
    .unwrap();
    assert_eq!(workload["metadata"]["labels"], json!({ "flamingo/generated": "true", "team": "x" }));
    assert_eq!(workload["spec"]["wait"], false);
    assert_eq!(workload["spec"]["interval"], Value::Null);
    assert_eq!(workload["spec"]["dependsOn"], json!([{ "name": "a" }]));
    assert_eq!(workload["spec"]["path"], "./deploy");
}

#[test]
fn a_replacement_replaces_the_spec_alone() {
    let [workload, _] = adjusted("flamingo/kustomize-replace", "spec: {path: ./other}\nmetadata: {name: no}").unwrap();
    assert_eq!((&workload["spec"], &workload["metadata"]["name"]), (&json!({"path": "./other"}), &json!("web-ks")));
    let [workload, _] = adjusted("flamingo/kustomize-replace", "other: 1").unwrap();
    assert_eq!(workload["spec"], Value::Null);
}

#[test]
fn what_cannot_be_translated_is_named() {
    for yaml in ["[1, 2]", "text", "a: [", "a: b: c"] {
        let error = adjusted("flamingo/gitrepository-override", yaml).unwrap_err();
        assert!(error.to_string().contains("flamingo/gitrepository-override"), "{yaml}: {error}");
    }
    let helm = |helm: Value| {
        let app = app("c", json!({"chart": "c", "repoURL": "https://c", "helm": helm}));
        [Behaviour::Fixed, Behaviour::Faithful]
            .map(|b| translate(&app, &flux_2_2(), b).map(|plan| plan.documents.unwrap()[0]["spec"]["values"].clone()))
    };
    let [fixed, faithful] = helm(json!({"values": "a: text", "parameters": [{"name": "a.b", "value": "c"}]}));
    let at = TranslateError::Values(ValuesError::NotAMap { name: "a.b".into(), at: "a".into() });
    assert_eq!((fixed, faithful), (Err(at.clone()), Err(at)));
    // A helm block without values: null in the original, which crashes on any parameter.
    assert_eq!(helm(json!({})), [Ok(json!({})), Ok(Value::Null)]);
    let [fixed, faithful] = helm(json!({"parameters": [{"name": "a", "value": "1"}]}));
    assert_eq!(fixed, Ok(json!({"a": "1"})));
    assert!(faithful.unwrap_err().crashes_the_original());
    let several = json!({"metadata": {"name": "m"}, "spec": {
        "sources": [], "syncPolicy": {"syncOptions": ["FluxSubsystem=true"]},
    }});
    assert_eq!(translate(&several, &flux_2_2(), Behaviour::Fixed), Err(TranslateError::NoSource));
}

#[test]
fn reference_mode_generates_nothing_and_names_the_workload() {
    let mut app = worked_example();
    app["spec"]["syncPolicy"]["syncOptions"] = json!(["FluxSubsystem=true"]);
    let plan = translate(&app, &flux_2_2(), Behaviour::Fixed).unwrap();
    assert_eq!((plan.mode, plan.documents.is_none()), (Mode::Reference, true));
    assert_eq!((plan.namespace.as_str(), plan.names[0].as_str()), ("team", "web-ks"));
}

/// Arbitrary JSON of small depth.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z~:#{ ]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_fields_survive_a_round_trip(value in json()) {
        let yaml = json!({ "spec": { "unknown": value } }).to_string();
        for annotation in ["flamingo/kustomize-override", "flamingo/kustomize-replace"] {
            let [workload, _] = adjusted(annotation, &yaml).unwrap();
            prop_assert_eq!(&workload["spec"]["unknown"], &value);
            let again: Value = serde_json::from_slice(&serde_json::to_vec(&workload).unwrap()).unwrap();
            prop_assert_eq!(again, workload);
        }
        // Helm values keep their types too; and a document covers itself whatever else the server adds.
        let helm = json!({ "values": json!({ "any": value }).to_string() });
        let merged = values::merged(&helm, Behaviour::Fixed).unwrap();
        prop_assert_eq!(&merged["any"], &value);
        let mut live = json!({ "spec": { "values": merged } });
        let desired = live.clone();
        live["status"] = json!({ "conditions": [] });
        prop_assert!(crate::reconcile::covers(&desired, &live, None));
    }
}
