use super::Form;
use crate::calls::{Kind, Verb};
use crate::model::flux::tests::server::{Lab, addon};
use crate::units::Span;
use serde_json::Value;

/// Every body that the laboratory's controllers send in a life of a cluster, parsed.
fn bodies(lab: &mut Lab) -> Vec<(Kind, Verb, bool, Form, Value)> {
    std::mem::take(&mut lab.bodies)
        .into_iter()
        .map(|(op, form, text)| {
            let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {op:?}\n{text}"));
            (op.kind, op.verb, op.status, form, value)
        })
        .collect()
}

#[test]
fn every_body_of_a_life_is_json_in_the_form_of_its_call() {
    let mut lab = Lab::new(addon(3, 1));
    lab.git("10m").kustomization("10m", true, true).run(Span::from_secs(30));
    lab.commit().request(Kind::GIT_REPOSITORY);
    lab.delete(Kind::KUSTOMIZATION);
    let mut helm = Lab::new(addon(3, 1).helm());
    helm.helm_repository().release("10m", r#"{"a":{"b":"quote \" and\nline"}}"#, true).run(Span::from_secs(30));
    helm.upgrade();
    helm.delete(Kind::HELM_RELEASE);
    let all = [bodies(&mut lab), bodies(&mut helm)].concat();
    assert!(all.len() > 80);
    for (kind, verb, status, form, value) in all {
        match form {
            Form::Object => {
                assert_eq!(value["kind"], kind.info().kind);
                assert!(value["metadata"]["name"].is_string(), "{value}");
            }
            Form::Merge | Form::Strategic => {
                assert_eq!(verb, Verb::Patch);
                assert!(value.get("status").is_none() || status, "{value}");
            }
            Form::None => panic!("a read has no body"),
        }
    }
}

#[test]
fn the_final_status_of_a_kustomization_reads_as_flux_writes_it() {
    let mut lab = Lab::new(addon(1, 1));
    lab.git("10m").kustomization("10m", true, true).run(Span::from_secs(30));
    let mut status = Value::Null;
    for (kind, _, is_status, _, body) in bodies(&mut lab) {
        if kind == Kind::KUSTOMIZATION && is_status {
            json_patch::merge(&mut status, &body);
        }
    }
    insta::assert_json_snapshot!(status["status"]);
}

#[test]
fn a_deployment_and_a_chart_read_as_flux_applies_them() {
    let mut lab = Lab::new(addon(1, 1).helm());
    lab.helm_repository().release("10m", r#"{"replicas":3,"a":{"b":"c"}}"#, false).run(Span::from_secs(30));
    let applied = bodies(&mut lab).into_iter().filter(|b| b.1 == Verb::Apply);
    let mut seen: Vec<Value> = applied.map(|b| b.4).collect();
    seen.dedup();
    insta::assert_json_snapshot!(seen);
}
