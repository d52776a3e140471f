//! Who manages what: clusters in, the manager of each out.
