//! Virtual runs: the same machines on a simulated clock.
