//! Differential probes of the API server: the same script is played against a real kube-apiserver and against ours, and the
//! normalised answers must be equal.
//!
//! The real one's answers are committed (`tests/probes/transcripts`), so the judgement needs no oracle. `cargo run --example
//! probe -- record KUBECONFIG` makes them anew from a fresh server, `-- compare KUBECONFIG` judges any server.

#![expect(clippy::unwrap_used, reason = "a broken script or server ends the comparison")]

pub(crate) mod corpus;
pub(crate) mod normal;
pub(crate) mod play;
pub(crate) mod script;

#[cfg(test)]
mod tests;
