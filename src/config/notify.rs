//! `[notify]`: desktop, quiet hours, hook and e-mail.
//!
//! Decides what is well-formed. Sends nothing.

use std::ops::Range;

use toml::Spanned;

use super::{
    Account, Email, EmailVia, Hook, Notify, QuietHours, Server, TlsMode,
    excerpt::quoted,
    parse::Checker,
    raw::{RawEmail, RawHook, RawNotify, Table},
};
use crate::health::{evidence::Service, name::CredentialName};

impl Checker<'_> {
    /// `remind_every` is part of the policy and checked there.
    pub(super) fn notify(&mut self, raw: RawNotify, accounts: &[Account]) -> Notify {
        let RawNotify { desktop, remind_every: _, quiet_hours, hook, email } = raw;
        Notify {
            desktop: desktop.unwrap_or(Notify::default().desktop),
            quiet_hours: quiet_hours.and_then(|given| self.quiet_hours(&given)),
            hook: hook.and_then(|given| self.hook(given)),
            email: email.and_then(|given| self.email(given, accounts)),
        }
    }

    /// `"22:00-07:00"`.
    fn quiet_hours(&mut self, given: &Spanned<String>) -> Option<QuietHours> {
        let times = given.get_ref().split_once('-').and_then(|(from, to)| Some((time_of_day(from)?, time_of_day(to)?)));
        match times {
            Some((from, to)) if from != to => Some(QuietHours { from, to }),
            Some(_) => {
                let remedy = "take the line out for none; to have no desktop messages at all write `desktop = false`";
                self.report(given.span(), "`quiet_hours` begin and end at the same time", remedy);
                None
            }
            None => {
                let remedy = "write two times from 00:00 to 23:59, such as \"22:00-07:00\"";
                self.report(given.span(), "`quiet_hours` are no times of day", remedy);
                None
            }
        }
    }

    fn hook(&mut self, raw: Spanned<Table<RawHook>>) -> Option<Hook> {
        let header = raw.span();
        let RawHook { command } = raw.into_inner().0;
        let Some(command) = command else {
            self.missing(header, "the hook", "command", "[\"/path/to/program\", \"argument\"]");
            return None;
        };
        self.command(&command).map(|command| Hook { command })
    }

    fn email(&mut self, raw: Spanned<Table<RawEmail>>, accounts: &[Account]) -> Option<Email> {
        let header = raw.span();
        let RawEmail { to, from, host, port, tls, username, secret, credential } = raw.into_inner().0;
        let to = self.mailbox(&header, "to", to.as_ref());
        let from = self.mailbox(&header, "from", from.as_ref());
        let via = if let Some(credential) = credential {
            let own = [
                ("host", host.as_ref().map(Spanned::span)),
                ("port", port.as_ref().map(Spanned::span)),
                ("tls", tls.as_ref().map(Spanned::span)),
                ("username", username.as_ref().map(Spanned::span)),
                ("secret", secret.as_ref().map(Spanned::span)),
            ];
            let mut clash = false;
            for (key, span) in own.into_iter().filter_map(|(key, span)| span.map(|span| (key, span))) {
                clash = true;
                let message = format!("`{key}` beside `credential`, which brings a server of its own");
                self.report(span, &message, "keep either `credential`, or `host` to `secret`");
            }
            self.lender(&credential, accounts).filter(|_| !clash).map(EmailVia::Credential)
        } else {
            let host = if let Some(host) = host {
                self.host(&host)
            } else {
                self.missing(header.clone(), "the e-mail's server", "host", "\"smtp.example.org\"");
                None
            };
            let port = self.port(port.as_ref(), 587);
            let tls = self.tls(tls.as_ref(), TlsMode::StartTls);
            let username = if let Some(username) = username {
                self.words("username", &username)
            } else {
                self.missing(header.clone(), "the e-mail's server", "username", "\"me\"");
                None
            };
            let secret = if let Some(secret) = secret {
                self.secret(secret)
            } else {
                self.missing(header, "the e-mail's server", "secret.command", "[\"pass\", \"show\", \"example\"]");
                None
            };
            match (host, username, secret) {
                (Some(host), Some(username), Some(secret)) => {
                    Some(EmailVia::Server { server: Server { host, port, tls }, username, secret })
                }
                _ => None,
            }
        };
        Some(Email { to: to?, from: from?, via: via? })
    }

    fn mailbox(
        &mut self,
        header: &Range<usize>,
        key: &str,
        given: Option<&Spanned<String>>,
    ) -> Option<lettre::Address> {
        let Some(given) = given else {
            self.missing(header.clone(), "the e-mail", key, "\"me@example.org\"");
            return None;
        };
        let address = self.address(key, given)?;
        // Stricter than for an account: it goes into the dialogue with the server (RFC 5321, section 4.1.2).
        let mailbox = Some(address.as_str()).filter(|text| text.is_ascii()).and_then(|text| text.parse().ok());
        if mailbox.is_none() {
            let message = format!("`{key}` is no address that mail can be sent to");
            self.report(given.span(), &message, "write it in ASCII, such as \"me@example.org\"");
        }
        mailbox
    }

    /// The watched credential that sends the mail.
    fn lender(&mut self, given: &Spanned<String>, accounts: &[Account]) -> Option<CredentialName> {
        let credentials = || accounts.iter().flat_map(|account| &account.credentials);
        let found = credentials().find(|credential| credential.name.as_str() == given.get_ref());
        if let Some(credential) = found {
            if credential.services.has(Service::Smtp) {
                return Some(credential.name.clone());
            }
            let message = format!("the credential {} is not used for smtp", quoted(given.get_ref()));
            self.report(given.span(), &message, "add \"smtp\" to its `services`, or name another");
        } else if !self.names.contains_key(given.get_ref()) {
            // One that is there but wrong was reported at its own place.
            let remedy = match super::complain::near(given.get_ref(), credentials().map(|c| c.name.as_str())) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "name one of the credentials in this file, or give `host` to `secret` instead".to_owned(),
            };
            self.report(given.span(), &format!("there is no credential {}", quoted(given.get_ref())), &remedy);
        }
        None
    }
}

/// Minutes after midnight of `7:00`, `07:00` or `22:30`.
fn time_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) =
        ((hours.len() <= 2).then(|| digits(hours))??, (minutes.len() == 2).then(|| digits(minutes))??);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}
