//! The transport-free vocabulary of the API server: what can be asked and what can be answered.
//!
//! In: nothing but the words. Sockets and in-process controllers build a [`Request`], hand it to
//! [`Cluster::handle`](super::clusters::Cluster::handle) and get a [`Response`]. Nothing here parses a URL or encodes
//! for a wire; paths, media types and compression belong to the rim that speaks HTTP.

use super::admission::Guard;
use super::failure::Failure;
use super::object::Object;
use super::schema::Resource;
use super::store::Subscription;
use crate::units::{Span, Time};
use serde_json::Value;
use std::sync::Arc;

/// What a call wants to do. `Create` on a collection is POST, `Update` PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// GET of one object.
    Get,
    /// GET of a collection.
    List,
    /// GET of a collection (or one object) with `watch`.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
}

impl Verb {
    /// The verb as authorization and the audit log spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// The kinds of patch, by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml` (the body is JSON here: the rim converts YAML)
    Apply,
}

/// The body of a call, always JSON: the rim transcodes protobuf and YAML before.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// None was sent.
    None,
    /// JSON text of an object (create, update) or of `DeleteOptions` (delete).
    Json(&'a [u8]),
    /// An object that is parsed already: what controllers inside this process hand over.
    Value(&'a Value),
    /// A patch as JSON text.
    Patch(PatchType, &'a [u8]),
}

impl Body<'_> {
    /// Bytes on the wire; a parsed value counts as none.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::None | Self::Value(_) => 0,
            Self::Json(bytes) | Self::Patch(_, bytes) => bytes.len(),
        }
    }

    /// Whether nothing was sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How strictly unknown fields are taken (`fieldValidation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and warn; the default of a real server.
    #[default]
    Warn,
    /// Refuse them.
    Strict,
}

/// What happens to dependents when their owner goes (`propagationPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay and lose the reference.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// Query parameters that have a meaning behind the wire. Absent parameters are `None` or `false`.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// `dryRun=All`
    pub dry_run: bool,
    /// `fieldManager`; by default the user agent up to its first `/`.
    pub field_manager: Option<&'a str>,
    /// `force` of an apply.
    pub force: bool,
    /// `fieldValidation`
    pub field_validation: FieldValidation,
    /// `labelSelector`
    pub label_selector: Option<&'a str>,
    /// `fieldSelector`
    pub field_selector: Option<&'a str>,
    /// `limit`, 0 for none.
    pub limit: u64,
    /// `continue`
    pub continue_token: Option<&'a str>,
    /// `resourceVersion`, as sent; empty and absent are the same.
    pub resource_version: &'a str,
    /// `resourceVersionMatch`, as sent; empty and absent are the same.
    pub resource_version_match: &'a str,
    /// `sendInitialEvents`; absent differs from `false`.
    pub send_initial_events: Option<bool>,
    /// `allowWatchBookmarks`
    pub allow_bookmarks: bool,
    /// `timeoutSeconds` of a watch; absent means a drawn 30 to 60 minutes.
    pub timeout: Option<Span>,
    /// `propagationPolicy`, also from the body of a delete.
    pub propagation: Option<Propagation>,
    /// `gracePeriodSeconds`, also from the body of a delete.
    pub grace: Option<i64>,
    /// `preconditions.uid`
    pub uid: Option<&'a str>,
    /// `preconditions.resourceVersion`
    pub if_version: Option<&'a str>,
}

/// One call, with everything that it refers to borrowed from the rim.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What to do.
    pub verb: Verb,
    /// On which resource, at which version.
    pub resource: &'a Arc<Resource>,
    /// `None` for cluster-scoped resources and for all namespaces.
    pub namespace: Option<&'a str>,
    /// `None` for collections.
    pub name: Option<&'a str>,
    /// `status`, `scale`, `finalize`, ...
    pub subresource: Option<&'a str>,
    /// The query.
    pub options: Options<'a>,
    /// The body.
    pub body: Body<'a>,
    /// Who calls: key of the call counts and default field manager.
    pub user_agent: &'a str,
    /// Effective user, for reviews.
    pub user: &'a str,
    /// Effective groups, for reviews.
    pub groups: &'a [String],
    /// Who looks at what is written, beside the rules.
    pub guard: Option<&'a dyn Guard>,
}

impl<'a> Request<'a> {
    /// A call without options, body or identity; fill in the rest with struct update.
    #[must_use]
    pub fn new(verb: Verb, resource: &'a Arc<Resource>, user_agent: &'a str) -> Self {
        Self {
            verb,
            resource,
            namespace: None,
            name: None,
            subresource: None,
            options: Options::default(),
            body: Body::None,
            user_agent,
            user: "system:admin",
            groups: &[],
            guard: None,
        }
    }

    /// The same call on an object: `namespace` empty for cluster-scoped resources.
    #[must_use]
    pub fn on(mut self, namespace: &'a str, name: &'a str) -> Self {
        self.namespace = (!namespace.is_empty()).then_some(namespace);
        self.name = (!name.is_empty()).then_some(name);
        self
    }

    /// Who owns the fields that this call writes.
    #[must_use]
    pub fn manager(&self) -> &'a str {
        match self.options.field_manager {
            Some(manager) if !manager.is_empty() => manager,
            _ => self.user_agent.split('/').next().unwrap_or_default(),
        }
    }
}

/// The two times of a call: order and measuring use the one, what objects carry the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// `CLOCK_MONOTONIC`
    pub monotonic: Time,
    /// Since 1970, UTC.
    pub unix: Time,
}

impl Now {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Self {
        Self { monotonic: crate::clock::now(), unix: crate::clock::unix() }
    }

    /// Whole seconds since 1970, the grain of `metav1.Time`.
    #[must_use]
    pub const fn unix_secs(self) -> u64 {
        self.unix.0 / 1_000_000_000
    }
}

/// One page of a collection, not encoded yet.
#[derive(Clone, Debug)]
pub struct List {
    /// What was asked for; items are rendered at this version.
    pub resource: Arc<Resource>,
    /// The version that all pages of this list show.
    pub resource_version: u64,
    /// Token of the next page.
    pub continue_token: Option<String>,
    /// How many follow, if known.
    pub remaining: Option<u64>,
    /// In key order.
    pub items: Vec<Arc<Object>>,
}

/// What a call answers.
#[derive(Debug)]
pub enum Response {
    /// One object.
    Object {
        /// 200 or 201.
        code: u16,
        /// The object; render it at the version asked for.
        object: Arc<Object>,
        /// Texts for `Warning: 299` headers.
        warnings: Vec<String>,
    },
    /// A page.
    List(List),
    /// A stream of events.
    Watch(Box<Subscription>),
    /// A document that is no stored object: a Scale, a review, a `Status` of success.
    Document {
        /// 200 or 201.
        code: u16,
        /// The document, with kind and apiVersion.
        body: Value,
        /// Texts for `Warning: 299` headers.
        warnings: Vec<String>,
    },
    /// A `Status` of failure.
    Failure(Box<Failure>),
}

impl Response {
    /// The HTTP code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Object { code, .. } | Self::Document { code, .. } => *code,
            Self::List(_) | Self::Watch(_) => 200,
            Self::Failure(failure) => failure.code,
        }
    }

    /// The object of a successful call on one.
    ///
    /// # Errors
    /// The failure, or an internal one if the call answers something else by nature.
    pub fn into_object(self) -> Result<Arc<Object>, Box<Failure>> {
        match self {
            Self::Object { object, .. } => Ok(object),
            Self::Failure(failure) => Err(failure),
            _ => Err(Box::new(Failure::internal("the call answers no object"))),
        }
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}
