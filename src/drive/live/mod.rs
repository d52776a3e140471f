//! Live runs: real processes, sockets and clocks.
//!
//! In: a scenario and its world. Out: what was observed, for the record. [`run()`] is the harness; [`play`] is what its
//! children are. They are the same program and share nothing but pipes and the Kubernetes API.

mod above;
mod bases;
pub mod budget;
mod child;
mod counted;
mod crew;
mod driver;
mod event;
mod faults;
pub mod flux;
mod foreign;
mod frame;
mod furnish;
pub mod guest;
pub mod kind;
pub(crate) mod manager;
mod mirror;
pub(crate) mod net;
mod notice;
mod observation;
pub(crate) mod reporter;
mod roles;
mod run;
pub mod servers;
mod settings;
mod shifts;

pub use crew::CrewError;
pub use faults::{Unplayable, playable};
pub use observation::Observed;
pub use roles::{Role, RoleError, play};
pub use run::{Ending, Outcome, Standing, control_planes, fits, run};
pub use settings::{Guest, Guests, SettingsError};
