//! One binary for all integration tests, so that they link once.

#![expect(clippy::unwrap_used, reason = "whatever goes wrong in a test's own machinery fails the test")]

mod assets;
mod backends;
mod clocks;
mod compare;
mod docs;
mod faults;
mod gate;
mod house;
mod import;
mod library;
mod manager;
mod managers;
mod metrics;
mod place;
mod plan;
mod probe;
mod report;
mod run;
mod serve;
mod sharding;
mod shifts;
mod sweep;
mod topologies;
mod walls;
