//! The kinds that our machines name: Kubernetes', Argo CD's and Flux's own.

/// A kind by its place in the table below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u16);

/// What a kind is called and how it is addressed.
#[derive(Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// API group, empty for core.
    pub group: &'static str,
    /// The version that current controllers use.
    pub version: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// `deployments`.
    pub plural: &'static str,
    /// Lives in a namespace.
    pub namespaced: bool,
}

impl KindInfo {
    /// The path of a group at a version, without the server: `/apis/GROUP/VERSION`, `/api/v1` for core.
    #[must_use]
    pub fn group_path(&self, version: &str) -> String {
        group_path(self.group, version)
    }

    /// The path of an object at a version, or of the collection if `name` is empty; over all namespaces if `namespace` is.
    #[must_use]
    pub fn path(&self, version: &str, namespace: &str, name: &str) -> String {
        let mut path = self.group_path(version);
        if self.namespaced && !namespace.is_empty() {
            path.extend(["/namespaces/", namespace]);
        }
        path.extend(["/", self.plural]);
        if !name.is_empty() {
            path.extend(["/", name]);
        }
        path
    }
}

/// The path of a group, empty for core, at a version, without the server.
#[must_use]
pub fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

macro_rules! kinds {
    ($($name:ident = $group:literal $version:literal $kind:literal $plural:literal $namespaced:literal;)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "only used to number the constants")]
        #[repr(u16)]
        enum Index { $($name),* }

        impl Kind {
            $(#[doc = concat!("`", $kind, "`.")]
            pub const $name: Self = Self(Index::$name as u16);)*
        }

        static KINDS: &[KindInfo] = &[$(KindInfo {
            group: $group, version: $version, kind: $kind, plural: $plural, namespaced: $namespaced,
        }),*];
    };
}

kinds! {
    APPLICATION = "argoproj.io" "v1alpha1" "Application" "applications" true;
    APP_PROJECT = "argoproj.io" "v1alpha1" "AppProject" "appprojects" true;
    GIT_REPOSITORY = "source.toolkit.fluxcd.io" "v1" "GitRepository" "gitrepositories" true;
    OCI_REPOSITORY = "source.toolkit.fluxcd.io" "v1" "OCIRepository" "ocirepositories" true;
    HELM_REPOSITORY = "source.toolkit.fluxcd.io" "v1" "HelmRepository" "helmrepositories" true;
    HELM_CHART = "source.toolkit.fluxcd.io" "v1" "HelmChart" "helmcharts" true;
    BUCKET = "source.toolkit.fluxcd.io" "v1" "Bucket" "buckets" true;
    KUSTOMIZATION = "kustomize.toolkit.fluxcd.io" "v1" "Kustomization" "kustomizations" true;
    HELM_RELEASE = "helm.toolkit.fluxcd.io" "v2" "HelmRelease" "helmreleases" true;
    NAMESPACE = "" "v1" "Namespace" "namespaces" false;
    CONFIG_MAP = "" "v1" "ConfigMap" "configmaps" true;
    SECRET = "" "v1" "Secret" "secrets" true;
    SERVICE_ACCOUNT = "" "v1" "ServiceAccount" "serviceaccounts" true;
    SERVICE = "" "v1" "Service" "services" true;
    EVENT = "" "v1" "Event" "events" true;
    POD = "" "v1" "Pod" "pods" true;
    LEASE = "coordination.k8s.io" "v1" "Lease" "leases" true;
    DEPLOYMENT = "apps" "v1" "Deployment" "deployments" true;
    REPLICA_SET = "apps" "v1" "ReplicaSet" "replicasets" true;
    STATEFUL_SET = "apps" "v1" "StatefulSet" "statefulsets" true;
    DAEMON_SET = "apps" "v1" "DaemonSet" "daemonsets" true;
    ROLE = "rbac.authorization.k8s.io" "v1" "Role" "roles" true;
    ROLE_BINDING = "rbac.authorization.k8s.io" "v1" "RoleBinding" "rolebindings" true;
    CLUSTER_ROLE = "rbac.authorization.k8s.io" "v1" "ClusterRole" "clusterroles" false;
    CLUSTER_ROLE_BINDING = "rbac.authorization.k8s.io" "v1" "ClusterRoleBinding" "clusterrolebindings" false;
    CUSTOM_RESOURCE_DEFINITION = "apiextensions.k8s.io" "v1" "CustomResourceDefinition" "customresourcedefinitions" false;
}

impl Kind {
    /// What it is called and how it is addressed.
    #[must_use]
    pub fn info(self) -> &'static KindInfo {
        &KINDS[usize::from(self.0)]
    }

    /// The kind of a group and kind name, if our machines name it.
    #[must_use]
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        Self::all().find(|k| k.info().kind == kind && k.info().group == group)
    }

    /// The kind of a group and plural resource name.
    #[must_use]
    pub fn find_plural(group: &str, plural: &str) -> Option<Self> {
        Self::all().find(|k| k.info().plural == plural && k.info().group == group)
    }

    /// Its place in the table: small and dense.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every kind of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KINDS.len()).filter_map(|index| u16::try_from(index).ok()).map(Self)
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.info().kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_group_version_namespace_and_object() {
        for (kind, namespace, name, path) in [
            (Kind::CONFIG_MAP, "a", "b", "/api/v1/namespaces/a/configmaps/b"),
            (Kind::CONFIG_MAP, "", "", "/api/v1/configmaps"),
            (Kind::NAMESPACE, "ignored", "b", "/api/v1/namespaces/b"),
            (Kind::KUSTOMIZATION, "a", "", "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/a/kustomizations"),
        ] {
            assert_eq!(kind.info().path(kind.info().version, namespace, name), path);
        }
    }

    #[test]
    fn every_kind_is_found_by_its_own_names() {
        for kind in Kind::all() {
            let info = kind.info();
            assert_eq!(Kind::find(info.group, info.kind), Some(kind));
            assert_eq!(Kind::find_plural(info.group, info.plural), Some(kind));
        }
        assert_eq!(Kind::find("apps", "Kustomization"), None);
    }
}
