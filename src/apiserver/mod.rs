//! The mock Kubernetes API server: many clusters in one process.
