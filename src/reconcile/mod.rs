//! The loopback step machine: an Application and replies in, calls and an outcome out.
