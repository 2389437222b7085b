//! The way of an e-mail: which server, as whom, with which password, whose ration a refusal would be on, and what stands in it.
//!
//! Decides nothing but that; sends nothing.

use super::guest::{other_names, target};
use crate::{
    api::{EmailDocument, Time},
    config::{Account, Config, EmailVia, icloud},
    health::{
        credential::Health,
        engine::Engine,
        evidence::{Finding, PerService, Service},
        mail::MailTrouble,
        name::{Address, CredentialName, Digest},
        schedule::Timestamp,
        view::ServiceStatus,
    },
    probe::Target,
    secret::{AppPassword, DigestKey, Source},
};

/// How messages go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The sender of every message.
    pub from: lettre::Address,
    /// Who is told.
    pub to: lettre::Address,
    /// Where, and as whom.
    pub target: Target,
    /// Where the password is.
    pub source: Source,
    /// It need not be an app-specific one.
    pub any_shape: bool,
    /// The login is a watched account's.
    pub watched: Option<Watched>,
}

/// The account whose login a message goes out with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub account: Address,
    /// Its user names: what the password is known by.
    pub usernames: PerService<String>,
    /// The credential of `notify.email.credential`.
    pub credential: Option<CredentialName>,
}

impl Route {
    /// What a refused login is remembered by, so that it is not sent again.
    #[must_use]
    pub fn digest(&self, key: &DigestKey, password: &AppPassword) -> Digest {
        let server = &self.target.server;
        key.mail(password, &server.host.to_ascii_lowercase(), server.port, &self.target.username)
    }
}

/// How messages go out under this configuration; `None` where none do.
#[must_use]
pub fn route(config: &Config) -> Option<Route> {
    let email = config.notify.email.as_ref()?;
    let (mut target, source, any_shape, watched) = match &email.via {
        EmailVia::Credential(name) => {
            let (account, credential) = config.find(name)?;
            let watched = watched(account, Some(name));
            (target(config, account, Service::Smtp), credential.secret.clone(), credential.any_shape, Some(watched))
        }
        EmailVia::Server { server, username, secret } => {
            let here = [&config.servers.smtp.host, &icloud().smtp.host];
            let here = here.iter().any(|host| host.eq_ignore_ascii_case(&server.host));
            let of_it = |account: &&Account| here && is_of(account, username);
            let account = config.accounts.iter().find(of_it);
            let target = Target {
                service: Service::Smtp,
                server: server.clone(),
                username: username.clone(),
                other_names: account.map(other_names).unwrap_or_default(),
                timeout: config.timeout,
            };
            // Anybody's server, anybody's password; but a watched account's main password stays unsent.
            (target, secret.clone(), account.is_none(), account.map(|account| watched(account, None)))
        }
    };
    target.other_names.extend([&email.to, &email.from].map(ToString::to_string));
    Some(Route { from: email.from.clone(), to: email.to.clone(), target, source, any_shape, watched })
}

/// What keeps e-mail from going out, for people.
#[must_use]
pub(super) fn trouble(config: &Config, engine: &Engine, now: Timestamp, offset_ms: i64) -> Option<EmailDocument> {
    let route = route(config)?;
    let time = |at| Time::new(at, offset_ms);
    let remembered = engine.mail_trouble();
    let of = |trouble: &MailTrouble| EmailDocument {
        since: Some(time(trouble.since)),
        why: trouble.why.clone(),
        ended: trouble.refused.is_some(),
    };
    if let Some(refused) = remembered.filter(|trouble| trouble.refused.is_some()) {
        return Some(of(refused));
    }
    let lender = route.watched.and_then(|watched| watched.credential);
    let lender = lender.and_then(|name| {
        let accounts = engine.status(now);
        accounts.into_iter().flat_map(|account| account.credentials).find(|credential| credential.name == name)
    });
    if let Some(lender) = lender {
        let refuses = |it: &ServiceStatus| it.service == Service::Smtp && it.finding == Finding::Rejected;
        let ill = match lender.health {
            // One that was never asked may well be healthy.
            Health::Healthy | Health::Unknown => false,
            Health::Degraded => lender.services.iter().any(refuses),
            Health::Suspect | Health::Revoked | Health::Rejected | Health::Unreadable | Health::Stale => true,
        };
        if ill {
            let why = format!("it goes out through {}, which is {}", lender.name, lender.health);
            return Some(EmailDocument { since: lender.since.map(time), why, ended: true });
        }
    }
    remembered.filter(|_| engine.has_mail_waiting()).map(of)
}

fn watched(account: &Account, credential: Option<&CredentialName>) -> Watched {
    Watched { account: account.address.clone(), usernames: account.usernames.clone(), credential: credential.cloned() }
}

/// Whether iCloud takes this user name for the account.
fn is_of(account: &Account, username: &str) -> bool {
    let PerService { imap, smtp } = &account.usernames;
    let names = [account.address.as_str(), account.address.local_part(), imap, smtp];
    names.iter().any(|name| name.eq_ignore_ascii_case(username))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const ACCOUNT: &str = "[smtp]\nhost = \"127.0.0.1\"\n[[account]]\naddress = \"john@icloud.com\"\n\
                           [[account.credential]]\nname = \"nas\"\nsecret.file = \"/nas\"\n";

    #[track_caller]
    fn check(email: &str, expected: Option<(&str, Option<&str>, bool)>) {
        let text = format!("[notify.email]\nto = \"me@example.org\"\nfrom = \"k@example.org\"\n{email}\n{ACCOUNT}");
        let config = config::parse(&text, std::path::Path::new("config.toml")).unwrap();
        let route = route(&config).unwrap();
        let watched = route.watched.as_ref();
        let found = watched
            .map(|it| (it.account.as_str(), it.credential.as_ref().map(CredentialName::as_str), route.any_shape));
        assert_eq!(found, expected, "{email}");
    }

    #[test]
    fn a_login_of_a_watched_account_is_recognised() {
        let server =
            |host: &str, user: &str| format!("host = \"{host}\"\nusername = \"{user}\"\nsecret.file = \"/pw\"");
        check("credential = \"nas\"", Some(("john@icloud.com", Some("nas"), false)));
        check(&server("127.0.0.1", "john@icloud.com"), Some(("john@icloud.com", None, false)));
        check(&server("smtp.mail.me.com", "John"), Some(("john@icloud.com", None, false)));
        check(&server("127.0.0.1", "jane@icloud.com"), None);
        check(&server("smtp.example.org", "john@icloud.com"), None);
    }
}
