//! What answers on the stage of a rehearsal: Apple, the secrets, the network and the channels, with their truth.
//!
//! Never looks at the engine, and decides nothing of what is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    scenario::{Happening, House, Weather, Who, Wiring},
    stage::Outside,
    wire::{Login, Wire},
};
use crate::{
    config::QuietHours,
    health::{
        event::{Handover, Order},
        evidence::{Cause, Finding, Outcome, PerService, Service},
        name::{CredentialName, Digest, Fingerprint},
        outbox::{Channel, Tidings},
        schedule::Timestamp,
    },
    host::clock,
    secret::Source,
};

/// A made-up secret.
type Secret = u32;

/// The world around the engine.
#[derive(Debug)]
pub(super) struct Scene<'w> {
    wire: &'w Wire,
    /// How logins go over the wire; `None`: their answers are made up.
    wiring: Option<Wiring>,
    house: House,
    holds: BTreeMap<CredentialName, Secret>,
    held_before: BTreeMap<CredentialName, Secret>,
    /// Each secret with its account.
    live: BTreeSet<Secret>,
    owners: BTreeMap<Secret, usize>,
    sources: BTreeMap<CredentialName, Source>,
    locked: bool,
    weather: PerService<Weather>,
    against: BTreeMap<(usize, Service), Weather>,
    mute: bool,
    quiet: Option<QuietHours>,
    /// What the wall clock is ahead of the stage's time, in milliseconds.
    offset_ms: i64,
    login: Duration,
    timeout: Duration,
}

impl<'w> Scene<'w> {
    /// A world in which every credential of `house` holds a live secret of its own. `login` is what a login takes, `timeout`
    /// one without an answer.
    #[must_use]
    pub(super) fn new(
        house: House,
        wire: &'w Wire,
        wiring: Option<Wiring>,
        login: Duration,
        timeout: Duration,
    ) -> Self {
        let mut scene = Self {
            wire,
            wiring,
            house,
            holds: BTreeMap::new(),
            held_before: BTreeMap::new(),
            live: BTreeSet::new(),
            owners: BTreeMap::new(),
            sources: BTreeMap::new(),
            locked: false,
            weather: PerService { imap: Weather::Fine, smtp: Weather::Fine },
            against: BTreeMap::new(),
            mute: false,
            quiet: None,
            offset_ms: 0,
            login,
            timeout,
        };
        for account in 0..scene.house.len() {
            for credential in 0..scene.house.get(account).map_or(0, |(_, credentials)| credentials.len()) {
                scene.replace((account, credential));
            }
        }
        scene.held_before.clear();
        scene
    }

    /// The desktop's quiet hours.
    #[must_use]
    pub(super) fn with_quiet(self, quiet: Option<QuietHours>) -> Self {
        Self { quiet, ..self }
    }

    /// What the wall clock is ahead of the stage's time, in milliseconds.
    #[must_use]
    pub(super) const fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// The part of a happening that is about this world; what concerns the engine is the player's.
    pub(super) fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Reset(account) => {
                let owners = &self.owners;
                self.live.retain(|secret| owners.get(secret) != Some(account));
            }
            Happening::Revoke(who) => {
                if let Some(secret) = self.secret_of(*who) {
                    self.live.remove(&secret);
                }
            }
            Happening::RevokeOld(who) => {
                if let Some(old) = self.name_of(*who).and_then(|name| self.held_before.get(&name)) {
                    self.live.remove(old);
                }
            }
            Happening::Reinstate => self.live = self.owners.keys().copied().collect(),
            Happening::Replace(who) => self.replace(*who),
            Happening::PutBack(who) => {
                if let Some(name) = self.name_of(*who)
                    && let Some(before) = self.held_before.get(&name).copied()
                    && let Some(now) = self.holds.insert(name.clone(), before)
                {
                    self.held_before.insert(name, now);
                }
            }
            Happening::Share(who, with) => {
                if let (Some(name), Some(secret)) = (self.name_of(*who), self.secret_of(*with)) {
                    self.holds.insert(name, secret);
                }
            }
            Happening::Weather(services, weather) => {
                for service in services.iter() {
                    *self.weather.of_mut(service) = weather.clone();
                }
            }
            Happening::Against(account, service, weather) => {
                self.against.insert((*account, *service), weather.clone());
            }
            Happening::Source(who, source) => {
                if let Some(name) = self.name_of(*who) {
                    match source {
                        Some(source) => self.sources.insert(name, source.clone()),
                        None => self.sources.remove(&name),
                    };
                }
            }
            Happening::Lock => self.locked = true,
            Happening::Unlock => self.locked = false,
            Happening::SetClock(seconds) | Happening::Reboot(_, seconds) => {
                self.offset_ms = self.offset_ms.saturating_add(seconds.saturating_mul(1000));
            }
            Happening::Mute(mute) => self.mute = *mute,
            Happening::Sleep(_)
            | Happening::Restart(_)
            | Happening::Spend(..)
            | Happening::Check(_)
            | Happening::LoseNotification
            | Happening::CloseNotification
            | Happening::Forget(_)
            | Happening::Snooze(..)
            | Happening::Pause(_) => {}
        }
    }

    /// A new live secret for a credential.
    fn replace(&mut self, who: Who) {
        let secret = Secret::try_from(self.owners.len()).unwrap_or(Secret::MAX);
        self.owners.insert(secret, who.0);
        self.live.insert(secret);
        if let Some(name) = self.name_of(who)
            && let Some(before) = self.holds.insert(name.clone(), secret)
        {
            self.held_before.insert(name, before);
        }
    }

    fn name_of(&self, (account, credential): Who) -> Option<CredentialName> {
        Some(self.house.get(account)?.1.get(credential)?.name.clone())
    }

    fn secret_of(&self, who: Who) -> Option<Secret> {
        self.holds.get(&self.name_of(who)?).copied()
    }

    fn account_of(&self, credential: &CredentialName) -> Option<usize> {
        self.house.iter().position(|(_, all)| all.iter().any(|setup| setup.name == *credential))
    }

    /// The answer of the service, over the wire where there is one.
    fn answer(&self, account: usize, secret: Secret, service: Service) -> Outcome {
        let live = self.live.contains(&secret);
        let weather = self.against.get(&(account, service)).unwrap_or_else(|| self.weather.of(service));
        let fault = match (weather, self.wiring) {
            (Weather::Offline, _) => {
                return Outcome::unasked(Cause::Offline, "the name of the server could not be resolved");
            }
            (Weather::Silent(cause), _) => return Outcome::unasked(*cause, "made up for the rehearsal"),
            (Weather::Fine, None) => return said(service, live),
            (Weather::Refuses, None) => return said(service, false),
            (Weather::Accepts, None) => return said(service, true),
            (Weather::Fault(fault), None) => {
                return Outcome::unasked(Cause::ProtocolViolation, format!("{fault:?} needs a wire"));
            }
            (Weather::Fine, Some(_)) => None,
            (Weather::Refuses, Some(_)) => Some(crate::simulator::Fault::RejectValid),
            (Weather::Accepts, Some(_)) => Some(crate::simulator::Fault::AcceptDead),
            (Weather::Fault(fault), Some(_)) => Some(fault.clone()),
        };
        let (Some(wiring), Some((address, _))) = (self.wiring, self.house.get(account)) else {
            return Outcome::unasked(Cause::SecretUnavailable, "it is no longer configured");
        };
        self.wire.login(Login {
            wiring,
            service,
            fault,
            address: address.to_string(),
            password: password(secret),
            live,
        })
    }
}

impl Outside for Scene<'_> {
    fn secret(&mut self, credential: &CredentialName, _: Timestamp) -> Result<Fingerprint, (Cause, String)> {
        if self.locked {
            return Err((Cause::SecretUnavailable, "the keyring is locked".to_owned()));
        }
        if let Some(source) = self.sources.get(credential)
            && let Some(why) = self.wire.read(source.clone())
        {
            return Err(why);
        }
        let gone = || (Cause::SecretUnavailable, "it is no longer configured".to_owned());
        let secret = self.holds.get(credential).copied().ok_or_else(gone)?;
        Ok(fingerprint(self.account_of(credential).ok_or_else(gone)?, secret))
    }

    fn login(&mut self, credential: &CredentialName, service: Service, _: Timestamp) -> Outcome {
        let asked = self.account_of(credential).zip(self.holds.get(credential).copied());
        let outcome = match asked {
            Some((account, secret)) => self.answer(account, secret, service),
            None => Outcome::unasked(Cause::SecretUnavailable, "it is no longer configured"),
        };
        // The stage's time, not ours: a real server is quicker, and silence is cut short.
        let silent = outcome.finding == Finding::Inconclusive(Cause::TimedOut);
        Outcome { took: Some(if silent { self.timeout } else { self.login }), ..outcome }
    }

    fn deliver(&mut self, order: &Order, now: Timestamp) -> Handover {
        if self.mute {
            return Handover::Failed;
        }
        match order.delivery.channel {
            Channel::Desktop => {
                let waits = !matches!(order.delivery.tidings, Tidings::Resolved | Tidings::PutBack);
                match self.quiet.and_then(|hours| clock::quiet_for(hours, now, self.offset_ms)).filter(|_| waits) {
                    Some(wait) => Handover::NotBefore(now + wait),
                    None => Handover::Done(Some("rehearsal :1.1 1".to_owned())),
                }
            }
            Channel::Hook | Channel::Email => Handover::Done(None),
        }
    }
}

/// The words of iCloud to a login.
fn said(service: Service, accepted: bool) -> Outcome {
    let (finding, code, detail) = match (service, accepted) {
        (Service::Imap, true) => (Finding::Accepted, None, "OK user *** authenticated"),
        (Service::Smtp, true) => (Finding::Accepted, Some("235 2.7.0"), "235 2.7.0 Authentication successful"),
        (Service::Imap, false) => {
            (Finding::Rejected, Some("AUTHENTICATIONFAILED"), "NO [AUTHENTICATIONFAILED] Authentication Failed")
        }
        (Service::Smtp, false) => (Finding::Rejected, Some("535 5.7.8"), "535 5.7.8 Error: authentication failed"),
    };
    Outcome { finding, code: code.map(str::to_owned), detail: Some(detail.to_owned()), took: None }
}

fn fingerprint(account: usize, secret: Secret) -> Fingerprint {
    let digest = |tag: u8| {
        let mut digest = [0; 32];
        let bytes = secret.to_be_bytes().into_iter().chain([tag]).chain(account.to_be_bytes());
        digest.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Digest(digest)
    };
    Fingerprint { secret: digest(0), pairs: PerService { imap: digest(1), smtp: digest(2) } }
}

/// A password of Apple's shape that nobody was ever given: sixteen letters that count.
fn password(secret: Secret) -> String {
    let letter = |place: u32| {
        let digit = secret.checked_div(26_u32.saturating_pow(place)).unwrap_or(0) % 26;
        char::from(b'a' + u8::try_from(digit).unwrap_or(0))
    };
    let group = |from: u32| (from..from + 4).rev().map(letter).collect::<String>();
    [12, 8, 4, 0].map(group).join("-")
}
