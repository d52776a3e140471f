//! Being a guest on a cluster of somebody's: what must be there before anything is written, and how everything written is
//! found again.
//!
//! In: what was found there. Out: whether a run may write. Nothing is asked or written here.

use serde_json::Value;

/// The label of everything that a run writes; its value is the run's.
pub const RUN: &str = "flamboyance.dev/run";

/// The mark of a cluster that runs may write to: a ConfigMap of this namespace and name, whatever it holds.
pub const MARK: (&str, &str) = ("kube-public", "flamboyance");

/// What a cluster looks like before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// It carries the mark.
    pub marked: bool,
    /// Applications in Argo CD's namespace.
    pub applications: usize,
}

/// Why a run does not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// Nobody said that it may.
    #[error(
        "{server} carries no mark that runs may write to it: `kubectl -n {} create configmap {}` makes one, --yes does \
         without",
        MARK.0, MARK.1
    )]
    Unmarked {
        /// Which cluster.
        server: String,
    },
    /// Somebody works with it.
    #[error(
        "{server} has {applications} Applications already, which the managers of a run would take for theirs: use a cluster \
         without, or `flamboyance destroy` if an earlier run left them"
    )]
    Occupied {
        /// Which cluster.
        server: String,
        /// How many.
        applications: usize,
    },
}

/// Whether a run may write to a cluster; `told` is the user's word for it, which does not stand in for an empty one.
///
/// # Errors
/// Why not.
pub fn may_write(server: &str, found: Found, told: bool) -> Result<(), Unwelcome> {
    let server = server.to_owned();
    if found.applications > 0 {
        return Err(Unwelcome::Occupied { server, applications: found.applications });
    }
    if found.marked || told { Ok(()) } else { Err(Unwelcome::Unmarked { server }) }
}

/// The value of a run's label: the end of its id, as long as a label may be.
#[must_use]
pub fn run_label(run_id: &str) -> String {
    let start = run_id.len().saturating_sub(63);
    let end = run_id.get(start..).unwrap_or(run_id);
    end.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned()
}

/// Marks an object as written by a run.
pub fn label(object: &mut Value, run: &str) {
    object["metadata"]["labels"][RUN] = run.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_writes_where_it_is_welcome_and_nobody_works() {
        let check = |marked, applications, told, says: &str| {
            let said = may_write("https://hub", Found { marked, applications }, told);
            assert_eq!(said.is_ok(), says.is_empty(), "{said:?}");
            assert!(said.map_or_else(|e| e.to_string(), |()| String::new()).contains(says));
        };
        check(true, 0, false, "");
        check(false, 0, true, "");
        check(false, 0, false, "kubectl -n kube-public create configmap flamboyance");
        check(true, 3, false, "has 3 Applications");
        check(true, 1, true, "flamboyance destroy");
    }

    #[test]
    fn every_run_has_a_label_that_kubernetes_takes() {
        let long = format!("{}-20261123T000000Z-ab12cd", "x".repeat(60));
        for (id, expected) in [("smoke-20261123T000000Z-ab12cd", 29), (long.as_str(), 63), ("", 0)] {
            let label = run_label(id);
            assert_eq!(label.len(), expected, "{label}");
            assert!(id.ends_with(&label));
        }
        assert_eq!(run_label(&format!("{}-{}", "a".repeat(9), "b".repeat(62))), "b".repeat(62));
        let mut object = json!({ "metadata": { "name": "a", "labels": { "b": "c" } } });
        label(&mut object, "r");
        assert_eq!(object["metadata"]["labels"], json!({ "b": "c", "flamboyance.dev/run": "r" }));
    }
}
