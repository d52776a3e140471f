//! One binary for all integration tests, so that they link once.

mod house;
mod probe;
mod serve;
mod walls;
