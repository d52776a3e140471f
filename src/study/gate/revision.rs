//! The program of another revision, built from the repository that the user stands in.
//!
//! In: a revision. Out: the path of its program, which is kept beside the build (`target/gate/COMMIT`), so that the next
//! gate against it starts at once. The working tree of the user is not touched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program's name.
const PROGRAM: &str = "flamboyance";

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// Nobody knows it.
    #[error("`{0}` is neither a result, nor a program, nor a revision of the repository here")]
    Unknown(String),
    /// A step failed.
    #[error("{step} failed for {commit}; its own words stand above")]
    Step {
        /// Which.
        step: &'static str,
        /// Of which commit.
        commit: String,
    },
    /// The machine refused.
    #[error("cannot build {commit}: {source}")]
    Io {
        /// Which commit.
        commit: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Builds a revision, or finds that it was built. What cargo says goes to standard error.
///
/// # Errors
/// When it is no revision, or does not build.
pub fn build(revision: &str) -> Result<PathBuf, RevisionError> {
    let unknown = || RevisionError::Unknown(revision.to_owned());
    let commit = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
        .ok_or_else(unknown)?;
    let root = git(&["rev-parse", "--show-toplevel"]).ok_or_else(unknown)?;
    let home = Path::new(&root).join("target/gate").join(&commit);
    let program = home.join(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    let source = home.join("source");
    let io = |source| RevisionError::Io { commit: commit.clone(), source };
    let must = |step, command: &mut Command| {
        // What they print is for people; our own output is the answer.
        let done = command.stdout(Stdio::from(std::io::stderr())).status().map_err(io)?;
        if done.success() { Ok(()) } else { Err(RevisionError::Step { step, commit: commit.clone() }) }
    };
    // What a killed build left behind.
    let _ = std::fs::remove_dir_all(&source);
    must("git worktree prune", Command::new("git").args(["-C", &root, "worktree", "prune"]))?;
    let add = ["-C", &root, "worktree", "add", "--quiet", "--detach"];
    must("git worktree add", Command::new("git").args(add).arg(&source).arg(&commit))?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--bin", PROGRAM, "--target-dir"]).arg(home.join("build"));
    // Alike: a release against a debug build says nothing.
    let (profile, flags): (_, &[&str]) =
        if cfg!(debug_assertions) { ("debug", &[]) } else { ("release", &["--release"]) };
    let built = must("cargo build", cargo.args(flags).current_dir(&source));
    must("git worktree remove", Command::new("git").args(["-C", &root, "worktree", "remove", "--force"]).arg(&source))?;
    built?;
    // In one step, so that a killed copy is none.
    let copy = home.join("copy");
    std::fs::copy(home.join("build").join(profile).join(PROGRAM), &copy).map_err(io)?;
    std::fs::rename(&copy, &program).map_err(io)?;
    Ok(program)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
