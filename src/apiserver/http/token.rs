//! Tokens of service accounts.
//!
//! In: a TokenRequest for an account that exists, or a token that somebody brings. Out: a JSON Web Token as the original
//! makes it, or the account it stands for. It is signed with the secret of its cluster (HS256; the original signs with a
//! key pair), so that no other cluster takes it, and it dies with its account.

use super::identity::Identity;
use super::{Site, server::Call};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::object::Object;
use crate::clock;
use crate::ids::Uid;
use crate::units::{Span, Time};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whom tokens are for if nobody says so, and who made them (`--service-account-issuer` of most clusters).
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// Shortest and longest life (`pkg/apis/authentication/validation`).
const LIFE_MIN: i64 = 600;
const LIFE_MAX: i64 = 1 << 32;
const LIFE_DEFAULT: i64 = 3_600;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
    nbf: i64,
    sub: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Account,
}

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    name: String,
    uid: String,
}

/// Answers a TokenRequest: the posted document with its status.
pub(crate) fn answer(call: &Call<'_>, account: &Object, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut request: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("the object provided is unrecognized: {error}")))?;
    if !request.is_object() {
        return Err(Failure::bad_request("the object provided is unrecognized: it is no JSON object"));
    }
    let life = request["spec"]["expirationSeconds"].as_i64().unwrap_or(LIFE_DEFAULT);
    check_life(life)?;
    let asked: Vec<String> = serde_json::from_value(request["spec"]["audiences"].take()).unwrap_or_default();
    let audiences = if asked.is_empty() { vec![ISSUER.to_owned()] } else { asked };
    let now = clock::unix();
    let seconds = i64::try_from(now.0 / Span::from_secs(1).0).unwrap_or(i64::MAX);
    let (namespace, name) = (account.meta.namespace.to_string(), account.meta.name.to_string());
    let claims = Claims {
        aud: audiences.clone(),
        exp: seconds + life,
        iat: seconds,
        iss: ISSUER.to_owned(),
        // Unique: no two calls of one account are made in the same nanosecond.
        jti: Uid::derive(now.0, call.site.cluster.id(), "", "Token", &namespace, &name, 0).to_string(),
        nbf: seconds,
        sub: format!("system:serviceaccount:{namespace}:{name}"),
        kubernetes: Kubernetes {
            namespace: namespace.clone(),
            serviceaccount: Account { name: name.clone(), uid: account.meta.uid.to_string() },
        },
    };
    let expires = now + Span::from_secs(life.unsigned_abs());
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] = json!({ "name": name, "namespace": namespace, "creationTimestamp": clock::rfc3339(now) });
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = json!(life);
    let bound = request["spec"].get("boundObjectRef").cloned();
    request["spec"]["boundObjectRef"] = bound.unwrap_or_default();
    request["status"] = json!({ "token": signed(&claims, call.site), "expirationTimestamp": clock::rfc3339(expires) });
    Ok(super::form::document(&request))
}

fn check_life(seconds: i64) -> Result<(), Failure> {
    let why = match seconds {
        ..LIFE_MIN => "may not specify a duration less than 10 minutes",
        LIFE_MIN..=LIFE_MAX => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let cause = Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: {seconds}: {why}"),
        field: "spec.expirationSeconds".to_owned(),
    };
    Err(Failure::invalid("TokenRequest", "authentication.k8s.io", "", &[cause]))
}

fn key(site: &Site) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, site.token.as_bytes())
}

fn signed(claims: &Claims, site: &Site) -> String {
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let text = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(claims));
    let signature = hmac::sign(&key(site), text.as_bytes());
    format!("{text}.{}", BASE64.encode(signature))
}

/// The account that a token stands for on this cluster; `None` if it proves nothing here and now.
pub(crate) fn account(token: &str, site: &Site, now: Time) -> Option<Identity> {
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    hmac::verify(&key(site), text.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
    (BASE64.decode(header).ok()? == HEADER.as_bytes()).then_some(())?;
    let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    let seconds = i64::try_from(now.0 / Span::from_secs(1).0).ok()?;
    let mine = claims.aud.iter().any(|audience| audience == ISSUER);
    let Kubernetes { namespace, serviceaccount: Account { name, uid } } = claims.kubernetes;
    let catalog = site.cluster.catalog();
    let object = site.cluster.read(catalog.find("", "v1", "serviceaccounts")?, &namespace, &name)?;
    if !mine || seconds >= claims.exp || object.meta.uid.to_string() != uid {
        return None;
    }
    let credential = ("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={}", claims.jti)]);
    let mut groups = Identity::account_groups(&namespace);
    groups.push("system:authenticated".to_owned());
    Some(Identity { user: claims.sub, uid, groups, extra: [credential].into() })
}
