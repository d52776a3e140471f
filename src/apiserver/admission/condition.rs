//! Expressions over an attempt: the variables that they see, and the conditions under which somebody is asked.

use super::Attempt;
use crate::apiserver::cel::{CALL_MAX, Failed, Input, Output, Program, Type};
use serde_json::Value;
use std::sync::Arc;

/// The variables of expressions in webhooks and policies, which may have parameters (`plugin/cel/compile.go`).
pub(in crate::apiserver) fn variables(params: bool) -> Vec<(&'static str, Type)> {
    let any = || Type::Dyn;
    let text = || Type::Text;
    let kind = |name, last| Type::structure(name, [("group", text()), ("version", text()), (last, text())]);
    let (gvk, gvr) = (kind("kubernetes.GroupVersionKind", "kind"), kind("kubernetes.GroupVersionResource", "resource"));
    let texts = || Type::list(text());
    let user = Type::structure(
        "kubernetes.UserInfo",
        [("username", text()), ("uid", text()), ("groups", texts()), ("extra", Type::map(text(), texts()))],
    );
    let request = Type::structure(
        "kubernetes.AdmissionRequest",
        [
            ("kind", gvk.clone()),
            ("resource", gvr.clone()),
            ("subResource", text()),
            ("requestKind", gvk),
            ("requestResource", gvr),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", Type::Bool),
            ("options", any()),
        ],
    );
    let mut all = vec![("object", any()), ("oldObject", any()), ("namespaceObject", namespace()), ("request", request)];
    all.extend(params.then(|| ("params", any())));
    all
}

/// What expressions see of a namespace.
fn namespace() -> Type {
    let text = || Type::Text;
    let condition = ["status", "type", "message", "reason"].map(|name| (name, text()));
    let condition = Type::structure(
        "kubernetes.NamespaceCondition",
        condition.into_iter().chain([("lastTransitionTime", Type::Time)]),
    );
    let metadata = ["name", "generateName", "namespace", "UID", "resourceVersion"].map(|name| (name, text()));
    let more = [
        ("labels", Type::map(text(), text())),
        ("annotations", Type::map(text(), text())),
        ("creationTimestamp", Type::Time),
        ("deletionGracePeriodSeconds", Type::Int),
        ("deletionTimestamp", Type::Time),
        ("generation", Type::Int),
        ("finalizers", Type::list(text())),
    ];
    let metadata = Type::structure("kubernetes.NamespaceMetadata", metadata.into_iter().chain(more));
    let spec = Type::structure("kubernetes.NamespaceSpec", [("finalizers", Type::list(text()))]);
    let status =
        Type::structure("kubernetes.NamespaceStatus", [("conditions", Type::list(condition)), ("phase", text())]);
    Type::structure("kubernetes.Namespace", [("metadata", metadata), ("spec", spec), ("status", status)])
}

/// The values of variables for an attempt, of which `request` tells.
pub(super) fn given<'a>(
    variables: &'a [(&'static str, Type)],
    attempt: &Attempt<'a>,
    namespace: Option<&'a Value>,
    request: &'a Value,
    params: Option<&'a Value>,
) -> Vec<(&'static str, Input<'a>)> {
    const NONE: &Value = &Value::Null;
    let value = |name: &str| match name {
        "object" => attempt.object.unwrap_or(NONE),
        "oldObject" => attempt.old.unwrap_or(NONE),
        "namespaceObject" => namespace.unwrap_or(NONE),
        "request" => request,
        "params" => params.unwrap_or(NONE),
        _ => NONE,
    };
    let known = variables.iter().filter(|(name, _)| *name != "variables");
    known.map(|(name, kind)| (*name, Input::Value(value(name), kind))).collect()
}

/// One of `matchConditions`.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    text: String,
    /// Or what is wrong with it.
    program: Result<Arc<Program>, String>,
}

impl Condition {
    /// The conditions of a webhook or a policy; one that asks the authorizer, whom expressions do not reach here, counts
    /// as met.
    pub(super) fn read_all(list: &Value, params: bool) -> Vec<Self> {
        let variables = variables(params);
        let read = |condition: &Value| {
            let text = condition["expression"].as_str().unwrap_or_default().to_owned();
            let program = Program::compile(&text, &variables).map(Arc::new);
            (program.is_ok() || !text.contains("authorizer")).then_some(Self { text, program })
        };
        list.as_array().into_iter().flatten().filter_map(read).collect()
    }

    fn holds(&self, given: &[(&str, Input<'_>)]) -> Result<bool, String> {
        let failed = |why: &str| format!("expression '{}' resulted in error: {why}", self.text);
        let program = self.program.as_ref().map_err(|why| failed(&format!("compilation error: {why}")))?;
        match program.run(given, &mut CALL_MAX.clone()) {
            Ok(Output::Truth(truth)) => Ok(truth),
            Ok(_) => Err(failed("must evaluate to bool")),
            Err(Failed::Error(why)) => Err(failed(&why)),
            Err(Failed::TooMuch) => Err(failed("operation cancelled: actual cost limit exceeded")),
        }
    }
}

/// Whether all conditions hold. One that does not outweighs those that fail (`matchconditions/matcher.go`).
///
/// # Errors
/// What failed, unless that is to be ignored.
pub(super) fn all_hold(
    conditions: &[Condition],
    given: &[(&str, Input<'_>)],
    fails_open: bool,
) -> Result<bool, String> {
    let outcomes: Vec<_> = conditions.iter().map(|condition| condition.holds(given)).collect();
    if outcomes.contains(&Ok(false)) {
        return Ok(false);
    }
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    match failed.as_slice() {
        [] => Ok(true),
        _ if fails_open => Ok(false),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}
