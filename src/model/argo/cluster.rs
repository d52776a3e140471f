//! What a cluster cache asks of a destination.
//!
//! The first app that names a cluster starts it: version, discovery twice, OpenAPI once, then LIST of every kind (at most
//! 50 at once) and WATCH of every kind. Every ten minutes each watch starts over with a list of its own, without jitter.

use crate::units::Span;

/// Kinds that are listed and watched: 56 built-in ones and Flux's 11, as recorded on a kube-apiserver 1.36 without the
/// exclusions of the shipped argocd-cm.
pub const KINDS: u16 = 67;
/// GET /version, /api, /apis, /openapi/v2, /api, /apis, in this order (recorded).
pub const DISCOVERY: u16 = 6;
/// The list semaphore.
pub const LISTS_AT_ONCE: u16 = 50;
/// `ARGOCD_CLUSTER_CACHE_WATCH_RESYNC_DURATION` (Argo CD's default).
pub const RELIST: Span = Span::from_secs(600);
