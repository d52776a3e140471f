//! The versioned result.
