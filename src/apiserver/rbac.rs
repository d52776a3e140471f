//! Who may do what: role-based access control as the original evaluates it
//! (`plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac/validation`).
//!
//! In: a user with groups, what they ask for, and the Roles and bindings of their cluster. Out: yes, or the reason that a
//! refusal carries. Never: who the user is; that was found out before.
//!
//! A call of a user who is in no privileged group reads the 60 bindings of a fresh cluster: about 100 us. Whoever brings
//! the token of a kubeconfig of ours is an administrator and pays nothing.

use super::clusters::Cluster;
use super::object::Object;
use serde::Deserialize;
use std::sync::Arc;

const GROUP: &str = "rbac.authorization.k8s.io";
/// Members may do everything, whatever the roles say.
const PRIVILEGED: &str = "system:masters";

/// What those may do who are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Everything.
    #[default]
    Everyone,
    /// What the cluster's roles and bindings grant.
    Rbac,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// `get`, `list`, `deletecollection`, ...
    pub verb: &'a str,
    /// On what.
    pub what: What<'a>,
}

/// What a wish is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// Objects.
    Objects {
        /// API group, empty for the core.
        group: &'a str,
        /// Plural.
        resource: &'a str,
        /// Empty for the object itself.
        subresource: &'a str,
        /// Empty at the scope of the cluster.
        namespace: &'a str,
        /// Empty for all.
        name: &'a str,
    },
    /// A path that is no resource.
    Path(&'a str),
}

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// Verbs, `*` for all.
    pub verbs: Vec<String>,
    /// API groups, `*` for all.
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`, `*`.
    pub resources: Vec<String>,
    /// Names; none for all.
    pub resource_names: Vec<String>,
    /// Paths, `*` at the end for everything below.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Role {
    rules: Option<Vec<Rule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Binding {
    subjects: Option<Vec<Subject>>,
    role_ref: RoleRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

/// A user of a cluster whose roles count.
#[derive(Clone, Copy, Debug)]
pub struct Subjects<'a> {
    /// User name.
    pub user: &'a str,
    /// Groups.
    pub groups: &'a [String],
}

impl Subjects<'_> {
    /// Whether roles do not matter.
    #[must_use]
    pub fn is_privileged(self) -> bool {
        self.groups.iter().any(|group| group == PRIVILEGED)
    }

    /// Whether the roles grant it; if not, why that may be: empty, or roles that are bound and missing.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn may(self, wish: Wish<'_>, cluster: &Cluster) -> Result<(), String> {
        if self.is_privileged() {
            return Ok(());
        }
        let namespace = match wish.what {
            What::Objects { namespace, .. } => namespace,
            What::Path(_) => "",
        };
        let (rules, missing) = self.rules(cluster, namespace);
        if rules.iter().any(|rule| rule.grants(wish)) {
            return Ok(());
        }
        Err(match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        })
    }

    /// All rules that hold for this user there, and the roles that are bound and missing.
    #[must_use]
    pub fn rules(self, cluster: &Cluster, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let catalog = cluster.catalog();
        let resource = |plural: &str| catalog.find(GROUP, "v1", plural).cloned();
        let (mut rules, mut missing) = (Vec::new(), Vec::new());
        let mut bound = |plural: &str, namespace: &str| {
            let bindings = resource(plural).map(|kind| cluster.all(&kind, namespace)).unwrap_or_default();
            for binding in bindings.iter().filter_map(read::<Binding>) {
                if !binding.subjects.iter().flatten().any(|subject| subject.is(self, namespace)) {
                    continue;
                }
                let RoleRef { kind, name } = &binding.role_ref;
                match role(cluster, kind, namespace, name) {
                    Some(own) => rules.extend(own),
                    None => missing.push(format!("{}.{GROUP} {name:?} not found", kind.to_lowercase())),
                }
            }
        };
        bound("clusterrolebindings", "");
        if !namespace.is_empty() {
            bound("rolebindings", namespace);
        }
        (rules, missing)
    }
}

/// The rules of a role, which may be one of the cluster; `None` if there is no such role.
#[must_use]
pub fn role(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Option<Vec<Rule>> {
    let (plural, namespace) = if kind == "ClusterRole" { ("clusterroles", "") } else { ("roles", namespace) };
    let found = cluster.read(cluster.catalog().find(GROUP, "v1", plural)?, namespace, name)?;
    Some(read::<Role>(&found).and_then(|role| role.rules).unwrap_or_default())
}

/// Of what somebody wants to hand out, what they do not hold themselves
/// (`component-helpers/auth/rbac/validation.Covers`).
#[must_use]
pub fn beyond(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let parts = wanted.iter().flat_map(Rule::parts);
    parts.filter(|part| !held.iter().any(|rule| rule.grants(part.wish()))).collect()
}

impl Rule {
    /// One rule for everything that this one grants.
    fn parts(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let none = [String::new()];
        let names = if self.resource_names.is_empty() { &none[..] } else { &self.resource_names };
        let mut parts = Vec::new();
        for verb in &self.verbs {
            let verbs = one(verb);
            for path in &self.non_resource_urls {
                parts.push(Self { verbs: verbs.clone(), non_resource_urls: one(path), ..Self::default() });
            }
            for group in &self.api_groups {
                for resource in &self.resources {
                    for name in names {
                        let (api_groups, resources) = (one(group), one(resource));
                        let resource_names = if name.is_empty() { Vec::new() } else { one(name) };
                        let verbs = verbs.clone();
                        parts.push(Self { verbs, api_groups, resources, resource_names, ..Self::default() });
                    }
                }
            }
        }
        parts
    }

    /// What a rule of one part grants.
    fn wish(&self) -> Wish<'_> {
        fn first(list: &[String]) -> &str {
            list.first().map_or("", String::as_str)
        }
        let what = match self.non_resource_urls.first() {
            Some(path) => What::Path(path),
            None => {
                let resource = first(&self.resources);
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let name = first(&self.resource_names);
                What::Objects { group: first(&self.api_groups), resource, subresource, namespace: "", name }
            }
        };
        Wish { verb: first(&self.verbs), what }
    }
}

/// The namespace and the name of the service account that a user name stands for.
#[must_use]
pub fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

impl Subject {
    fn is(&self, who: Subjects<'_>, binding_namespace: &str) -> bool {
        match self.kind.as_str() {
            "User" => self.name == who.user,
            "Group" => who.groups.contains(&self.name),
            "ServiceAccount" => {
                let namespace = if self.namespace.is_empty() { binding_namespace } else { &self.namespace };
                !namespace.is_empty() && account(who.user) == Some((namespace, &self.name))
            }
            _ => false,
        }
    }
}

impl Rule {
    fn grants(&self, wish: Wish<'_>) -> bool {
        let has = |list: &[String], one: &str| list.iter().any(|known| known == "*" || known == one);
        if !has(&self.verbs, wish.verb) {
            return false;
        }
        match wish.what {
            What::Objects { group, resource, subresource, name, .. } => {
                has(&self.api_groups, group)
                    && self.resources.iter().any(|known| covers(known, resource, subresource))
                    && (self.resource_names.is_empty() || self.resource_names.iter().any(|known| known == name))
            }
            What::Path(path) => self.non_resource_urls.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => path == known,
            }),
        }
    }
}

/// Whether the resource of a rule is this one (`rbac/v1/evaluation_helpers.go ResourceMatches`).
fn covers(known: &str, resource: &str, subresource: &str) -> bool {
    match known.split_once('/') {
        None => known == "*" || (subresource.is_empty() && known == resource),
        Some((parent, sub)) => !subresource.is_empty() && sub == subresource && (parent == "*" || parent == resource),
    }
}

fn read<T: for<'d> Deserialize<'d>>(object: &Arc<Object>) -> Option<T> {
    serde_json::from_slice(object.rest()?.bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::clusters::{Base, Clusters, Settings};
    use crate::apiserver::request::{Body, Now, Request, Verb};
    use serde_json::{Value, json};
    use std::slice::from_ref;

    fn cluster() -> Arc<Cluster> {
        let base = Base::new(&[], &[]).unwrap();
        Clusters::new(Settings::default(), Vec::new()).add(&base, Now::read())
    }

    fn create(cluster: &Cluster, plural: &str, namespace: &str, body: &Value) {
        let catalog = cluster.catalog();
        let resource = catalog.find(GROUP, "v1", plural).unwrap();
        let mut request = Request::new(Verb::Create, resource, "test");
        request.namespace = (!namespace.is_empty()).then_some(namespace);
        request.body = Body::Value(body);
        cluster.handle(&request, Now::read()).into_object().unwrap();
    }

    fn objects<'a>(verb: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Wish<'a> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Wish { verb, what: What::Objects { group: "", resource, subresource, namespace, name } }
    }

    fn furnished() -> Arc<Cluster> {
        let cluster = cluster();
        create(
            &cluster,
            "roles",
            "default",
            &json!({ "metadata": { "name": "reader" }, "rules": [
            { "verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "*/scale"] },
            { "verbs": ["*"], "apiGroups": [""], "resources": ["pods/log"], "resourceNames": ["one"] },
        ] }),
        );
        let bind = |name: &str, role: &str, subjects: Value| {
            json!({
                "metadata": { "name": name }, "subjects": subjects,
                "roleRef": { "apiGroup": GROUP, "kind": role.split('/').next(), "name": role.split('/').nth(1) },
            })
        };
        create(
            &cluster,
            "rolebindings",
            "default",
            &bind(
                "a",
                "Role/reader",
                json!([
                    { "kind": "User", "apiGroup": GROUP, "name": "ann" },
                    { "kind": "ServiceAccount", "namespace": "default", "name": "robot" },
                ]),
            ),
        );
        create(
            &cluster,
            "rolebindings",
            "default",
            &bind(
                "b",
                "ClusterRole/cluster-admin",
                json!([
                    { "kind": "Group", "apiGroup": GROUP, "name": "owners" },
                ]),
            ),
        );
        create(
            &cluster,
            "clusterrolebindings",
            "",
            &bind(
                "c",
                "ClusterRole/gone",
                json!([
                    { "kind": "User", "apiGroup": GROUP, "name": "eve" },
                ]),
            ),
        );
        cluster
    }

    #[test]
    fn roles_grant_what_they_name_and_nothing_else() {
        let cluster = furnished();
        let all = |groups: &[&str]| groups.iter().map(|&group| group.to_owned()).collect::<Vec<_>>();
        for (user, groups, wish, granted) in [
            ("ann", all(&[]), objects("get", "configmaps", "default", "x"), true),
            ("ann", all(&[]), objects("list", "configmaps", "default", ""), true),
            ("ann", all(&[]), objects("delete", "configmaps", "default", "x"), false),
            ("ann", all(&[]), objects("get", "configmaps", "kube-system", "x"), false),
            ("ann", all(&[]), objects("list", "configmaps", "", ""), false),
            ("ann", all(&[]), objects("get", "secrets", "default", "x"), false),
            ("ann", all(&[]), objects("get", "deployments/scale", "default", "x"), true),
            ("ann", all(&[]), objects("get", "deployments", "default", "x"), false),
            ("ann", all(&[]), objects("get", "pods/log", "default", "one"), true),
            ("ann", all(&[]), objects("get", "pods/log", "default", "two"), false),
            ("ann", all(&[]), objects("get", "pods", "default", "one"), false),
            ("bob", all(&["owners"]), objects("delete", "pods", "default", "x"), true),
            ("bob", all(&["owners"]), objects("delete", "pods", "kube-system", "x"), false),
            ("bob", all(&["system:masters"]), objects("delete", "pods", "kube-system", "x"), true),
            ("system:serviceaccount:default:robot", all(&[]), objects("get", "configmaps", "default", "x"), true),
            ("system:serviceaccount:other:robot", all(&[]), objects("get", "configmaps", "default", "x"), false),
            (
                "system:anonymous",
                all(&["system:unauthenticated"]),
                Wish { verb: "get", what: What::Path("/healthz") },
                true,
            ),
            (
                "system:anonymous",
                all(&["system:unauthenticated"]),
                Wish { verb: "get", what: What::Path("/api") },
                false,
            ),
            ("ann", all(&["system:authenticated"]), Wish { verb: "get", what: What::Path("/apis/apps") }, true),
        ] {
            let may = Subjects { user, groups: &groups }.may(wish, &cluster);
            assert_eq!(may.is_ok(), granted, "{user} {groups:?} {wish:?}");
        }
    }

    #[test]
    fn nobody_hands_out_more_than_they_hold() {
        let rule = |verbs: &[&str], groups: &[&str], resources: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            Rule { verbs: texts(verbs), api_groups: texts(groups), resources: texts(resources), ..Rule::default() }
        };
        for (held, wanted, beyond_them) in [
            (rule(&["get", "list"], &["apps"], &["*"]), rule(&["get"], &["apps"], &["deployments"]), 0),
            (rule(&["get"], &["apps"], &["*"]), rule(&["get", "list"], &["apps"], &["*"]), 1),
            (rule(&["*"], &["*"], &["*"]), rule(&["*"], &["*"], &["*"]), 0),
            (rule(&["get"], &["*"], &["pods"]), rule(&["*"], &[""], &["pods"]), 1),
            (rule(&["get"], &[""], &["pods"]), rule(&["get"], &[""], &["pods/log", "pods"]), 1),
        ] {
            assert_eq!(beyond(from_ref(&held), from_ref(&wanted)).len(), beyond_them, "{held:?} {wanted:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_roles_that_are_bound_and_missing() {
        let cluster = furnished();
        let why =
            |user| Subjects { user, groups: &[] }.may(objects("get", "pods", "default", "x"), &cluster).unwrap_err();
        assert_eq!(why("eve"), "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
        assert_eq!(why("bob"), "");
    }
}
