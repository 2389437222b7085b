//! One simulated Apple Account: its address, the forms of its name, its live app-specific passwords.

use ring::rand::{SecureRandom, SystemRandom};

use super::fault::Fault;
use crate::health::evidence::{PerService, Service};

/// At most so many app-specific passwords live at a time (fact 1.2).
const PASSWORDS: usize = 25;
/// Domains of one and the same mailbox (fact 5.4).
const DOMAINS: [&str; 3] = ["icloud.com", "me.com", "mac.com"];

/// The forms of a user name that IMAP takes (facts 1.6, 5.1 to 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImapNames {
    /// The part before @ and the full address.
    #[default]
    Both,
    /// Only the part before @.
    Short,
    /// Only the full address.
    Full,
}

/// An account. No `Debug`: it holds passwords.
pub(super) struct Account {
    pub(super) address: String,
    pub(super) imap_names: ImapNames,
    pub(super) passwords: Vec<String>,
    pub(super) faults: PerService<Option<Fault>>,
    pub(super) failed_logins: usize,
}

impl Account {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            imap_names: ImapNames::default(),
            passwords: Vec::new(),
            faults: PerService::default(),
            failed_logins: 0,
        }
    }

    /// Adds a live password; `false` where there is no room.
    pub(super) fn add_password(&mut self, password: &str) -> bool {
        let known = self.passwords.iter().any(|each| each == password);
        if !known && self.passwords.len() < PASSWORDS {
            self.passwords.push(password.into());
            return true;
        }
        known
    }

    /// Whether `username` is a name of this account, whatever the service thinks of its form.
    pub(super) fn is_meant_by(&self, username: &str) -> bool {
        self.is_short(username) || self.is_full(username)
    }

    /// Whether the service takes this form of the name: SMTP only the full address (fact 4.8).
    pub(super) fn takes(&self, service: Service, username: &str) -> bool {
        match (service, self.imap_names) {
            (Service::Imap, ImapNames::Both) => self.is_meant_by(username),
            (Service::Imap, ImapNames::Short) => self.is_short(username),
            (Service::Imap, ImapNames::Full) | (Service::Smtp, _) => self.is_full(username),
        }
    }

    fn is_short(&self, username: &str) -> bool {
        username.eq_ignore_ascii_case(self.short())
    }

    fn is_full(&self, username: &str) -> bool {
        let (Some((local, domain)), Some((_, own))) = (username.rsplit_once('@'), self.address.rsplit_once('@')) else {
            return false;
        };
        let apple = |domain: &str| DOMAINS.iter().any(|each| each.eq_ignore_ascii_case(domain));
        self.is_short(local) && (domain.eq_ignore_ascii_case(own) || (apple(domain) && apple(own)))
    }

    /// The part before @.
    pub(super) fn short(&self) -> &str {
        self.address.rsplit_once('@').map_or(self.address.as_str(), |(local, _)| local)
    }
}

/// Sixteen random letters as Apple shows them, `xxxx-xxxx-xxxx-xxxx` (fact 6.1).
///
/// # Panics
/// If the system has no randomness.
pub(super) fn random_password() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    let groups: Vec<String> =
        bytes.chunks(4).map(|group| group.iter().map(|byte| char::from(b'a' + byte % 26)).collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smtp_takes_only_the_full_address() {
        let account = Account::new("john@icloud.com");
        assert!(account.takes(Service::Imap, "john"));
        assert!(account.takes(Service::Imap, "John@iCloud.com"));
        assert!(account.takes(Service::Smtp, "john@icloud.com"));
        assert!(account.takes(Service::Smtp, "john@me.com"));
        assert!(!account.takes(Service::Smtp, "john"));
        assert!(!account.takes(Service::Imap, "john@gmail.com"));
        assert!(!account.takes(Service::Imap, "johnny"));
        assert!(!account.takes(Service::Imap, ""));
    }

    #[test]
    fn some_accounts_take_one_form_only() {
        let mut account = Account::new("john@icloud.com");
        account.imap_names = ImapNames::Short;
        assert!(account.takes(Service::Imap, "john") && !account.takes(Service::Imap, "john@icloud.com"));
        account.imap_names = ImapNames::Full;
        assert!(!account.takes(Service::Imap, "john") && account.takes(Service::Imap, "john@icloud.com"));
        assert!(account.is_meant_by("john"));
    }

    #[test]
    fn there_is_room_for_twenty_five() {
        let mut account = Account::new("john@icloud.com");
        for _ in 0..PASSWORDS {
            assert!(account.add_password(&random_password()));
        }
        assert!(!account.add_password("more-more-more-more"));
        let known = account.passwords[0].clone();
        assert!(account.add_password(&known));
        assert_eq!(account.passwords.len(), PASSWORDS);
    }

    #[test]
    fn passwords_have_apples_shape() {
        let password = random_password();
        let groups: Vec<&str> = password.split('-').collect();
        assert_eq!(groups.len(), 4);
        assert!(groups.iter().all(|group| group.len() == 4 && group.bytes().all(|b| b.is_ascii_lowercase())));
        assert_ne!(password, random_password());
    }
}
