//! Where objects live when it is not the mock.
