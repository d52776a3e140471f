//! The roles that this program plays as a child of the harness.
//!
//! In: a file of settings, orders on standard input. Out: frames on standard output. A role ends when its input does,
//! which is also what happens when the harness dies, however it died.

mod above;
mod elsewhere;
mod hub;
mod keeper;
mod leaves;
mod loopback;
mod serving;
mod sources;

use super::foreign;
use super::notice::{Notice, Order};
use super::reporter::Reporter;
use super::settings::{self, Settings, SettingsError};
use crate::fleet::World;
use crate::scenario::{self, ManagerKind, Scenario};
use std::io::BufRead;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a child can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The API server of the management cluster.
    Hub,
    /// The API servers of all managed clusters and the controllers modelled on them.
    Leaves,
    /// Whoever stands above the managers.
    Above,
    /// A loopback manager, or whoever keeps those of others.
    Manager,
    /// What managers of others read.
    Sources,
}

/// Why a role cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its scenario.
    #[error("the scenario of this run cannot be read again: {0}")]
    Scenario(String),
    /// Pipes or threads.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// An API server that does not come up.
    #[error("the API server does not start: {0}")]
    Server(String),
    /// A manager that does not come up.
    #[error("the manager does not start: {0}")]
    Manager(String),
}

/// What every role works with.
struct Stage {
    settings: Settings,
    scenario: Arc<Scenario>,
    world: Arc<World>,
    reporter: Reporter,
    /// Closed when the role shall end.
    orders: mpsc::Receiver<Order>,
}

impl Stage {
    /// What the managers are, if they are programs of others.
    fn real(&self) -> Option<ManagerKind> {
        self.scenario.manager.command.as_ref().map(|_| self.scenario.manager.kind)
    }
}

/// Bytes of frames that are written at once: what comes together in 10 ms.
const FRAMES: usize = 1 << 16;
/// Orders that may wait; there are a handful in a run.
const ORDERS: usize = 64;

/// Plays a role until standard input ends.
///
/// # Errors
/// When it cannot start. The harness is told the same.
pub fn play(role: Role, settings: &Path) -> Result<(), RoleError> {
    // Not through the line buffer of standard output: frames are no lines.
    let out = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let (reporter, writer) = Reporter::start(std::io::BufWriter::with_capacity(FRAMES, out))?;
    let played = rehearse(settings, &reporter).and_then(|stage| match role {
        Role::Hub => serve(hub::play(stage)),
        Role::Leaves => serve(leaves::play(stage)),
        Role::Above => above::play(stage),
        Role::Manager if stage.scenario.manager.command.is_some() => serve(keeper::play(stage)),
        Role::Manager => loopback::play(stage),
        Role::Sources => serve(sources::play(stage)),
    });
    if let Err(error) = &played {
        reporter.notice(Notice::Failed { message: error.to_string() });
    }
    reporter.end();
    writer.finish();
    played
}

/// Threads of an API server: as many as this kind of machine has cores, for hub and leaves share them.
const THREADS: usize = 2;

fn serve(role: impl Future<Output = Result<(), RoleError>>) -> Result<(), RoleError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("serve")
        .enable_all()
        .build()?;
    let played = runtime.block_on(role);
    runtime.shutdown_background();
    played
}

fn rehearse(path: &Path, reporter: &Reporter) -> Result<Stage, RoleError> {
    let settings = settings::read(path)?;
    let file = settings.scenario.to_string_lossy();
    let scenario = scenario::load(&file, &[]).map_err(|errors| RoleError::Scenario(errors.to_string()))?;
    let scenario = settings.sources.as_ref().map_or_else(|| scenario.clone(), |url| foreign::served(&scenario, url));
    let world = World::generate(&scenario);
    let orders = listen()?;
    Ok(Stage { settings, scenario: Arc::new(scenario), world: Arc::new(world), reporter: reporter.clone(), orders })
}

/// Reads orders on a thread of its own; the channel closes with standard input.
fn listen() -> std::io::Result<mpsc::Receiver<Order>> {
    let (said, orders) = mpsc::channel(ORDERS);
    std::thread::Builder::new().name("orders".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // Only this program writes here; a line that makes no sense is no order.
            if let Ok(order) = serde_json::from_str(&line)
                && said.blocking_send(order).is_err()
            {
                return;
            }
        }
    })?;
    Ok(orders)
}
