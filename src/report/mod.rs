//! What we say: terminal and HTML.
