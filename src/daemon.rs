//! The event loop: the only place where events become actions become effects.
