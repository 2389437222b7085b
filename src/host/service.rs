//! The service manager: readiness, a line of status, the watchdog. Without one, all of this does nothing.
//!
//! systemd: `sd_notify(3)`. launchd wants none of it.

use std::time::Duration;

use crate::health::{
    credential::Health,
    schedule::Timestamp,
    view::{AccountStatus, CredentialStatus},
};

/// The daemon is up: configuration read, state held, socket open.
pub fn ready() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows.
pub fn reloading() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        notify(&[sd_notify::NotifyState::Reloading, now]);
    }
}

/// The daemon ends.
pub fn stopping() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Stopping]);
}

/// The loop turns.
pub fn alive() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Watchdog]);
}

/// How often [`alive`] is to be called: half of what the manager allows. `None` where nobody watches.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| !every.is_zero());
    #[cfg(not(target_os = "linux"))]
    None
}

/// Tells the manager how things stand, in one line.
pub fn status(accounts: &[AccountStatus], now: Timestamp, offset_ms: i64) {
    let line = summary(accounts, &|at| super::clock::local(at, now, offset_ms));
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Status(&line)]);
    #[cfg(not(target_os = "linux"))]
    drop(line);
}

/// Tells the manager what keeps keypulse from its work, in one line.
pub fn trouble(words: &str) {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Status(words)]);
    #[cfg(not(target_os = "linux"))]
    let _ = words;
}

/// "4 passwords healthy, next check 14:05", "1 revoked, 3 healthy, next check 14:05".
#[must_use]
pub fn summary(accounts: &[AccountStatus], local: &dyn Fn(Timestamp) -> String) -> String {
    let credentials = || accounts.iter().flat_map(|account| &account.credentials);
    let count = |health| credentials().filter(|credential| credential.health == health).count();
    let healthy = count(Health::Healthy);
    let mut words = match (credentials().count(), healthy) {
        (0, _) => return "no passwords to watch".to_owned(),
        (1, 1) => "1 password healthy".to_owned(),
        (all, healthy) if all == healthy => format!("{all} passwords healthy"),
        (_, _) => {
            let worst_first = [
                Health::Revoked,
                Health::Rejected,
                Health::Suspect,
                Health::Degraded,
                Health::Unreadable,
                Health::Stale,
                Health::Unknown,
                Health::Healthy,
            ];
            let counted = worst_first.into_iter().map(|health| (count(health), health)).filter(|(count, _)| *count > 0);
            let counted: Vec<String> = counted.map(|(count, health)| format!("{count} {health}")).collect();
            counted.join(", ")
        }
    };
    if let Some(next) = credentials().filter_map(|credential: &CredentialStatus| credential.next_check_at).min() {
        words.push_str(", next check ");
        words.push_str(&local(next));
    }
    words
}

#[cfg(target_os = "linux")]
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("failed to tell the service manager: {error}");
    }
}
