//! Who calls, and whether they may.
//!
//! In: what the client's certificate said, the cluster, and the headers. Out: the effective user. A certificate of an
//! authority that is trusted counts before a token, as in the original; the cluster's own token is its administrator's,
//! and tokens of its service accounts count too.

use super::{Site, token};
use crate::apiserver::failure::Failure;
use crate::apiserver::rbac::{self, Subjects};
use crate::clock;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The effective user of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    fn new(user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Self { user: user.to_owned(), uid: String::new(), groups, extra: BTreeMap::new() }
    }

    /// The user behind the token of a kubeconfig of ours.
    pub(crate) fn admin() -> Self {
        Self::new("admin", &["system:masters", "system:authenticated"])
    }

    /// Nobody in particular.
    pub(crate) fn anonymous() -> Self {
        Self::new("system:anonymous", &["system:unauthenticated"])
    }

    /// Whom the verified certificate of a client names: its common name, and its organisations as groups.
    pub(crate) fn shown(shown: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(shown).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().find_map(|name| name.as_str().ok())?;
        let mut identity = Self::new(user, &[]);
        identity.groups =
            subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
        identity.groups.push("system:authenticated".to_owned());
        let digest = ring::digest::digest(&ring::digest::SHA256, shown);
        let credential =
            digest.as_ref().iter().fold("X509SHA256=".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        identity.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![credential]);
        Some(identity)
    }

    /// The groups that a service account is in by being one.
    pub(crate) fn account_groups(namespace: &str) -> Vec<String> {
        vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
    }

    /// As roles and bindings see it.
    pub(crate) fn subjects(&self) -> Subjects<'_> {
        Subjects { user: &self.user, groups: &self.groups }
    }

    /// Whether this is nobody in particular.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.user == "system:anonymous"
    }
}

/// The identities that need no allocation per call.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    admin: Arc<Identity>,
    anonymous: Arc<Identity>,
}

impl Default for Known {
    fn default() -> Self {
        Self { admin: Arc::new(Identity::admin()), anonymous: Arc::new(Identity::anonymous()) }
    }
}

/// Finds out who calls `site`. `shown` is whom the client's certificate names.
pub(crate) fn identify(
    headers: &HeaderMap,
    shown: Option<&Arc<Identity>>,
    site: &Site,
    known: &Known,
) -> Result<Arc<Identity>, Failure> {
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    match (shown, authorization) {
        (Some(shown), _) => Ok(Arc::clone(shown)),
        (None, None) => Ok(Arc::clone(&known.anonymous)),
        (None, Some(value)) => {
            bearer(value, site, known).ok_or_else(|| Failure::new(401, "Unauthorized", "Unauthorized"))
        }
    }
}

/// Whom a caller wants to be instead, if so.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Result<Identity, Failure>> {
    headers.keys().any(|name| name.as_str().starts_with("impersonate-")).then(|| impersonated(headers))
}

fn bearer(authorization: &[u8], site: &Site, known: &Known) -> Option<Arc<Identity>> {
    let secret = secret(authorization)?;
    if *secret == *site.token.as_bytes() {
        return Some(Arc::clone(&known.admin));
    }
    token::account(std::str::from_utf8(&secret).ok()?, site, clock::unix()).map(Arc::new)
}

/// A bearer token, or the password of basic authentication, which Argo CD can be told to use.
fn secret(authorization: &[u8]) -> Option<Cow<'_, [u8]>> {
    let space = authorization.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = (&authorization[..space], authorization[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(Cow::Borrowed(rest));
    }
    let basic = scheme.eq_ignore_ascii_case(b"basic").then_some(rest)?;
    let pair = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, basic).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(Cow::Owned(pair[colon + 1..].to_vec()))
}

/// The user of the impersonation headers (`k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`).
fn impersonated(headers: &HeaderMap) -> Result<Identity, Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let user = text("impersonate-user");
    let mut identity = Identity::new(user, &[]);
    text("impersonate-uid").clone_into(&mut identity.uid);
    let groups = headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok());
    identity.groups.extend(groups.map(str::to_owned));
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix("impersonate-extra-"), value.to_str()) {
            let key = super::query::decode(key, false).unwrap_or_default().into_owned();
            identity.extra.entry(key).or_default().push(value.to_owned());
        }
    }
    if user.is_empty() {
        return Err(Failure::bad_request(format!(
            "requested {} without impersonating a user name",
            go_text(&identity)
        )));
    }
    if identity.groups.is_empty()
        && let Some((namespace, _)) = rbac::account(user)
    {
        identity.groups = Identity::account_groups(namespace);
    }
    let last = if user == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    if !identity.groups.iter().any(|group| group == last) {
        identity.groups.push(last.to_owned());
    }
    Ok(identity)
}

/// The user as Go's `%#v` shows it.
fn go_text(identity: &Identity) -> String {
    let strings = |list: &[String]| match list {
        [] => "[]string(nil)".to_owned(),
        some => format!("[]string{{{}}}", some.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")),
    };
    let extra = if identity.extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let pairs = identity.extra.iter().map(|(key, values)| format!("{key:?}:{}", strings(values)));
        format!("map[string][]string{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    };
    format!(
        "&user.DefaultInfo{{Name:\"\", UID:{:?}, Groups:{}, Extra:{extra}}}",
        identity.uid,
        strings(&identity.groups)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::clusters::{Base, Clusters, Settings};
    use crate::apiserver::rbac::Authorization;
    use crate::apiserver::request::Now;

    fn site() -> Site {
        let base = Base::new(&[], &[]).unwrap();
        Site {
            name: "one".to_owned(),
            token: "secret".to_owned(),
            cluster: Clusters::new(Settings::default(), Vec::new()).add(&base, Now::read()),
            kubernetes: "".into(),
            authorization: Authorization::Everyone,
        }
    }

    fn who(pairs: &[(&'static str, &str)]) -> Result<(String, Vec<String>), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let real = identify(&headers, None, &site(), &Known::default());
        let effective = match wanted(&headers) {
            Some(wanted) => wanted.map(Arc::new),
            None => real,
        };
        effective.map(|identity| (identity.user.clone(), identity.groups.clone())).map_err(|failure| failure.message)
    }

    #[test]
    fn only_the_token_of_the_cluster_proves_anything() {
        assert_eq!(who(&[("authorization", "Bearer secret")]).unwrap().0, "admin");
        assert_eq!(who(&[("authorization", "bearer secret")]).unwrap().0, "admin");
        assert_eq!(who(&[("authorization", "Basic dTpzZWNyZXQ=")]).unwrap().0, "admin");
        assert_eq!(who(&[]).unwrap().0, "system:anonymous");
        for wrong in ["Bearer other", "Bearer", "Bearer ", "Basic !!", "Basic dTpvdGhlcg==", "Digest secret"] {
            assert_eq!(who(&[("authorization", wrong)]), Err("Unauthorized".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn impersonation_makes_the_groups_that_the_original_makes() {
        let token = ("authorization", "Bearer secret");
        let account = who(&[token, ("impersonate-user", "system:serviceaccount:ns:n")]).unwrap();
        assert_eq!(account.1, ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]);
        let person = who(&[token, ("impersonate-user", "u"), ("impersonate-group", "x")]).unwrap();
        assert_eq!(person, ("u".to_owned(), vec!["x".to_owned(), "system:authenticated".to_owned()]));
        let nobody = who(&[token, ("impersonate-group", "x")]).unwrap_err();
        assert_eq!(
            nobody,
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"x\"}, Extra:map[string][]string(nil)} without impersonating a user name"
        );
    }
}
