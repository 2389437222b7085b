//! The configuration in effect as TOML, defaults filled in.
//!
//! [`parse`](super::parse()) reads it back to the same. It holds no secret, only where secrets are; a command that somebody
//! wrote a password into is masked.

use std::fmt::{self, Display};

use super::{Config, Email, EmailVia, QuietHours, Server, duration::format, excerpt::mask};
use crate::{
    health::evidence::Service,
    secret::{ProgramEntry, Source},
};

impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        let [first, second] = policy.confirm;
        writeln!(f, "[schedule]")?;
        writeln!(f, "interval = {}", quote(&format(policy.interval)))?;
        writeln!(f, "jitter = \"{}%\"", policy.jitter_percent)?;
        writeln!(f, "confirm = {}", list([format(first), format(second)]))?;
        writeln!(f, "retest_revoked = {}", quote(&format(policy.retest_revoked)))?;
        writeln!(f, "stale_after = {}", quote(&format(policy.stale_after)))?;
        writeln!(f, "outage_hold = {}", quote(&format(policy.outage_hold)))?;
        writeln!(f, "timeout = {}", quote(&format(self.timeout)))?;
        writeln!(f, "settle = {}", quote(&format(policy.settle)))?;

        writeln!(f, "\n[limits]")?;
        writeln!(f, "failed_logins_per_account = {}", policy.failed_logins_per_account)?;
        writeln!(f, "concurrent_checks = {}", policy.concurrent_checks)?;

        writeln!(f, "\n[watch]")?;
        writeln!(f, "resume = {}", self.watch.resume)?;
        writeln!(f, "network = {}", self.watch.network)?;
        writeln!(f, "idle = {}", self.watch.idle)?;

        writeln!(f, "\n[notify]")?;
        writeln!(f, "desktop = {}", self.notify.desktop)?;
        writeln!(f, "remind_every = {}", quote(&policy.remind_every.map_or_else(|| "never".to_owned(), format)))?;
        if let Some(QuietHours { from, to }) = self.notify.quiet_hours {
            let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            writeln!(f, "quiet_hours = \"{}-{}\"", time(from), time(to))?;
        }
        if let Some(hook) = &self.notify.hook {
            writeln!(f, "\n[notify.hook]\ncommand = {}", command(&hook.command))?;
        }
        if let Some(email) = &self.notify.email {
            write_email(f, email)?;
        }

        for service in Service::ALL {
            writeln!(f, "\n[{service}]")?;
            write_server(f, self.servers.of(service))?;
        }
        if let Some(path) = &self.extra_ca {
            writeln!(f, "\n[tls]\nextra_ca = {}", quote(&path.to_string_lossy()))?;
        }

        for account in &self.accounts {
            writeln!(f, "\n[[account]]")?;
            writeln!(f, "address = {}", quote(account.address.as_str()))?;
            writeln!(f, "imap_username = {}", quote(&account.usernames.imap))?;
            writeln!(f, "smtp_username = {}", quote(&account.usernames.smtp))?;
            for credential in &account.credentials {
                writeln!(f, "\n[[account.credential]]")?;
                writeln!(f, "name = {}", quote(credential.name.as_str()))?;
                if let Some(app) = &credential.app {
                    writeln!(f, "app = {}", quote(app))?;
                }
                writeln!(f, "services = {}", list(credential.services.iter().map(Service::as_str)))?;
                writeln!(f, "secret.{}", source(&credential.secret, true))?;
                writeln!(f, "any_shape = {}", credential.any_shape)?;
            }
        }
        Ok(())
    }
}

fn write_email(f: &mut fmt::Formatter<'_>, email: &Email) -> fmt::Result {
    writeln!(f, "\n[notify.email]\nto = {}\nfrom = {}", quote(email.to.as_ref()), quote(email.from.as_ref()))?;
    match &email.via {
        EmailVia::Server { server, username, secret } => {
            write_server(f, server)?;
            writeln!(f, "username = {}\nsecret.{}", quote(username), source(secret, true))
        }
        EmailVia::Credential(name) => writeln!(f, "credential = {}", quote(name.as_str())),
    }
}

fn write_server(f: &mut fmt::Formatter<'_>, server: &Server) -> fmt::Result {
    let Server { host, port, tls } = server;
    writeln!(f, "host = {}\nport = {port}\ntls = {}", quote(host), quote(tls.as_str()))
}

/// `command = ["pass", "show", "x"]` and the like: what stands after `secret.`. For people to see, it is masked; in the
/// person's own file it is as they gave it.
pub(super) fn source(source: &Source, masked: bool) -> String {
    match source {
        Source::Keyring { service, username } => {
            format!("keyring = {{ service = {}, username = {} }}", quote(service), quote(username))
        }
        Source::Attributes(attributes) => {
            let pairs: Vec<_> = attributes
                .iter()
                .map(|(key, value)| format!("{} = {}", toml_edit::Key::new(key), quote(value)))
                .collect();
            format!("keyring = {{ attributes = {{ {} }} }}", pairs.join(", "))
        }
        Source::Command(words) if masked => format!("command = {}", command(words)),
        Source::Command(words) => format!("command = {}", list(words)),
        Source::File(path) => format!("file = {}", quote(&path.to_string_lossy())),
        Source::Program(ProgramEntry { name, file, entry, find: _ }) => format!(
            "program = {{ name = {}, file = {}, entry = {} }}",
            quote(name),
            quote(&file.to_string_lossy()),
            quote(entry)
        ),
    }
}

/// A command's words, without a password that somebody wrote among them.
fn command(words: &[String]) -> String {
    list(words.iter().map(|word| mask(word)))
}

/// `["a", "b"]`.
pub(super) fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| quote(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

/// TOML text on one line. A basic string with escapes is always possible and reads like everyone's.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
