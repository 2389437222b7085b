//! iCloud Mail on loopback, with faults.
