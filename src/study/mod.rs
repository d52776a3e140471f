//! Many runs and a conclusion: whatever plays a scenario more than once.

pub mod child;
pub mod gate;
pub mod matrix;
pub mod plan;
pub mod predict;
pub mod sensitivity;
pub mod sweep;
pub mod twin;
