//! What a person wants of an incident: finds whom it is about, opens a terminal to repair it, takes what is snoozed off the
//! desktop.
//!
//! What snooze and pause hold back is the engine's business.

#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::time::Duration;

#[cfg(target_os = "linux")]
use tracing::{info, warn};

use super::{Daemon, Heart, RunError, deliver::Showing};
use crate::{
    api::{SnoozeError, UnknownName},
    health::{
        event::{Event, Handover},
        name::Address,
        outbox::Channel,
        schedule::DAY,
    },
};
#[cfg(target_os = "linux")]
use crate::{health::alert, host::terminal};

impl Heart {
    /// The account that `target`, a credential's name or an account's address, means.
    ///
    /// # Errors
    /// With the near ones, where nothing is called so.
    pub fn account_of(&self, target: &str) -> Result<Address, UnknownName> {
        self.engine().account_of(target).cloned().ok_or_else(|| {
            let known = self.config().accounts.iter().flat_map(|account| {
                let names = account.credentials.iter().map(|credential| credential.name.to_string());
                names.chain([account.address.to_string()])
            });
            // Told back to the one who asks: as much as a name may have.
            UnknownName::target(target.chars().take(64).collect::<String>(), known)
        })
    }

    /// The same, if people are told of something there.
    ///
    /// # Errors
    /// Where nothing is called so, or nothing stands.
    pub fn snoozable(&self, target: &str) -> Result<Address, SnoozeError> {
        let account = self.account_of(target).map_err(SnoozeError::Unknown)?;
        if self.engine().has_incident(&account) { Ok(account) } else { Err(SnoozeError::NothingStands(account)) }
    }
}

impl Daemon {
    /// Nothing is said of the account's incident for a while, and what stands of it on the desktop goes.
    /// Whether that could be written down.
    pub(super) fn snooze(&mut self, account: Address, length: Duration) -> Result<bool, RunError> {
        let done = self.wish(Event::Snooze { account, length })?;
        if done {
            self.clear_snoozed();
        }
        Ok(done)
    }

    /// Takes the messages of snoozed incidents off the desktop. Those that are gone already stay gone.
    pub(super) fn clear_snoozed(&mut self) {
        let Some(desktop) = self.desktop.clone() else { return };
        for (incident, receipt) in self.heart.engine().snoozed_on(Channel::Desktop) {
            let shown = receipt.and_then(|receipt| receipt.parse().ok());
            // Nobody will say any more what became of one that is just being shown.
            if let Some(Showing { id, .. }) = self.showing.remove(&incident) {
                self.answer(id, Handover::Done(None));
            } else if shown.is_none() {
                continue;
            }
            desktop.withdraw(incident, shown);
        }
    }

    /// The person chose "Snooze 1 day" on the notification.
    pub(super) fn snooze_for_a_day(&mut self, incident: u64) -> Result<(), RunError> {
        match self.heart.engine().account_with(incident).cloned() {
            Some(account) => self.snooze(account, DAY).map(drop),
            None => Ok(()), // it is over meanwhile
        }
    }

    /// The person chose "Replace…": the command runs in their terminal, or they are told to run it.
    #[cfg_attr(target_os = "macos", expect(clippy::unused_self, reason = "no notification offers it there"))]
    pub(super) fn replace_in_terminal(&mut self, incident: u64) {
        #[cfg(target_os = "linux")]
        if let Some(account) = self.heart.engine().account_with(incident).cloned()
            && let Some(desktop) = self.desktop.clone()
        {
            let program = std::env::current_exe().unwrap_or_else(|_| "keypulse".into());
            let (config, socket) = (&self.options.paths.config, &self.options.socket);
            let command: Vec<OsString> = vec![
                program.into(),
                "--config".into(),
                config.into(),
                "--socket".into(),
                socket.into(),
                "replace".into(),
                "--account".into(),
                account.as_str().into(),
            ];
            self.heart.hands.spawn(async move {
                match terminal::run(&command).await {
                    Ok(program) => info!("opened {program} to replace passwords of {account}"),
                    Err(error) => {
                        warn!("failed to {error}");
                        desktop.note(alert::no_terminal(&account));
                    }
                }
            });
        }
        #[cfg(not(target_os = "linux"))]
        let _ = incident;
    }
}
