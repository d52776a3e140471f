use super::*;
use crate::apiserver::schema::Catalog;
use base64::Engine as _;
use serde_json::json;
use std::cell::RefCell;

/// Answers with what a table says by the hook's name, and remembers what was asked.
#[derive(Default)]
struct Table {
    answers: Vec<(&'static str, Value)>,
    asked: RefCell<Vec<(String, Value)>>,
}

impl Ask for Table {
    fn ask(&self, questions: &[Outgoing<'_>]) -> Vec<Result<Vec<u8>, String>> {
        let answer = |question: &Outgoing<'_>| {
            let review: Value = serde_json::from_slice(&question.body).unwrap();
            let uid = review["request"]["uid"].clone();
            self.asked.borrow_mut().push((question.hook.name.clone(), review));
            let (_, response) = self.answers.iter().find(|(name, _)| *name == question.hook.name).unwrap();
            if response.is_null() {
                return Err("failed to call webhook: nobody there".to_owned());
            }
            let mut response = response.clone();
            response["uid"] = uid;
            let review =
                json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
            Ok(review.to_string().into_bytes())
        };
        questions.iter().map(answer).collect()
    }

    fn uid(&self) -> String {
        format!("review-{}", self.asked.borrow().len())
    }

    fn object(&self, _: &Resource, _: &str, name: &str) -> Option<Value> {
        Some(json!({ "metadata": { "name": name, "labels": { "team": name } } }))
    }

    fn objects(&self, _: &Resource, _: &str) -> Vec<Value> {
        Vec::new()
    }
}

fn hook(name: &str, more: &Value) -> Value {
    let mut hook = json!({
        "name": name, "clientConfig": { "url": "https://127.0.0.1:1/" }, "admissionReviewVersions": ["v1"],
        "sideEffects": "None", "failurePolicy": "Fail", "matchPolicy": "Equivalent",
        "rules": [{ "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "*" }],
    });
    json_patch::merge(&mut hook, more);
    hook
}

fn patch(operations: &Value) -> Value {
    let text = base64::engine::general_purpose::STANDARD.encode(operations.to_string());
    json!({ "allowed": true, "patchType": "JSONPatch", "patch": text })
}

fn attempt<'a>(resource: &'a Arc<Resource>, object: &'a Value) -> Attempt<'a> {
    Attempt {
        operation: Operation::Create,
        resource,
        subresource: None,
        namespace: "a",
        name: "x",
        dry_run: false,
        object: Some(object),
        old: None,
    }
}

fn resource(group: &str, version: &str, plural: &str) -> Arc<Resource> {
    Arc::clone(Catalog::builtin().find(group, version, plural).unwrap())
}

fn asking<'a>(hooks: &'a Hooks, ask: &'a Table) -> Asking<'a> {
    const NULL: &Value = &Value::Null;
    Asking { hooks, catalog: Catalog::builtin(), user: NULL, options: NULL, ask, warnings: RefCell::default() }
}

/// Whether one hook with these changes to the widest one is asked about the creation of a Deployment in namespace `a`.
fn check_asked(more: &Value, expected: bool) {
    let hooks = Hooks::read([(Sort::Validating, "one", &json!([hook("one", more)]))]);
    let table = Table { answers: vec![("one", json!({ "allowed": true }))], ..Table::default() };
    let object = json!({ "apiVersion": "apps/v1", "metadata": { "name": "x", "labels": { "app": "web" } } });
    asking(&hooks, &table).validate(&attempt(&resource("apps", "v1", "deployments"), &object)).unwrap();
    assert_eq!(!table.asked.borrow().is_empty(), expected, "{more}");
}

fn rule(more: &Value) -> Value {
    let mut rule =
        json!({ "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "*" });
    json_patch::merge(&mut rule, more);
    json!({ "rules": [rule] })
}

#[test]
fn hooks_are_asked_about_what_their_rules_and_selectors_say() {
    for (more, expected) in [
        (json!({}), true),
        (rule(&json!({ "operations": ["UPDATE", "DELETE"] })), false),
        (rule(&json!({ "operations": ["UPDATE", "CREATE"] })), true),
        (rule(&json!({ "apiGroups": ["", "batch"] })), false),
        (rule(&json!({ "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"] })), true),
        (rule(&json!({ "apiVersions": ["v1beta1"] })), false),
        (rule(&json!({ "resources": ["deployments/*"] })), true),
        (rule(&json!({ "resources": ["*/status", "pods"] })), false),
        (rule(&json!({ "resources": ["*/*"] })), true),
        (rule(&json!({ "scope": "Cluster" })), false),
        (rule(&json!({ "scope": "Namespaced" })), true),
        (json!({ "namespaceSelector": { "matchLabels": { "team": "a" } } }), true),
        (json!({ "namespaceSelector": { "matchLabels": { "team": "b" } } }), false),
        (
            json!({ "namespaceSelector": { "matchExpressions": [{ "key": "team", "operator": "NotIn", "values": ["a"] }] } }),
            false,
        ),
        (json!({ "objectSelector": { "matchLabels": { "app": "web" } } }), true),
        (json!({ "objectSelector": { "matchExpressions": [{ "key": "app", "operator": "DoesNotExist" }] } }), false),
        (json!({ "matchConditions": [{ "name": "a", "expression": "object.metadata.name == 'x'" }] }), true),
        (json!({ "matchConditions": [{ "name": "a", "expression": "request.operation == 'DELETE'" }] }), false),
        (
            json!({ "matchConditions": [{ "name": "a", "expression": "object.nope == 1" }, { "name": "b", "expression": "false" }] }),
            false,
        ),
    ] {
        check_asked(&more, expected);
    }
}

#[test]
fn another_version_of_the_kind_is_shown_to_hooks_that_know_only_that_one() {
    let rules = rule(&json!({ "apiGroups": ["autoscaling"], "apiVersions": ["v2"] }));
    let table = Table { answers: vec![("one", json!({ "allowed": true }))], ..Table::default() };
    let object = json!({ "apiVersion": "autoscaling/v1", "metadata": { "name": "x" } });
    let asked = resource("autoscaling", "v1", "horizontalpodautoscalers");
    let hooks = Hooks::read([(Sort::Validating, "one", &json!([hook("one", &rules)]))]);
    asking(&hooks, &table).validate(&attempt(&asked, &object)).unwrap();
    let request = table.asked.borrow()[0].1["request"].clone();
    assert_eq!(request["resource"]["version"], "v2");
    assert_eq!(request["requestResource"]["version"], "v1");
    assert_eq!(request["object"]["apiVersion"], "autoscaling/v2");
    let mut exact = rules.clone();
    exact["matchPolicy"] = json!("Exact");
    let hooks = Hooks::read([(Sort::Validating, "one", &json!([hook("one", &exact)]))]);
    asking(&hooks, &table).validate(&attempt(&asked, &object)).unwrap();
    assert_eq!(table.asked.borrow().len(), 1, "an exact match is none");
}

#[test]
fn each_hook_sees_what_the_ones_before_made_and_some_are_asked_again() {
    let add = |name: &str| patch(&json!([{ "op": "add", "path": format!("/data/{name}"), "value": "1" }]));
    let table = Table { answers: vec![("a", add("a")), ("b", add("b"))], ..Table::default() };
    let object = json!({ "apiVersion": "v1", "metadata": { "name": "x" }, "data": {} });
    let resource = resource("", "v1", "configmaps");
    let again = json!({ "reinvocationPolicy": "IfNeeded" });
    let configured = json!([hook("a", &again), hook("b", &again)]);
    let hooks = Hooks::read([(Sort::Mutating, "one", &configured)]);
    let new = asking(&hooks, &table).mutate(&attempt(&resource, &object)).unwrap();
    assert_eq!(new.unwrap()["data"], json!({ "a": "1", "b": "1" }));
    let asked = table.asked.borrow();
    let seen: Vec<_> =
        asked.iter().map(|(name, review)| (&**name, review["request"]["object"]["data"].clone())).collect();
    let both = json!({ "a": "1", "b": "1" });
    assert_eq!(seen, [("a", json!({})), ("b", json!({ "a": "1" })), ("a", both)]);
}

/// The refusal of a ConfigMap by one hook with this answer; null for one that cannot be reached.
fn check_refusal(sort: Sort, more: &Value, answer: Value, expected: Option<(u16, &str)>) {
    let hooks = Hooks::read([(sort, "one", &json!([hook("one", more)]))]);
    let table = Table { answers: vec![("one", answer)], ..Table::default() };
    let object = json!({ "apiVersion": "v1", "metadata": { "name": "x" } });
    let resource = resource("", "v1", "configmaps");
    let attempt = Attempt { dry_run: more["sideEffects"] == "Some", ..attempt(&resource, &object) };
    let asking = asking(&hooks, &table);
    let outcome = match sort {
        Sort::Mutating => asking.mutate(&attempt).map(drop),
        Sort::Validating => asking.validate(&attempt),
    };
    let refusal = outcome.err().map(|failure| (failure.code, failure.message));
    assert_eq!(refusal.as_ref().map(|(code, message)| (*code, message.as_str())), expected);
}

/// Texts as kube-apiserver 1.36.3 gave them.
#[test]
fn refusals_are_in_the_words_of_the_original() {
    use Sort::{Mutating, Validating};
    let open = json!({ "failurePolicy": "Ignore" });
    check_refusal(Validating, &json!({}), json!({ "allowed": true }), None);
    let silent = (400, "admission webhook \"one\" denied the request without explanation");
    check_refusal(Validating, &json!({}), json!({ "allowed": false }), Some(silent));
    let status = json!({ "allowed": false, "status": { "code": 403, "reason": "Forbidden" } });
    check_refusal(Validating, &open, status, Some((403, "admission webhook \"one\" denied the request: Forbidden")));
    let gone = "Internal error occurred: failed calling webhook \"one\": failed to call webhook: nobody there";
    check_refusal(Mutating, &json!({}), Value::Null, Some((500, gone)));
    check_refusal(Validating, &open, Value::Null, None);
    let failing = json!({ "matchConditions": [{ "name": "a", "expression": "object.nope == 1" }] });
    let why = "configmaps \"x\" is forbidden: expression 'object.nope == 1' resulted in error: no such key: nope";
    check_refusal(Validating, &failing, json!({ "allowed": true }), Some((403, why)));
    let dry = (400, "admission webhook \"one\" does not support dry run");
    check_refusal(Validating, &json!({ "sideEffects": "Some" }), json!({ "allowed": true }), Some(dry));
    let untyped = json!({ "allowed": true, "patch": "W10=" });
    let why = "Internal error occurred: failed calling webhook \"one\": received invalid webhook response: webhook returned response.patch but not response.patchType";
    check_refusal(Mutating, &json!({}), untyped, Some((500, why)));
    let stray = patch(&json!([{ "op": "replace", "path": "/nope/x", "value": 1 }]));
    let why = "Internal error occurred: replace operation does not apply: doc is missing path: /nope/x: missing value";
    check_refusal(Mutating, &open, stray, Some((500, why)));
}
