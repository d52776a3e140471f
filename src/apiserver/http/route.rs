//! What a path asks for.
//!
//! In: the decoded path inside one cluster. Out: a [`Route`] that borrows from it. Never looks at the method, the query
//! or whether the resource exists. The rules are those of `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/healthz`, `/livez`, `/readyz`, and the checks below them.
    Health { endpoint: &'a str, check: &'a str },
    /// `/version`.
    Version,
    /// `/`: the list of paths.
    Root,
    /// `/api`.
    Api,
    /// `/apis`.
    Apis,
    /// `/apis/{group}`.
    Group(&'a str),
    /// `/api/v1` (group empty) and `/apis/{group}/{version}`.
    GroupVersion { group: &'a str, version: &'a str },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiV3,
    /// `/openapi/v3/{group version}`, such as `apis/apps/v1`.
    OpenApiV3Document(&'a str),
    /// A resource or one of its objects.
    Resource(Target<'a>),
    /// Nothing that an API server serves.
    Unknown,
}

/// A resource, as the path names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) resource: &'a str,
    pub(crate) name: Option<&'a str>,
    /// Everything after the name: `status`, `scale`, or a longer path that nobody serves.
    pub(crate) subresource: Option<&'a str>,
    /// The deprecated `/watch/` stood before the resource.
    pub(crate) watch_prefix: bool,
}

/// Reads a path that is already free of the cluster's prefix and of percent signs.
pub(crate) fn route(path: &str) -> Route<'_> {
    let trimmed = path.trim_matches('/');
    let (head, rest) = cut(trimmed);
    match head {
        "" => Route::Root,
        "healthz" | "livez" | "readyz" => Route::Health { endpoint: head, check: rest },
        "version" if rest.is_empty() => Route::Version,
        "openapi" => openapi(rest),
        "api" if rest.is_empty() => Route::Api,
        "apis" if rest.is_empty() => Route::Apis,
        "api" => {
            let (version, rest) = cut(rest);
            resource("", version, rest)
        }
        "apis" => {
            let (group, rest) = cut(rest);
            if rest.is_empty() {
                return Route::Group(group);
            }
            let (version, rest) = cut(rest);
            resource(group, version, rest)
        }
        _ => Route::Unknown,
    }
}

fn openapi(rest: &str) -> Route<'_> {
    match cut(rest) {
        ("v2", "") => Route::OpenApiV2,
        ("v3", "") => Route::OpenApiV3,
        ("v3", document) => Route::OpenApiV3Document(document),
        _ => Route::Unknown,
    }
}

fn resource<'a>(group: &'a str, version: &'a str, rest: &'a str) -> Route<'a> {
    if rest.is_empty() {
        return Route::GroupVersion { group, version };
    }
    let (watch_prefix, rest) = match cut(rest) {
        ("watch", below) if !below.is_empty() => (true, below),
        _ => (false, rest),
    };
    let mut target = Target { group, version, watch_prefix, ..Target::default() };
    let (first, below) = cut(rest);
    let objects = match (first, cut(below)) {
        ("namespaces", (namespace, inner)) if is_namespaced(namespace, inner) => {
            target.namespace = Some(namespace);
            inner
        }
        _ => rest,
    };
    let (plural, below) = cut(objects);
    let (name, subresource) = cut(below);
    target.resource = plural;
    target.name = some(name);
    target.subresource = some(subresource);
    Route::Resource(target)
}

/// `namespaces/{name}` and its own subresources are the namespace itself; everything else below is inside of it.
fn is_namespaced(namespace: &str, inner: &str) -> bool {
    !namespace.is_empty() && !inner.is_empty() && !matches!(inner, "status" | "finalize")
}

/// The first segment and the rest; empty segments are skipped as Go's path cleaning would.
fn cut(path: &str) -> (&str, &str) {
    match path.split_once('/') {
        Some((head, rest)) => (head, rest.trim_start_matches('/')),
        None => (path, ""),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target<'_> {
        match route(path) {
            Route::Resource(target) => target,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_of_objects_name_their_parts() {
        let base = Target { version: "v1", ..Target::default() };
        let apps = Target { group: "apps", ..base };
        for (path, expected) in [
            ("/api/v1/pods", Target { resource: "pods", ..base }),
            ("/api/v1/nodes/n", Target { resource: "nodes", name: Some("n"), ..base }),
            ("/api/v1/namespaces", Target { resource: "namespaces", ..base }),
            ("/api/v1/namespaces/a", Target { resource: "namespaces", name: Some("a"), ..base }),
            (
                "/api/v1/namespaces/a/status",
                Target { resource: "namespaces", name: Some("a"), subresource: Some("status"), ..base },
            ),
            (
                "/api/v1/namespaces/a/finalize",
                Target { resource: "namespaces", name: Some("a"), subresource: Some("finalize"), ..base },
            ),
            ("/api/v1/namespaces/a/pods", Target { namespace: Some("a"), resource: "pods", ..base }),
            (
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                Target {
                    namespace: Some("a"),
                    resource: "deployments",
                    name: Some("d"),
                    subresource: Some("scale"),
                    ..apps
                },
            ),
            ("/apis/apps/v1/watch/deployments", Target { resource: "deployments", watch_prefix: true, ..apps }),
            (
                "/api/v1/namespaces/a/services/s/proxy/x/y",
                Target {
                    namespace: Some("a"),
                    resource: "services",
                    name: Some("s"),
                    subresource: Some("proxy/x/y"),
                    ..base
                },
            ),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }

    #[test]
    fn the_other_paths_are_what_they_say() {
        for (path, expected) in [
            ("/", Route::Root),
            ("/api", Route::Api),
            ("/api/", Route::Api),
            ("/apis", Route::Apis),
            ("/apis/apps", Route::Group("apps")),
            ("/apis/apps/v1", Route::GroupVersion { group: "apps", version: "v1" }),
            ("/api/v1/", Route::GroupVersion { group: "", version: "v1" }),
            ("/version", Route::Version),
            ("/version/", Route::Version),
            ("/livez/ping", Route::Health { endpoint: "livez", check: "ping" }),
            ("/readyz", Route::Health { endpoint: "readyz", check: "" }),
            ("/openapi/v2", Route::OpenApiV2),
            ("/openapi/v3", Route::OpenApiV3),
            ("/openapi/v3/apis/apps/v1", Route::OpenApiV3Document("apis/apps/v1")),
            ("/nothing", Route::Unknown),
            ("/openapi/v4", Route::Unknown),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "[/a-z0-9.]{0,60}") {
            let _ = route(&path);
        }
    }
}
