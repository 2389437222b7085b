//! The catalogue of a rehearsal: everything that keypulse is to be right about, with what it must say and by when.
//!
//! Data, computed from the person's policy. Never plays anything.

mod causes;
mod machine;
mod messages;
mod outages;
mod passwords;
mod secrets;
mod yours;

use super::{
    promise::Promise,
    scenario::{House, Scenario},
};
use crate::{
    config::Config,
    health::{
        account::CredentialSetup,
        evidence::Services,
        name::{Address, CredentialName},
    },
};

/// The accounts of the plays.
const ADDRESSES: [&str; 3] = ["johnappleseed@icloud.com", "janeappleseed@icloud.com", "orchard.office@icloud.com"];
/// Programs that have a password there; the others are numbered.
const PROGRAMS: [&str; 6] = ["thunderbird", "msmtp", "nas", "phone", "mbsync", "scanner"];

/// Every scenario under this configuration.
#[must_use]
pub fn catalogue(config: &Config) -> Vec<Scenario> {
    let promise = Promise::of(config);
    let mut all = causes::scenarios(&promise);
    all.extend(passwords::scenarios(&promise));
    all.extend(outages::scenarios(&promise));
    all.extend(secrets::scenarios(&promise));
    all.extend(machine::scenarios(&promise));
    all.extend(messages::scenarios(&promise, config));
    all.extend(yours::scenarios(&promise, config));
    all
}

/// So many passwords in each account.
fn house(sizes: &[usize]) -> House {
    let accounts = ADDRESSES.iter().zip(sizes).enumerate();
    accounts
        .filter_map(|(account, (address, size))| {
            let credentials = (0..*size).filter_map(|credential| {
                let program =
                    PROGRAMS.get(credential).map_or_else(|| format!("app-{}", credential + 1), ToString::to_string);
                let name = if account == 0 { program } else { format!("{program}-{}", account + 1) };
                let name = CredentialName::new(&name).ok()?;
                Some(CredentialSetup { name, app: None, services: Services::BOTH })
            });
            Some((Address::new(address).ok()?, credentials.collect()))
        })
        .collect()
}

/// One account with one password, used on these services only.
fn used_on(services: Services) -> House {
    let mut house = house(&[1]);
    house.iter_mut().flat_map(|(_, credentials)| credentials).for_each(|credential| credential.services = services);
    house
}
