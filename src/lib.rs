//! keypulse watches the Apple app-specific passwords that a person's programs use for iCloud Mail. It logs in with each of
//! them from time to time and tells the person when one has died: which programs are affected, since when, most likely why,
//! and what to do.
//!
//! > **health decides · classify translates · probe asks · host touches · daemon loops · api tells.**
//!
//! Whoever knows this sentence knows where a change goes.
//!
//! # The layers
//!
//! | module | does | never |
//! |---|---|---|
//! | [`health`] | decides: from findings to verdicts, from verdicts to what is told | a network, a file, a clock, a random number, a log line |
//! | [`classify`] | translates a server's reply into a finding; the page to audit | a guess from a text where a code exists |
//! | [`place`] | directories and files that are the person's alone | follows a link that somebody else could have laid |
//! | [`secret`] | holds a password ([`secret::AppPassword`]); reads it from keyring, command, file, another program's file | opens a dialog from the background |
//! | [`config`] | TOML into types that cannot be wrong; edits that keep comments; paths; other programs' files | a default that differs from `config.example.toml` |
//! | [`store`] | what outlives the process, in SQLite | a secret |
//! | [`api`] | the status document, the two ends of the local socket | a decision |
//! | [`probe`] | one attempt: connect, TLS, authenticate once, hang up; or hand over an e-mail before | a second login on a connection |
//! | [`host`] | the machine: clock, desktop notifications, hook, e-mail as it is written, service manager | a verdict |
//! | [`daemon`] | the event loop: the only place where events become actions become effects | a rule |
//! | [`simulator`] | iCloud Mail on loopback, with faults, for `demo` and the tests | the network |
//! | [`rehearsal`] | the real core on a stage: virtual time, and a world whose truth is known | what is right by its own lights |
//! | [`cli`] | one file per group of commands; the composition root | a second way to do what the daemon does |
//!
//! Imports point down only; `tests/suite/layers.rs` reads the sources and fails on an arrow that runs up.
//!
//! # One check, from timer to notification
//!
//! 1. [`daemon`] sleeps until [`health::engine::Engine::next_due`], wakes, reads the clock once, and calls
//!    [`health::engine::Engine::handle`] with [`health::event::Event::Timer`].
//! 2. The engine starts a round: [`health::event::Action::ReadSecret`]. At most one round per account is under way.
//! 3. [`secret::Reader`] yields an [`secret::AppPassword`], or says why not. The daemon keeps it until the round ends; the
//!    engine sees a keyed fingerprint.
//! 4. The engine knows by the fingerprint whether the pair is latched, changed, or shared. If it is to be asked, it reserves
//!    one failed login and answers [`health::event::Action::Attempt`].
//! 5. [`probe`] connects, completes TLS, authenticates once and says LOGOUT or QUIT, every stage under one deadline;
//!    [`classify`] turns the reply into a [`health::evidence::Finding`].
//! 6. [`health::event::Event::Attempted`] carries it back. `evidence.rs` assesses the round, `verdict.rs` moves the secret,
//!    `consequence.rs` its siblings, `upkeep.rs` the incident and its messages.
//! 7. [`store`] commits attempt, transition, ration and delivery in one transaction **before** any effect is seen outside.
//! 8. [`api`] serves the new status and sends the event stream; [`host`] shows the notification or runs the hook, [`probe`] hands
//!    over an e-mail, and how that went comes back as [`health::event::Event::Delivered`] or `Mailed`.
//!
//! Steps 1, 2, 4 and 6 run without a runtime, so a simulated year takes milliseconds: [`rehearsal::stage`] drives the same engine
//! in virtual time against a world whose truth is known.
//!
//! # Invariants, and the tests that hold them
//!
//! 1. `health` and `classify` perform no IO, read no clock, draw no randomness. (`tests/suite/layers.rs`)
//! 2. Nothing but a server's explicit refusal leads to `revoked`. (`health/tests/`: `nothing_but_refusals_leads_to_revoked`,
//!    `every_life_ends_in_the_truth`; `tests/suite/faults.rs` through the real binary)
//! 3. A secret becomes bytes in one function, [`secret::AppPassword::expose`]. It is in no log, no error, no argument list, no
//!    environment, no core file, and not in memory once nothing is under way: see [`secret::Wiping`], the one place with unsafe
//!    code. (`secret/password.rs`, `tests/suite/secrets.rs`)
//! 4. Credentials exist only behind a verified TLS session; bytes buffered before the upgrade end the attempt.
//!    (`probe/tests.rs`, `tests/suite/faults.rs`)
//! 5. One task owns all state; there is no mutex around it.
//! 6. Every alert has a transition as its cause, every transition the attempts that caused it. All are in the state.
//! 7. A server's text is bounded, printable and redacted before a person, a terminal or a notification service sees it.
//!    (`classify/redact.rs`, `tests/suite/faults.rs`)
//! 8. Nothing is carried out that is not written down: where the state cannot be written, all stands still.
//!    (`daemon/standstill.rs`; `tests/suite/disk.rs`, `damage.rs`, `crash.rs`)
//! 9. A panic inside an attempt is `protocol-violation`; a panic anywhere else ends the process, and the supervisor restarts
//!    it. (`probe/tests.rs`)
//!
//! # Five minutes of reading
//!
//! `health/verdicts.md` (the rules), [`health::evidence`] (the nine cells), [`health::verdict`] (the rules for one secret), [`health::event`] (what goes in and
//! what comes out), [`classify`] (what servers say), `daemon/mod.rs` (the loop).

pub mod api;
pub mod classify;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod health;
pub mod host;
pub mod place;
pub mod probe;
pub mod rehearsal;
pub mod secret;
pub mod simulator;
pub mod store;
