//! The order in which hooks are asked, and what becomes of the object meanwhile.
//!
//! Those that may change it are asked one after the other, each seeing what the ones before made of it, and those that
//! want to once more if a later one changed something (`mutating/dispatcher.go`, `reinvocationcontext.go`). Those that
//! may only refuse are asked at once, and the first refusal counts.

use super::hook::{Hook, Hooks, Sort};
use super::review::{self, Answer, Told};
use super::{Attempt, Operation, is_configuration};
use crate::apiserver::failure::Failure;
use crate::apiserver::schema::{Catalog, Resource};
use serde_json::Value;
use std::cell::RefCell;
use std::sync::Arc;

/// A question on its way.
#[derive(Debug)]
pub(in crate::apiserver) struct Outgoing<'a> {
    pub(in crate::apiserver) hook: &'a Hook,
    /// The review as JSON text.
    pub(in crate::apiserver) body: Vec<u8>,
}

/// Who carries questions to hooks.
pub(in crate::apiserver) trait Ask {
    /// The texts of the answers, or why there are none, in the order of the questions.
    fn ask(&self, questions: &[Outgoing<'_>]) -> Vec<Result<Vec<u8>, String>>;

    /// The identity of the next review.
    fn uid(&self) -> String;

    /// The object of that name.
    fn object(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Value>;

    /// All objects of a namespace, or of the cluster.
    fn objects(&self, resource: &Resource, namespace: &str) -> Vec<Value>;
}

/// One client's attempt, and whom to ask about it.
pub(in crate::apiserver) struct Asking<'a> {
    pub(in crate::apiserver) hooks: &'a Hooks,
    pub(in crate::apiserver) catalog: &'a Catalog,
    /// `authentication.k8s.io/v1 UserInfo`.
    pub(in crate::apiserver) user: &'a Value,
    pub(in crate::apiserver) options: &'a Value,
    pub(in crate::apiserver) ask: &'a dyn Ask,
    /// What hooks want the client to hear.
    pub(in crate::apiserver) warnings: RefCell<Vec<String>>,
}

/// A question that was put into words.
struct Asked<'a> {
    uid: String,
    version: &'static str,
    outgoing: Outgoing<'a>,
}

impl Asking<'_> {
    /// The object after all hooks that may change it; `None` if none did.
    pub(in crate::apiserver) fn mutate(&self, attempt: &Attempt<'_>) -> Result<Option<Value>, Box<Failure>> {
        let mutating: Vec<&Hook> = self.hooks.of(Sort::Mutating).collect();
        if mutating.is_empty() || is_configuration(attempt.resource) {
            return Ok(None);
        }
        let namespace = self.namespace(attempt);
        let mut object: Option<Value> = None;
        let (mut asked, mut again) = (Vec::new(), Vec::new());
        for round in 0..2 {
            for (at, hook) in mutating.iter().enumerate() {
                let now = Attempt { object: object.as_ref().or(attempt.object), ..*attempt };
                if round == 1 && !again.contains(&at) {
                    continue;
                }
                let Some(seen) = self.wanted(hook, &now, namespace.as_ref())? else { continue };
                if let Some(new) = self.mutate_once(hook, &now, &seen)? {
                    object = Some(new);
                    again.append(&mut asked);
                }
                if hook.again {
                    asked.push(at);
                }
            }
            if round == 0 && again.is_empty() {
                break;
            }
        }
        Ok(object)
    }

    /// The object as one hook changed it.
    fn mutate_once(&self, hook: &Hook, now: &Attempt<'_>, seen: &Arc<Resource>) -> Result<Option<Value>, Box<Failure>> {
        let Some(answer) = self.answers(&[(hook, Arc::clone(seen))], now)?.pop().flatten() else { return Ok(None) };
        if answer.patch.is_empty() {
            return Ok(None);
        }
        let operations: json_patch::Patch = match serde_json::from_slice(&answer.patch) {
            Ok(operations) => operations,
            Err(error) => {
                let why = format!("received undecodable patch in webhook response: {error}");
                return if hook.fails_open { Ok(None) } else { Err(review::failed(&hook.name, &why).into()) };
            }
        };
        if operations.0.is_empty() {
            return Ok(None);
        }
        let Some(object) = now.object else {
            let why = format!(
                "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                hook.name
            );
            return Err(Failure::internal(why).into());
        };
        let mut new = review::at_version(object, now.resource, seen);
        json_patch::patch(&mut new, &operations).map_err(|error| Failure::internal(broken(&operations, &error)))?;
        let new = review::at_version(&new, seen, now.resource);
        Ok((new != *object).then_some(new))
    }

    /// Whether all policies, and then all hooks that may only refuse, let it pass.
    pub(in crate::apiserver) fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Box<Failure>> {
        let nobody = self.hooks.of(Sort::Validating).next().is_none() && self.hooks.policies().is_empty();
        if nobody || is_configuration(attempt.resource) {
            return Ok(());
        }
        let namespace = self.namespace(attempt);
        self.judge(attempt, namespace.as_ref())?;
        let mut matching = Vec::new();
        for hook in self.hooks.of(Sort::Validating) {
            if let Some(seen) = self.wanted(hook, attempt, namespace.as_ref())? {
                matching.push((hook, seen));
            }
        }
        self.answers(&matching, attempt).map(drop)
    }

    /// The version of the resource that a hook is to see, if it is to be asked.
    fn wanted(
        &self,
        hook: &Hook,
        attempt: &Attempt<'_>,
        namespace: Option<&Value>,
    ) -> Result<Option<Arc<Resource>>, Box<Failure>> {
        let Some(seen) = hook.matching.matches(attempt, namespace, self.catalog) else { return Ok(None) };
        if !hook.is_conditional() {
            return Ok(Some(seen));
        }
        let told = Told { user: self.user, options: self.options, uid: "" };
        let mut review = review::review("v1", attempt, &seen, told);
        match hook.conditions_hold(attempt, &review["request"].take()) {
            Ok(holds) => Ok(holds.then_some(seen)),
            Err(why) => {
                let resource = attempt.resource;
                Err(Failure::forbidden(&resource.plural, &resource.group, attempt.name, &why).into())
            }
        }
    }

    /// What hooks answer; `None` for one that could not be asked and need not be. The first refusal ends it.
    fn answers(
        &self,
        hooks: &[(&Hook, Arc<Resource>)],
        attempt: &Attempt<'_>,
    ) -> Result<Vec<Option<Answer>>, Box<Failure>> {
        let words: Vec<_> = hooks.iter().map(|(hook, seen)| self.words(hook, attempt, seen)).collect();
        let (mut questions, mut asked) = (Vec::new(), Vec::new());
        for word in words {
            asked.push(match word? {
                Ok(Asked { uid, version, outgoing }) => {
                    questions.push(outgoing);
                    Ok((uid, version))
                }
                Err(why) => Err(why),
            });
        }
        let mut texts = self.ask.ask(&questions).into_iter();
        let mut answers = Vec::with_capacity(hooks.len());
        let mut refusal = None;
        for ((hook, _), asked) in hooks.iter().zip(asked) {
            let answer = asked.and_then(|(uid, version)| {
                let text = texts.next().unwrap_or_else(|| Err("it was not asked".to_owned()))?;
                review::answer(hook, version, &uid, &text)
            });
            match answer {
                Ok(answer) => {
                    self.warnings.borrow_mut().extend(answer.warnings.iter().cloned());
                    refusal = refusal.or_else(|| answer.refusal.clone());
                    answers.push(Some(answer));
                }
                Err(_) if hook.fails_open => answers.push(None),
                Err(why) => refusal = refusal.or_else(|| Some(review::failed(&hook.name, &why))),
            }
        }
        refusal.map_or(Ok(answers), |refusal| Err(refusal.into()))
    }

    /// The question for one hook; the outer error refuses the attempt, the inner one is a call that failed.
    fn words<'h>(
        &self,
        hook: &'h Hook,
        attempt: &Attempt<'_>,
        seen: &Resource,
    ) -> Result<Result<Asked<'h>, String>, Box<Failure>> {
        if attempt.dry_run && !hook.dry_runs {
            return Err(review::without_dry_run(&hook.name).into());
        }
        let Some(version) = hook.review else {
            let why = "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)";
            return Ok(Err(why.to_owned()));
        };
        let uid = self.ask.uid();
        let told = Told { user: self.user, options: self.options, uid: &uid };
        let mut body = review::review(version, attempt, seen, told).to_string().into_bytes();
        body.push(b'\n');
        Ok(Ok(Asked { uid, version, outgoing: Outgoing { hook, body } }))
    }

    /// The namespace whose labels decide.
    fn namespace(&self, attempt: &Attempt<'_>) -> Option<Value> {
        let itself = attempt.resource.plural == "namespaces" && attempt.subresource.is_none();
        if itself && attempt.operation != Operation::Delete {
            return attempt.object.cloned();
        }
        let resource = self.catalog.find("", "v1", "namespaces").filter(|_| !attempt.namespace.is_empty())?;
        self.ask.object(resource, "", attempt.namespace)
    }
}

/// Why a patch does not apply, in the words of `evanphx/json-patch`.
fn broken(operations: &json_patch::Patch, error: &json_patch::PatchError) -> String {
    let word = match operations.0.get(error.operation) {
        Some(json_patch::PatchOperation::Add(_)) => "add",
        Some(json_patch::PatchOperation::Remove(_)) => "remove",
        Some(json_patch::PatchOperation::Replace(_)) => "replace",
        Some(json_patch::PatchOperation::Move(_)) => "move",
        Some(json_patch::PatchOperation::Copy(_)) => "copy",
        _ => return format!("testing value {} failed: test failed", error.path),
    };
    format!("{word} operation does not apply: doc is missing path: {}: missing value", error.path)
}
