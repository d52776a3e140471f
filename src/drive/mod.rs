//! How a scenario runs: real processes and sockets (`live`), or a simulated clock (`virtual_time`).

mod drifted;
mod intent;
pub mod live;
pub mod virtual_time;
