//! The status document, and the socket's two ends.
