//! The rules of `verdicts.md` as claims about the whole engine, in virtual time, against a world whose truth is known.

mod configuration;
mod evidence;
mod incident;
mod lives;
mod machine;
mod mail;
mod process;
mod quiet;
mod request;
mod road;
mod ruling;
mod secret;
mod stale;
mod trouble;
mod verdict;
mod view;
mod watch;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Deref, DerefMut},
    time::Duration,
};

use super::{
    account::CredentialSetup,
    credential::{Health, Transition},
    event::{AttemptRow, Event, Handover, Order, Setup},
    evidence::{Cause, Finding, Outcome, PerService, Service, Services},
    incident::IncidentCause,
    login::{Login, Why},
    name::{Address, CredentialName, Digest, Fingerprint},
    outbox::{Channel, Tidings},
    ruling::{Guard, Rule, Ruling, Was},
    schedule::{DAY, Policy, Timestamp},
    view::{AccountStatus, CredentialStatus},
};
use crate::rehearsal::stage::{Outside, Stage};

const MIN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What a service does to everybody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    Fine,
    Silent(Cause),
    RefusesAll,
}

/// Accounts, their passwords and what is true of them.
#[derive(Debug)]
struct Town {
    accounts: Vec<(Address, Vec<CredentialSetup>)>,
    /// Which password a credential holds: a number.
    holds: BTreeMap<CredentialName, u8>,
    unreadable: BTreeSet<CredentialName>,
    /// Those whose user name for IMAP is another than at first.
    renamed: BTreeSet<CredentialName>,
    dead: BTreeSet<u8>,
    weather: PerService<Weather>,
    silent_channel: bool,
    /// Every refusal: when, whose, which password.
    refusals: Vec<(Timestamp, Address, u8)>,
    /// Every password that a credential ever held.
    held: BTreeSet<(CredentialName, u8)>,
}

impl Outside for Town {
    fn secret(&mut self, credential: &CredentialName, _: Timestamp) -> Result<Fingerprint, (Cause, String)> {
        if self.unreadable.contains(credential) {
            return Err((Cause::SecretUnavailable, "the keyring is locked".to_owned()));
        }
        self.held.insert((credential.clone(), self.holds[credential]));
        let mut fingerprint = fingerprint(self.account_of(credential), self.holds[credential]);
        if self.renamed.contains(credential) {
            fingerprint.pairs.imap.0[3] = 1;
        }
        Ok(fingerprint)
    }

    fn login(&mut self, credential: &CredentialName, service: Service, now: Timestamp) -> Outcome {
        let dead = self.dead.contains(&self.holds[credential]);
        let finding = match self.weather.of(service) {
            Weather::Silent(cause) => Finding::Inconclusive(*cause),
            Weather::RefusesAll => Finding::Rejected,
            Weather::Fine if dead => Finding::Rejected,
            Weather::Fine => Finding::Accepted,
        };
        if finding == Finding::Rejected {
            let address = self.accounts[self.account_of(credential)].0.clone();
            self.refusals.push((now, address, self.holds[credential]));
        }
        Outcome { finding, code: None, detail: None, took: None }
    }

    fn deliver(&mut self, order: &Order, _: Timestamp) -> Handover {
        // The desktop gives each message a number; a hook gives nothing back.
        let receipt = (order.delivery.channel == Channel::Desktop).then(|| order.delivery.id.to_string());
        if self.silent_channel { Handover::Failed } else { Handover::Done(receipt) }
    }
}

impl Town {
    fn account_of(&self, credential: &CredentialName) -> usize {
        self.accounts.iter().position(|(_, all)| all.iter().any(|setup| setup.name == *credential)).unwrap()
    }
}

/// The town, and the engine that is to find out.
struct World(Stage<Town>);

impl Deref for World {
    type Target = Stage<Town>;
    fn deref(&self) -> &Stage<Town> {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Stage<Town> {
        &mut self.0
    }
}

fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

fn fingerprint(account: usize, secret: u8) -> Fingerprint {
    let digest = |tag| {
        let mut bytes = [0; 32];
        bytes[0] = secret;
        bytes[1] = tag;
        bytes[2] = u8::try_from(account).unwrap();
        Digest(bytes)
    };
    Fingerprint { secret: digest(0), pairs: PerService { imap: digest(1), smtp: digest(2) } }
}

impl World {
    /// `households[n]` credentials in account n, named a0, a1, … b0, …, each with a password of its own.
    fn new(households: &[usize]) -> Self {
        Self::with(households, Policy { jitter_percent: 0, ..Policy::default() })
    }

    fn with(households: &[usize], policy: Policy) -> Self {
        let mut holds = BTreeMap::new();
        let mut secret = 0;
        let accounts: Vec<(Address, Vec<CredentialSetup>)> = households
            .iter()
            .zip('a'..)
            .map(|(count, letter)| {
                let credentials = (0..*count)
                    .map(|n| {
                        let name = name(&format!("{letter}{n}"));
                        secret += 1;
                        holds.insert(name.clone(), secret);
                        CredentialSetup { name, app: None, services: Services::BOTH }
                    })
                    .collect();
                (Address::new(&format!("{letter}@icloud.com")).unwrap(), credentials)
            })
            .collect();
        let town = Town {
            accounts: accounts.clone(),
            holds,
            unreadable: BTreeSet::new(),
            renamed: BTreeSet::new(),
            dead: BTreeSet::new(),
            weather: PerService { imap: Weather::Fine, smtp: Weather::Fine },
            silent_channel: false,
            refusals: Vec::new(),
            held: BTreeSet::new(),
        };
        let setup = Setup { policy, accounts, channels: vec![Channel::Hook] };
        Self(Stage::new(setup, town, 7, Timestamp::from_millis(1_000_000_000_000)))
    }

    /// A world that has been healthy for three hours.
    fn settled(households: &[usize]) -> Self {
        let mut world = Self::new(households);
        world.run(3 * HOUR);
        for credential in world.credentials() {
            assert_eq!(credential.health, Health::Healthy, "{}", credential.name);
        }
        world.log.transitions.clear();
        world.log.attempts.clear();
        world
    }

    /// Something happens, with all that follows at once.
    fn event(&mut self, event: Event) {
        self.0.happen(event);
        while self.is_busy() && self.0.step(self.now() + DAY) {
            self.invariants();
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now() + time;
        // What began in time ends, if a moment later.
        while self.0.step(end) || self.is_busy() && self.0.step(end + DAY) {
            self.invariants();
        }
        self.0.run_until(end);
    }

    /// The process dies and comes back with what was written down.
    fn restart(&mut self) {
        let seen = |world: &Self| -> Vec<(u32, Vec<Health>)> {
            let healths = |account: AccountStatus| account.credentials.iter().map(|c| c.health).collect();
            world.status().into_iter().map(|account| (account.failed_logins_24h, healths(account))).collect()
        };
        let before = seen(self);
        self.0.restart(Duration::ZERO);
        assert_eq!(seen(self), before, "a restart changed a verdict or forgot a failed login");
        self.event(Event::Timer);
    }

    fn reset(&mut self, account: char) {
        let of_account = |name: &CredentialName| name.as_str().starts_with(account);
        let town = &mut self.outside;
        town.dead.extend(town.holds.iter().filter(|(name, _)| of_account(name)).map(|(_, secret)| *secret));
    }

    fn credentials(&self) -> Vec<CredentialStatus> {
        self.status().into_iter().flat_map(|account| account.credentials).collect()
    }

    fn health(&self, credential: &str) -> Health {
        self.credentials().into_iter().find(|c| c.name.as_str() == credential).unwrap().health
    }

    fn cause(&self, account: usize) -> Option<IncidentCause> {
        self.status()[account].incident.as_ref().map(|incident| incident.cause)
    }

    fn rejected(&self) -> Vec<&AttemptRow> {
        self.log.attempts.iter().filter(|row| row.outcome.finding == Finding::Rejected).collect()
    }

    /// The messages that went out: when, about whom, what.
    fn told(&self) -> Vec<(Timestamp, String, Tidings, IncidentCause)> {
        let out = self.log.told.iter().filter(|told| matches!(told.handover, Handover::Done(_)));
        out.map(|told| {
            let account = &told.order.account;
            let cause = account.incident.as_ref().unwrap().cause;
            (told.at, account.address.to_string(), told.order.delivery.tidings, cause)
        })
        .collect()
    }

    /// The rules by which it was decided about the secret of a credential, in their order.
    fn rules(&self, credential: &str) -> Vec<Rule> {
        let town = &self.outside;
        let secret = fingerprint(town.account_of(&name(credential)), town.holds[&name(credential)]).secret.tag();
        self.log.rulings.iter().filter(|ruling| ruling.secret == secret).map(|ruling| ruling.rule).collect()
    }

    #[track_caller]
    fn said(&self, expected: &[(Tidings, IncidentCause)]) {
        let tidings: Vec<_> = self.told().into_iter().map(|(_, _, tidings, cause)| (tidings, cause)).collect();
        assert_eq!(tidings, expected);
    }

    /// `verdicts.md`, part 7, after every single event: properties 1 and 4, by the world's own count.
    fn invariants(&self) {
        // What `explain` prints is no other story than the engine's: the latest ruling that moved a secret says what it is.
        for (key, stored) in &self.memory().accounts {
            // A ruling names the secret; with another user name it is another pair, with a state of its own.
            let alone = |login: &&Login| {
                stored.logins.iter().filter(|other| other.fingerprint.secret == login.fingerprint.secret).count() == 1
            };
            for login in stored.logins.iter().filter(alone) {
                let of =
                    |ruling: &&Ruling| ruling.account.key() == *key && ruling.secret == login.fingerprint.secret.tag();
                let ruled = self.log.rulings.iter().rev().filter(of).find_map(|ruling| ruling.rule.makes());
                assert_eq!(ruled.unwrap_or(Was::New), Was::from(&login.state), "{:?}", login.fingerprint);
            }
        }
        // Each thing has a number of its own, and later ones have larger ones.
        let ids = |told: &[u64]| told.is_sorted_by(|one, next| one < next);
        assert!(ids(&self.log.transitions.iter().map(|change| change.id).collect::<Vec<_>>()));
        let messages: BTreeSet<_> =
            self.log.told.iter().map(|told| (told.order.delivery.id, told.order.delivery.tidings)).collect();
        let numbers: BTreeSet<u64> = messages.iter().map(|(id, _)| *id).collect();
        assert_eq!(messages.len(), numbers.len(), "two messages with one number: {messages:?}");
        for account in self.status() {
            let of_account = || self.outside.refusals.iter().filter(|refusal| refusal.1 == account.address);
            let lately = of_account().rev().take_while(|refusal| self.now().since(refusal.0) < DAY).count();
            let limit = usize::try_from(account.failed_login_limit).unwrap();
            assert!(lately <= limit, "property 4: {lately} failed logins of {} in a day", account.address);
            for credential in account.credentials.iter().filter(|credential| credential.health.is_dead()) {
                if credential.presumed {
                    let secrets: BTreeSet<u8> = of_account().map(|refusal| refusal.2).collect();
                    assert!(secrets.len() >= 4, "property 1: {} presumed after {secrets:?}", credential.name);
                } else {
                    let known = |secret: u8| self.outside.held.contains(&(credential.name.clone(), secret));
                    assert!(
                        of_account().any(|refusal| known(refusal.2)),
                        "property 1: {} without a refusal",
                        credential.name
                    );
                }
            }
        }
    }
}

use IncidentCause::{MainPasswordReset, NeverAccepted, ResetOrRevoked, SingleRevocation};
use Tidings::{Changed, Opened, PutBack, Reminder, Resolved};
