//! The others: Flux controllers and workloads as pure machines.
