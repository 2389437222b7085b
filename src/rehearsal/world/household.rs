//! A household: its Apple Accounts, the places where their passwords are kept, and the machine that keypulse runs on.
//!
//! Decides who lives there, by a seed. Never what befalls them: that is `fate.rs`.

use crate::health::{
    account::CredentialSetup,
    event::Setup,
    evidence::Services,
    name::{Address, CredentialName},
    outbox::Channel,
    schedule::Policy,
};

use super::fortune::Fortune;

/// What keypulse runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Always on, always at home.
    Server,
    /// It sleeps at night and now and then, and wakes up elsewhere.
    Laptop,
}

/// A place where a password is kept: one credential of the configuration.
#[derive(Clone, Debug)]
pub struct Place {
    /// The credential's name: the number of the place.
    pub name: CredentialName,
    /// Its account.
    pub account: usize,
    /// The services it uses.
    pub services: Services,
    /// The password it holds first: places of one account may share one.
    pub secret: usize,
}

/// Who lives there.
#[derive(Clone, Debug)]
pub struct Household {
    /// From which all follows.
    pub seed: u64,
    /// How many Apple Accounts.
    pub accounts: usize,
    /// Where passwords are kept, those of an account together.
    pub places: Vec<Place>,
    /// How many different passwords there are at first.
    pub secrets: usize,
    /// What keypulse runs on.
    pub machine: Machine,
}

impl Household {
    /// The household of this seed: 1 to 3 accounts with 1 to 25 passwords each. Half have one account.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut fortune = Fortune::new(seed);
        let accounts = match fortune.below(10) {
            0..5 => 1,
            5..8 => 2,
            _ => 3,
        };
        let sizes: Vec<usize> = (0..accounts)
            .map(|_| match fortune.below(20) {
                0..5 => 1,
                5..9 => 2,
                9..13 => 3 + fortune.below(2),
                13..18 => 5 + fortune.below(6),
                _ => 11 + fortune.below(15),
            })
            .collect();
        let machine = if fortune.chance(60) { Machine::Laptop } else { Machine::Server };
        Self::of(seed, &sizes, machine, &mut fortune)
    }

    /// A household with as many passwords in each account as `sizes` says.
    #[must_use]
    pub fn of(seed: u64, sizes: &[usize], machine: Machine, fortune: &mut Fortune) -> Self {
        let (mut places, mut secrets) = (Vec::new(), 0);
        for (account, size) in sizes.iter().enumerate() {
            for _ in 0..*size {
                let services = match fortune.below(10) {
                    0 => Services { imap: true, smtp: false },
                    1 => Services { imap: false, smtp: true },
                    _ => Services::BOTH,
                };
                places.extend(place(places.len(), account, services, secrets));
                if fortune.chance(8) {
                    // Two programs that read the same entry, often each for its own service.
                    places.extend(place(places.len(), account, Services::BOTH, secrets));
                }
                secrets += 1;
            }
        }
        Self { seed, accounts: sizes.len(), places, secrets, machine }
    }

    /// The configuration that it gives keypulse.
    #[must_use]
    pub fn setup(&self, policy: Policy) -> Setup {
        let accounts = (0..self.accounts).filter_map(|account| {
            let places = self.places.iter().filter(|place| place.account == account);
            let credentials =
                places.map(|place| CredentialSetup { name: place.name.clone(), app: None, services: place.services });
            Some((Address::new(&format!("{account}@icloud.com")).ok()?, credentials.collect()))
        });
        Setup { policy, accounts: accounts.collect(), channels: vec![Channel::Hook] }
    }
}

fn place(number: usize, account: usize, services: Services, secret: usize) -> Option<Place> {
    Some(Place { name: CredentialName::new(&number.to_string()).ok()?, account, services, secret })
}
