//! Policies: expressions that decide about a write without asking anybody.
//!
//! A policy says what is looked at and what must hold, a binding where it counts, with which parameters, and what a violation
//! does (`admission/plugin/policy/validating`). Expressions that cannot be compiled are kept as what is wrong with them:
//! they fail when they are needed.

use super::Attempt;
use super::ask::Asking;
use super::condition::{self, Condition};
use super::matching::{Matching, label_terms, labels_match, texts};
use super::review::{self, Told};
use crate::apiserver::cel::{Failed, Output, Program, Scope, Type};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::schema::{Resource, group_version};
use crate::apiserver::select::LabelTerm;
use serde_json::Value;
use std::sync::Arc;

/// What the expressions of one policy may cost together (`RuntimeCELCostBudget` in `pkg/apis/cel/config.go`).
const BUDGET: u64 = 10_000_000;
/// Longest message that an expression may make (`MaxEvaluatedMessageExpressionSizeBytes`).
const MESSAGE_MAX: usize = 5 << 10;

/// One `ValidatingAdmissionPolicy` with its bindings.
#[derive(Clone, Debug)]
pub(in crate::apiserver) struct Policy {
    pub(super) name: String,
    pub(super) matching: Matching,
    fails_open: bool,
    param_kind: Option<ParamKind>,
    conditions: Vec<Condition>,
    variables: Vec<Composed>,
    validations: Vec<Validation>,
    /// What its expressions see.
    given: Vec<(&'static str, Type)>,
    bindings: Vec<Binding>,
}

/// Of which kind parameters are.
#[derive(Clone, Debug)]
struct ParamKind {
    api_version: String,
    kind: String,
}

/// A variable of a policy.
#[derive(Clone, Debug)]
pub(in crate::apiserver) struct Composed {
    name: String,
    /// Or what is wrong with its expression.
    pub(in crate::apiserver) program: Result<Arc<Program>, String>,
}

#[derive(Clone, Debug)]
struct Validation {
    text: String,
    program: Result<Compiled, String>,
    message: String,
    /// The expression that makes a message; none if there is none or it does not compile.
    says: Option<Compiled>,
    reason: String,
}

type Compiled = Arc<Program>;

/// One `ValidatingAdmissionPolicyBinding`.
#[derive(Clone, Debug)]
struct Binding {
    name: String,
    matching: Option<Matching>,
    params: Option<ParamRef>,
    actions: Vec<String>,
}

/// Which objects are the parameters.
#[derive(Clone, Debug)]
struct ParamRef {
    namespace: String,
    name: String,
    selector: Vec<LabelTerm>,
    /// Whether a write is refused if there are none.
    needed: bool,
}

/// Why a write is refused.
struct Denial {
    message: String,
    reason: String,
}

/// Compiles the variables of a policy, of which each sees those before, and lets later expressions see them all.
pub(in crate::apiserver) fn composed(spec: &Value, given: &mut Vec<(&'static str, Type)>) -> Vec<Composed> {
    let mut all: Vec<Composed> = Vec::new();
    let mut types: Vec<(&str, Type)> = Vec::new();
    for variable in spec["variables"].as_array().into_iter().flatten() {
        let text = |field: &str| variable[field].as_str().unwrap_or_default();
        let program = Program::compile(text("expression"), given).map(Arc::new);
        types.push((text("name"), program.as_ref().map_or(Type::Dyn, |program| program.result().clone())));
        all.push(Composed { name: text("name").to_owned(), program });
        given.retain(|(name, _)| *name != "variables");
        given.push(("variables", Type::structure("kubernetes.variables", types.iter().cloned())));
    }
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Policy {
    /// Reads a policy and those of all bindings that name it, each as its name and its `spec`.
    pub(in crate::apiserver) fn read(name: &str, spec: &Value, bindings: &[(&str, &Value)]) -> Self {
        let param_kind = spec["paramKind"].as_object().map(|kind| ParamKind {
            api_version: kind.get("apiVersion").map(text).unwrap_or_default(),
            kind: kind.get("kind").map(text).unwrap_or_default(),
        });
        let mut given = condition::variables(param_kind.is_some());
        let variables = composed(spec, &mut given);
        let validations = spec["validations"].as_array().into_iter().flatten();
        let mut bindings: Vec<Binding> = bindings
            .iter()
            .filter(|(_, spec)| spec["policyName"] == name)
            .map(|(name, spec)| Binding::read(name, spec))
            .collect();
        bindings.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            name: name.to_owned(),
            matching: Matching::of_policy(&spec["matchConstraints"]),
            fails_open: spec["failurePolicy"] == "Ignore",
            conditions: Condition::read_all(&spec["matchConditions"], param_kind.is_some()),
            param_kind,
            validations: validations.map(|validation| Validation::read(validation, &given)).collect(),
            variables,
            given,
            bindings,
        }
    }

    /// Whether it counts anywhere.
    pub(super) fn is_bound(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// The refusals of the policy with one set of parameters.
    fn denials(
        &self,
        attempt: &Attempt<'_>,
        namespace: Option<&Value>,
        request: &Value,
        params: Option<&Value>,
    ) -> Vec<Denial> {
        let error = |message: String| match self.fails_open {
            true => Vec::new(),
            false => vec![Denial { message, reason: String::new() }],
        };
        let given = condition::given(&self.given, attempt, None, request, params);
        match condition::all_hold(&self.conditions, &given, self.fails_open) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(why) => return error(why),
        }
        let given = condition::given(&self.given, attempt, namespace, request, params);
        let mut scope = match Scope::new(&given) {
            Ok(scope) => scope,
            Err(_) => return error("failed to prepare the variables for evaluation".to_owned()),
        };
        for Composed { name, program } in &self.variables {
            scope.compose(name, program.as_deref().map_err(String::as_str));
        }
        let mut budget = BUDGET;
        let mut denials = Vec::new();
        for validation in &self.validations {
            match validation.holds(&scope, &mut budget) {
                Ok(true) => {}
                Ok(false) => denials.push(validation.denial(&scope, &mut budget)),
                Err(why) => denials.extend(error(why)),
            }
        }
        denials
    }
}

impl Validation {
    fn read(validation: &Value, given: &[(&'static str, Type)]) -> Self {
        let says = validation["messageExpression"].as_str().filter(|text| !text.is_empty());
        Self {
            text: text(&validation["expression"]),
            program: Program::compile(validation["expression"].as_str().unwrap_or_default(), given).map(Arc::new),
            message: text(&validation["message"]),
            says: says.and_then(|text| Program::compile(text, given).ok()).map(Arc::new),
            reason: text(&validation["reason"]),
        }
    }

    fn holds<'a>(&'a self, scope: &Scope<'a>, budget: &mut u64) -> Result<bool, String> {
        let failed = |why: &str| format!("expression '{}' resulted in error: {why}", self.text);
        let program = self.program.as_ref().map_err(|why| format!("compilation error: {why}"))?;
        match scope.run(program, budget) {
            Ok(output) => Ok(output == Output::Truth(true)),
            Err(Failed::Error(why)) => Err(failed(&why)),
            Err(Failed::TooMuch) if *budget == 0 => {
                let why =
                    "validation failed due to running out of cost budget, no further validation rules will be run";
                Err(why.to_owned())
            }
            Err(Failed::TooMuch) => Err(failed("operation cancelled: actual cost limit exceeded")),
        }
    }

    fn denial<'a>(&'a self, scope: &Scope<'a>, budget: &mut u64) -> Denial {
        let said = self.says.as_ref().and_then(|program| match scope.run(program, budget) {
            Ok(Output::Text(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
        let said = said.filter(|text| !text.is_empty() && text.len() <= MESSAGE_MAX && !text.contains('\n'));
        let message = said.unwrap_or_else(|| match self.message.trim() {
            "" => format!("failed expression: {}", self.text.trim()),
            message => message.to_owned(),
        });
        Denial { message, reason: self.reason.clone() }
    }
}

impl Binding {
    fn read(name: &str, spec: &Value) -> Self {
        let params = spec["paramRef"].is_object().then(|| {
            let params = &spec["paramRef"];
            ParamRef {
                namespace: text(&params["namespace"]),
                name: text(&params["name"]),
                selector: label_terms(&params["selector"]),
                needed: params["parameterNotFoundAction"] == "Deny",
            }
        });
        let matching = spec["matchResources"].is_object().then(|| Matching::of_policy(&spec["matchResources"]));
        Self { name: name.to_owned(), matching, params, actions: texts(&spec["validationActions"]) }
    }
}

impl Asking<'_> {
    /// Whether all policies let an attempt pass. `namespace` is that whose labels decide.
    pub(super) fn judge(&self, attempt: &Attempt<'_>, namespace: Option<&Value>) -> Result<(), Box<Failure>> {
        let mut first = None;
        for policy in self.hooks.policies() {
            let Some(seen) = policy.matching.matches(attempt, namespace, self.catalog) else { continue };
            if let Err(why) = self.param_resource(policy) {
                let message = format!("failed to configure policy: {why}");
                first = first.or_else(|| refusal(attempt, policy, None, Denial { message, reason: String::new() }));
                continue;
            }
            let matches = |binding: &&Binding| {
                binding.matching.as_ref().is_none_or(|one| one.matches(attempt, namespace, self.catalog).is_some())
            };
            for binding in policy.bindings.iter().filter(matches) {
                for denial in self.denials(policy, binding, attempt, &seen, namespace) {
                    let warns = binding.actions.iter().any(|action| action == "Warn");
                    if warns {
                        let (policy, binding, why) = (&policy.name, &binding.name, &denial.message);
                        self.warnings.borrow_mut().push(format!(
                            "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {why}"
                        ));
                    }
                    if binding.actions.iter().any(|action| action == "Deny") {
                        first = first.or_else(|| refusal(attempt, policy, Some(binding), denial));
                    }
                }
            }
        }
        first.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// What a policy says at one of its bindings.
    fn denials(
        &self,
        policy: &Policy,
        binding: &Binding,
        attempt: &Attempt<'_>,
        seen: &Arc<Resource>,
        namespace: Option<&Value>,
    ) -> Vec<Denial> {
        let params = match self.params(policy, binding, attempt) {
            Ok(params) => params,
            Err(_) if policy.fails_open => return Vec::new(),
            Err(why) => {
                return vec![Denial { message: format!("failed to configure binding: {why}"), reason: String::new() }];
            }
        };
        let at = |value: Option<&Value>| value.map(|value| review::at_version(value, attempt.resource, seen));
        let (object, old) = (at(attempt.object), at(attempt.old));
        let attempt = Attempt { object: object.as_ref(), old: old.as_ref(), ..*attempt };
        let told = Told { user: self.user, options: self.options, uid: "" };
        let request = review::review("v1", &attempt, seen, told)["request"].take();
        // A namespace is not in one.
        let itself = attempt.resource.plural == "namespaces" && attempt.resource.group.is_empty();
        let namespace = namespace.filter(|_| !itself && !attempt.namespace.is_empty());
        let one = |params: &Option<Value>| policy.denials(&attempt, namespace, &request, params.as_ref());
        params.iter().flat_map(one).collect()
    }

    /// The kind of a policy's parameters, if it has any.
    fn param_resource(&self, policy: &Policy) -> Result<Option<&Arc<Resource>>, String> {
        let Some(ParamKind { api_version, kind }) = &policy.param_kind else { return Ok(None) };
        let (group, version) = group_version(api_version);
        let found = self.catalog.find_kind(group, version, kind);
        found
            .map(Some)
            .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"))
    }

    /// The parameters, each of which is judged with alone (`CollectParams`).
    fn params(&self, policy: &Policy, binding: &Binding, attempt: &Attempt<'_>) -> Result<Vec<Option<Value>>, String> {
        let (Some(resource), Some(wanted)) = (self.param_resource(policy)?, &binding.params) else {
            return Ok(vec![None]);
        };
        let namespace = match (resource.namespaced, wanted.namespace.as_str()) {
            (true, "") if attempt.namespace.is_empty() => {
                let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
                return Err(why.to_owned());
            }
            (true, "") => attempt.namespace,
            (true, namespace) => namespace,
            (false, "") => "",
            (false, _) => {
                return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
            }
        };
        let found: Vec<Value> = match wanted.name.as_str() {
            "" => self.ask.objects(resource, namespace),
            name => self.ask.object(resource, namespace, name).into_iter().collect(),
        };
        let found: Vec<_> =
            found.into_iter().filter(|object| labels_match(&wanted.selector, object)).map(Some).collect();
        if found.is_empty() && wanted.needed {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        Ok(found)
    }
}

/// The answer to the client, unless errors of the policy are to be ignored.
fn refusal(attempt: &Attempt<'_>, policy: &Policy, binding: Option<&Binding>, denial: Denial) -> Option<Failure> {
    if binding.is_none() && policy.fails_open {
        return None;
    }
    let by = binding.map_or_else(String::new, |binding| format!(" with binding '{}'", binding.name));
    let message = format!("ValidatingAdmissionPolicy '{}'{by} denied request: {}", policy.name, denial.message);
    let name = match attempt.name {
        "" => "Unknown",
        name => name,
    };
    let resource = attempt.resource;
    let mut failure = Failure::forbidden(&resource.plural, &resource.group, name, &message);
    let (reason, code) = match denial.reason.as_str() {
        "Forbidden" => ("Forbidden", 403),
        "Unauthorized" => ("Unauthorized", 401),
        "RequestEntityTooLarge" => ("RequestEntityTooLarge", 413),
        _ => ("Invalid", 422),
    };
    (failure.reason, failure.code) = (reason.into(), code);
    let cause = Cause { reason: String::new(), message, field: String::new() };
    failure.details.get_or_insert_default().causes.push(cause);
    Some(failure)
}
