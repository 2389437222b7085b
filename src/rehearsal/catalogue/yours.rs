//! The person's own accounts, with made-up passwords: as many, and used as theirs are.

use crate::{
    config::Config,
    health::{
        account::CredentialSetup,
        evidence::Services,
        incident::IncidentCause::{MainPasswordReset, ResetOrRevoked},
        outbox::Tidings::Opened,
    },
    rehearsal::{
        catalogue::passwords::reset_act,
        promise::Promise,
        scenario::{Group, Happening, House, Line, Scenario, Until},
    },
};

/// Of more accounts than this only the first are reset.
const ACCOUNTS: usize = 5;
/// Apple's limit: more cannot all be alive.
const PASSWORDS: usize = 25;

pub(super) fn scenarios(p: &Promise, config: &Config) -> Vec<Scenario> {
    let house = yours(config);
    let strong = house.iter().flat_map(|(_, credentials)| credentials).all(|one| one.services == Services::BOTH);
    let accounts = house.iter().enumerate().take(ACCOUNTS);
    accounts
        .map(|(account, (address, credentials))| {
            let count = credentials.len();
            let cause = if count == 1 { ResetOrRevoked } else { MainPasswordReset };
            let name = format!("yours-{}", account + 1);
            let scenario = Scenario::new(Group::Yours, name, format!("Reset of {address}"), house.clone());
            if strong {
                return reset_act(p, scenario, account, count, cause, house.len() > 1);
            }
            // Who refuses first and who bears witness hangs on which services they use: only the widest bounds hold.
            let by = p.noticed() + p.held();
            let scenario = scenario.act(Until::For(by + p.noticed()), [Happening::Reset(account)]);
            if p.affords(count) { scenario.says(Line::new(account, Opened, cause, by)) } else { scenario.in_the_end() }
        })
        .collect()
}

/// The accounts that have a password.
fn yours(config: &Config) -> House {
    let accounts = config.accounts.iter().filter(|account| !account.credentials.is_empty());
    accounts
        .map(|account| {
            let credentials = account.credentials.iter().take(PASSWORDS).map(|credential| CredentialSetup {
                name: credential.name.clone(),
                app: credential.app.clone(),
                services: credential.services,
            });
            (account.address.clone(), credentials.collect())
        })
        .collect()
}
