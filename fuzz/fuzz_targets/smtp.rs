//! What a server says after TLS, through the probes' SMTP side, against an oracle that reads the same bytes in its own way.

#![no_main]

use keypulse::health::evidence::Service;
use libfuzzer_sys::fuzz_target;

#[path = "imagined.rs"]
mod imagined;

fuzz_target!(|bytes: &[u8]| imagined::examine(Service::Smtp, bytes));
