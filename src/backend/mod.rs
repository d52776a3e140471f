//! Where objects live when it is not the mock.
//!
//! In: what the scenario asks for and what the machine has. Out: API servers that are ready, with addresses and
//! credentials, and their processes; or what is absent and where to get it. What is decided stands apart from what is
//! done: [`assets`] says which programs there are, `control_plane::plan` with which arguments they are started, and
//! [`control_plane`] starts and stops them; [`kind`] makes and deletes clusters in containers; [`guest`] says on whose
//! clusters a run may write, [`submit`] writes to one once. Nobody here knows what a run does with an API server.
//!
//! The same of managers that are not ours: [`managers`] starts Argo CD and Flux, [`sources`] serves what they install, and
//! [`programs`] is what all programs of others have in common.

pub mod assets;
pub mod control_plane;
pub mod guest;
pub mod kind;
pub mod managers;
pub mod programs;
pub mod sources;
pub mod submit;
pub mod tether;

/// Bytes in hex, as digests and names of objects are written.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
