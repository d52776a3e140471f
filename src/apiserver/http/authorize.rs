//! Whether the caller may, and the words of the refusal.
//!
//! In: a call whose caller is known. Out: nothing, or 403. With [`Authorization::Everyone`] whoever is known may do
//! everything, and nobody in particular may see health and version only, as the bootstrap roles of a real server have it.

use super::Site;
use super::identity::Identity;
use super::route::{Route, Target};
use super::server::Call;
use crate::apiserver::failure::{Failure, qualified};
use crate::apiserver::rbac::{self, Authorization, Rule, What, Wish};
use crate::apiserver::schema::Resource;
use http::Method;
use serde_json::Value;

/// Whether the caller may make this call.
pub(crate) fn call(call: &Call<'_>, route: Route<'_>, path: &str) -> Result<(), Failure> {
    let word = call.parts.method.as_str().to_ascii_lowercase();
    let wish = match route {
        Route::Resource(target) => objects(call, target),
        _ => Wish { verb: &word, what: What::Path(path) },
    };
    let public = matches!(route, Route::Health { .. } | Route::Version);
    match call.site.authorization {
        Authorization::Everyone if public || !call.identity.is_anonymous() => Ok(()),
        Authorization::Everyone => Err(forbidden(call.identity, wish, "")),
        Authorization::Rbac => may(call.identity, wish, call.site),
    }
}

/// Whether a caller may be somebody else (`k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`).
pub(crate) fn impersonate(real: &Identity, wanted: &Identity, site: &Site) -> Result<(), Failure> {
    if site.authorization == Authorization::Everyone {
        return Ok(());
    }
    let account = rbac::account(&wanted.user);
    let user = match account {
        Some((namespace, name)) => ("", "serviceaccounts", namespace, name),
        None => ("", "users", "", wanted.user.as_str()),
    };
    // Those that come with being somebody are not asked for.
    let inherent = |group: &str| match group {
        "system:authenticated" | "system:unauthenticated" => true,
        group => account.is_some() && group.starts_with("system:serviceaccounts"),
    };
    let asked = wanted.groups.iter().filter(|group| !inherent(group));
    let groups = asked.map(|group| ("", "groups", "", group.as_str()));
    let uid = (!wanted.uid.is_empty()).then_some(("authentication.k8s.io", "uids", "", wanted.uid.as_str()));
    std::iter::once(user).chain(groups).chain(uid).try_for_each(|(group, resource, namespace, name)| {
        let what = What::Objects { group, resource, subresource: "", namespace, name };
        may(real, Wish { verb: "impersonate", what }, site)
    })
}

/// Whether the caller may hand out what a role or a binding grants: nobody gives what they do not hold
/// (`pkg/registry/rbac/*/policybased`).
pub(crate) fn grants(
    call: &Call<'_>,
    resource: &Resource,
    namespace: &str,
    document: &Value,
) -> Result<(), Box<Failure>> {
    let who = call.identity.subjects();
    if who.is_privileged() {
        return Ok(());
    }
    let (cluster, word) = (&call.site.cluster, |value: &Value| value.as_str().unwrap_or_default().to_owned());
    let object = word(&document["metadata"]["name"]);
    let (wanted, verb, plural, name) = if document["roleRef"].is_object() {
        let (kind, name) = (word(&document["roleRef"]["kind"]), word(&document["roleRef"]["name"]));
        let plural = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
        let Some(rules) = rbac::role(cluster, &kind, namespace, &name) else {
            return Err(Failure::not_found(plural, &resource.group, &name).into());
        };
        (rules, "bind", plural, name)
    } else {
        let mut rules: Vec<Rule> = serde_json::from_value(document["rules"].clone()).unwrap_or_default();
        if document["aggregationRule"].is_object() {
            // Whoever lets a role collect rules lets it collect any.
            let all = || vec!["*".to_owned()];
            rules = vec![
                Rule { api_groups: all(), resources: all(), verbs: all(), ..Rule::default() },
                Rule { non_resource_urls: all(), verbs: all(), ..Rule::default() },
            ];
        }
        (rules, "escalate", &*resource.plural, object.clone())
    };
    let what = What::Objects { group: &resource.group, resource: plural, subresource: "", namespace, name: &name };
    let beyond = rbac::beyond(&who.rules(cluster, namespace).0, &wanted);
    if beyond.is_empty() || who.may(Wish { verb, what }, cluster).is_ok() {
        return Ok(());
    }
    let why = format!(
        "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
        call.identity.user,
        call.identity.groups,
        beyond.iter().map(shown).collect::<Vec<_>>().join("\n")
    );
    Err(Failure::forbidden(&resource.plural, &resource.group, &object, &why).into())
}

/// A rule in the words of the original (`CompactString`).
fn shown(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("ResourceNames", &rule.resource_names),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("Verbs", &rule.verbs),
    ];
    let told = parts.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| format!("{name}:{list:?}"));
    format!("{{{}}}", told.collect::<Vec<_>>().join(", "))
}

/// Whether the roles of the cluster grant it.
fn may(who: &Identity, wish: Wish<'_>, site: &Site) -> Result<(), Failure> {
    who.subjects().may(wish, &site.cluster).map_err(|why| forbidden(who, wish, &why))
}

fn objects<'a>(call: &Call<'a>, target: Target<'a>) -> Wish<'a> {
    let Target { group, resource, name, subresource, watch_prefix, .. } = target;
    let watch = watch_prefix || call.query.flag("watch").unwrap_or_default();
    let name = name.unwrap_or_default();
    // A namespace is inside of itself (`requestinfo.go`).
    let is_namespace = group.is_empty() && resource == "namespaces";
    let namespace = if is_namespace { name } else { target.namespace.unwrap_or_default() };
    let subresource = subresource.unwrap_or_default();
    Wish {
        verb: verb_word(&call.parts.method, !name.is_empty(), watch),
        what: What::Objects { group, resource, subresource, namespace, name },
    }
}

/// The verb that authorization sees.
pub(crate) fn verb_word(method: &Method, named: bool, watch: bool) -> &'static str {
    match (method, named) {
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) if watch => "watch",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "",
    }
}

/// 403 in the words of `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
fn forbidden(who: &Identity, wish: Wish<'_>, why: &str) -> Failure {
    let (user, verb) = (&who.user, wish.verb);
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let (group, resource, subresource, namespace, name) = match wish.what {
        What::Objects { group, resource, subresource, namespace, name } => {
            (group, resource, subresource, namespace, name)
        }
        What::Path(path) => {
            let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"{why}");
            let mut failure = Failure::new(403, "Forbidden", message);
            failure.details = Some(Box::default());
            return failure;
        }
    };
    let what = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let place = match namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let why = format!("User \"{user}\" cannot {verb} resource \"{what}\" in API group \"{group}\" {place}{why}");
    let mut failure = Failure::forbidden(resource, group, name, &why);
    if name.is_empty() {
        failure.message = format!("{} is forbidden: {why}", qualified(resource, group));
    }
    failure
}
