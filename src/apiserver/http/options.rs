//! The query of a call on a resource, as the options that the rules understand.
//!
//! In: the decoded query, the verb, the body of a delete. Out: [`Options`], or the refusal with the text of
//! `k8s.io/apimachinery/pkg/apis/meta/v1/validation`. Selectors and versions go through as text: whoever knows the
//! resource reads them.

use super::query::Query;
use crate::apiserver::failure::Failure;
use crate::apiserver::request::{FieldValidation, Options, PatchType, Propagation, Verb};
use crate::units::Span;
use serde::Deserialize;

/// Longest field manager (`FieldManagerMaxLength`).
const MANAGER_MAX: usize = 128;

/// Reads the options of a call. `patch` is its type if it is a patch.
pub(crate) fn options<'q>(query: &'q Query<'_>, verb: Verb, patch: Option<PatchType>) -> Result<Options<'q>, Failure> {
    let mut options = Options {
        label_selector: query.text("labelSelector"),
        field_selector: query.text("fieldSelector"),
        continue_token: query.text("continue"),
        resource_version: query.get("resourceVersion").unwrap_or_default(),
        resource_version_match: query.get("resourceVersionMatch").unwrap_or_default(),
        send_initial_events: query.flag("sendInitialEvents"),
        allow_bookmarks: query.flag("allowWatchBookmarks").unwrap_or_default(),
        field_manager: query.text("fieldManager"),
        force: query.flag("force").unwrap_or_default(),
        ..Options::default()
    };
    let number = |name| query.integer(name).map_err(Failure::bad_request);
    options.limit = number("limit")?.and_then(|limit| u64::try_from(limit).ok()).unwrap_or_default();
    options.timeout = number("timeoutSeconds")?.and_then(|secs| u64::try_from(secs).ok()).map(Span::from_secs);
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        write_options(query, verb, patch, &mut options)?;
    }
    if matches!(verb, Verb::Delete | Verb::DeleteCollection) {
        options.grace = number("gracePeriodSeconds")?;
        options.propagation = propagation(query.text("propagationPolicy"), query.flag("orphanDependents"))?;
        options.dry_run = dry_run(query.all("dryRun"), "DeleteOptions")?;
    }
    Ok(options)
}

fn write_options(
    query: &Query<'_>,
    verb: Verb,
    patch: Option<PatchType>,
    options: &mut Options<'_>,
) -> Result<(), Failure> {
    let kind = match verb {
        Verb::Create => "CreateOptions",
        Verb::Update => "UpdateOptions",
        _ => "PatchOptions",
    };
    let refuse = |field, reason, text: &str| Err(Failure::invalid_options(kind, field, reason, text));
    if patch == Some(PatchType::Apply) {
        if options.field_manager.is_none() {
            return refuse("fieldManager", "FieldValueRequired", "Required value: is required for apply patch");
        }
    } else if patch.is_some() && query.get("force").is_some() {
        return refuse("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch");
    }
    if let Some(manager) = options.field_manager {
        if manager.chars().count() > MANAGER_MAX {
            return refuse("fieldManager", "FieldValueTooLong", "Too long: may not be more than 128 bytes");
        }
        if manager.chars().any(char::is_control) {
            let text = format!("Invalid value: {manager:?}: should only contain printable characters");
            return refuse("fieldManager", "FieldValueInvalid", &text);
        }
    }
    options.dry_run = dry_run(query.all("dryRun"), kind)?;
    options.field_validation = match query.get("fieldValidation") {
        None | Some("" | "Warn") => FieldValidation::Warn,
        Some("Ignore") => FieldValidation::Ignore,
        Some("Strict") => FieldValidation::Strict,
        Some(other) => {
            let text =
                format!("Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"");
            return refuse("fieldValidation", "FieldValueNotSupported", &text);
        }
    };
    Ok(())
}

fn dry_run<'v>(values: impl Iterator<Item = &'v str>, kind: &str) -> Result<bool, Failure> {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        let text = format!("Unsupported value: {}: supported values: \"All\"", serde_json::json!(values));
        return Err(Failure::invalid_options(kind, "dryRun", "FieldValueNotSupported", &text));
    }
    Ok(!values.is_empty())
}

fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<Propagation>, Failure> {
    let refuse = |reason, text: &str| Err(Failure::invalid_options("DeleteOptions", "propagationPolicy", reason, text));
    if policy.is_some() && orphan.is_some() {
        let text = "Invalid value: \"\": orphanDependents and deletionPropagation cannot be both set";
        return refuse("FieldValueInvalid", text);
    }
    match (policy, orphan) {
        (None, None) => Ok(None),
        (Some("Orphan"), _) | (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (Some("Background"), _) | (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), _) => Ok(Some(Propagation::Foreground)),
        (Some(other), _) => {
            let text = format!(
                "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            refuse("FieldValueNotSupported", &text)
        }
    }
}

/// `DeleteOptions`, as the body of a delete carries them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteBody {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    dry_run: Option<Vec<String>>,
    preconditions: Option<Preconditions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl DeleteBody {
    /// Reads the body of a delete.
    pub(crate) fn read(json: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(json).map_err(|error| Failure::bad_request(error.to_string()))
    }

    /// Puts the body into the options; a body replaces what the query said, as upstream has it.
    pub(crate) fn put<'b>(&'b self, options: &mut Options<'b>) -> Result<(), Failure> {
        options.grace = self.grace_period_seconds;
        options.propagation = propagation(self.propagation_policy.as_deref(), self.orphan_dependents)?;
        options.dry_run = dry_run(self.dry_run.iter().flatten().map(String::as_str), "DeleteOptions")?;
        if let Some(preconditions) = &self.preconditions {
            options.uid = preconditions.uid.as_deref();
            options.if_version = preconditions.resource_version.as_deref();
        }
        Ok(())
    }
}

/// The type of a patch by its media type; parameters after `;` do not count.
pub(crate) fn patch_type(media: &str) -> Option<PatchType> {
    match media.split(';').next().unwrap_or_default().trim() {
        "application/json-patch+json" => Some(PatchType::Json),
        "application/merge-patch+json" => Some(PatchType::Merge),
        "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
        "application/apply-patch+yaml" => Some(PatchType::Apply),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(raw: &str, verb: Verb, patch: Option<PatchType>) -> String {
        let query = Query::read(Some(raw));
        options(&query, verb, patch).unwrap_err().message
    }

    #[test]
    fn bad_options_are_refused_in_the_words_of_the_original() {
        for (raw, verb, patch, expected) in [
            ("limit=x", Verb::List, None, "strconv.ParseInt: parsing \"x\": invalid syntax"),
            ("timeoutSeconds=x", Verb::Watch, None, "strconv.ParseInt: parsing \"x\": invalid syntax"),
            (
                "dryRun=x",
                Verb::Create,
                None,
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\"",
            ),
            (
                "fieldValidation=x",
                Verb::Create,
                None,
                "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
            ),
            (
                "",
                Verb::Patch,
                Some(PatchType::Apply),
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ),
            (
                "force=true",
                Verb::Patch,
                Some(PatchType::Merge),
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            ),
            (
                "propagationPolicy=x",
                Verb::Delete,
                None,
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"x\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
            ),
        ] {
            assert_eq!(refusal(raw, verb, patch), expected);
        }
    }

    #[test]
    fn a_list_takes_its_options_from_the_query() {
        let query =
            Query::read(Some("limit=500&labelSelector=a%3Db&continue=&resourceVersion=0&sendInitialEvents=false"));
        let options = options(&query, Verb::List, None).unwrap();
        assert_eq!((options.limit, options.label_selector, options.continue_token), (500, Some("a=b"), None));
        assert_eq!((options.resource_version, options.send_initial_events), ("0", Some(false)));
    }

    #[test]
    fn the_body_of_a_delete_replaces_the_query() {
        let query = Query::read(Some("propagationPolicy=Orphan"));
        let mut options = options(&query, Verb::Delete, None).unwrap();
        let body = br#"{"kind":"DeleteOptions","gracePeriodSeconds":0,"preconditions":{"uid":"u","resourceVersion":"7"},"dryRun":["All"]}"#;
        let body = DeleteBody::read(body).unwrap();
        body.put(&mut options).unwrap();
        assert_eq!((options.grace, options.propagation, options.dry_run), (Some(0), None, true));
        assert_eq!((options.uid, options.if_version), (Some("u"), Some("7")));
    }
}
