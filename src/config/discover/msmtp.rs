//! msmtp's `~/.msmtprc` (msmtp(1), "CONFIGURATION FILES").
//!
//! A command and its argument per line, the argument perhaps in quotes as a whole. Accounts begin with the defaults and can
//! inherit from earlier ones.

use std::{collections::BTreeMap, path::Path};

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    shell,
};

/// msmtp reads the system's file and the first of the person's.
pub(super) fn roots(place: &Place) -> Roots {
    let own = vec![place.home.join(".msmtprc"), place.config_home.join("msmtp/config")];
    place.system("/etc/msmtprc").map(|path| vec![path]).into_iter().chain([own]).collect()
}

/// More than anybody has. Each is compared with those before.
const MOST_ACCOUNTS: usize = 1000;

#[derive(Clone, Default)]
struct Account {
    host: Option<(String, usize)>,
    user: Option<String>,
    from: Option<String>,
    password: Option<(Secret, usize)>,
    command: Option<(Secret, usize)>,
    /// `auth off`, or something that is no password.
    without_password: bool,
    /// Some line is replaced by what a command prints.
    evaluated: bool,
}

/// Which definition the lines belong to.
enum Current {
    Defaults,
    Account(String),
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let mut defaults = Account::default();
    let mut accounts: Vec<String> = Vec::new();
    let mut known: BTreeMap<String, Account> = BTreeMap::new();
    let mut current = Current::Defaults;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (command, argument) = content.split_once([' ', '\t']).unwrap_or((content, ""));
        let argument = argument.trim();
        let argument = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(argument);
        match command {
            "defaults" => {
                current = Current::Defaults;
                defaults = Account::default();
            }
            "account" => {
                let (name, bases) = argument.split_once(':').unwrap_or((argument, ""));
                let name = name.trim().to_owned();
                let mut account = defaults.clone();
                for base in bases.split(',').map(str::trim).filter(|base| !base.is_empty()) {
                    let base = known
                        .get(base)
                        .ok_or_else(|| Fault::new(path, line, "the account after the colon is not defined above"))?;
                    account.inherit(base);
                }
                if name.is_empty() {
                    return Err(Fault::new(path, line, "an account without a name"));
                }
                if accounts.len() == MOST_ACCOUNTS {
                    return Err(Fault::new(path, line, "more than 1000 accounts"));
                }
                accounts.retain(|other| *other != name);
                accounts.push(name.clone());
                known.insert(name.clone(), account);
                current = Current::Account(name);
            }
            command => {
                let account = match &current {
                    Current::Defaults => Some(&mut defaults),
                    Current::Account(name) => known.get_mut(name),
                };
                if let Some(account) = account {
                    account.take(command, argument, line);
                }
            }
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for name in accounts {
        let entry = known.remove(&name).and_then(|account| account.entry(name, path));
        // `account default : icloud` is the same login a second time.
        entries.extend(entry.filter(|new| {
            !entries.iter().any(|old| old.line == new.line && old.username == new.username && old.host == new.host)
        }));
    }
    Ok(entries)
}

impl Account {
    fn take(&mut self, command: &str, argument: &str, line: usize) {
        let given = || Some(argument.to_owned()).filter(|text| !text.is_empty());
        match command {
            "host" => self.host = given().map(|host| (host, line)),
            "user" => self.user = given(),
            "from" => self.from = given(),
            "auth" => {
                self.without_password = matches!(argument, "off" | "external" | "gssapi" | "oauthbearer" | "xoauth2");
            }
            "passwordeval" => self.command = shell::command(argument).map(|words| (Secret::Command(words), line)),
            "password" => self.password = given().map(|text| (Secret::Plain(Zeroizing::new(text)), line)),
            "eval" => self.evaluated = true,
            _ => {}
        }
    }

    fn inherit(&mut self, base: &Self) {
        let Self { host, user, from, password, command, without_password, evaluated } = base.clone();
        self.host = host.or(self.host.take());
        self.user = user.or(self.user.take());
        self.from = from.or(self.from.take());
        self.password = password.or(self.password.take());
        self.command = command.or(self.command.take());
        self.without_password |= without_password;
        self.evaluated |= evaluated;
    }

    fn entry(self, name: String, file: &Path) -> Option<Entry> {
        let Self { host, user, from, password, command, without_password, evaluated } = self;
        if without_password {
            return None;
        }
        let line = host.as_ref().map(|(_, line)| *line);
        // The text goes before the command, wherever they stand; so does msmtp.
        let (secret, line) = match (password.or(command), line) {
            (Some(secret), _) => secret,
            (None, Some(line)) if evaluated => {
                (Secret::Unknown("perhaps printed by a command (eval), which is not run".to_owned()), line)
            }
            (None, Some(line)) => {
                (Secret::Netrc("from the keyring or ~/.netrc, where msmtp finds it there".to_owned()), line)
            }
            (None, None) => return None,
        };
        Some(Entry {
            name,
            file: file.to_owned(),
            line,
            service: Use::Smtp,
            host: host.map(|(host, _)| host),
            username: user,
            beside: from,
            secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn accounts_with_defaults_and_inheritance() {
        let text = "
# Defaults for all.
defaults
auth on
tls on
port 587
tls_trust_file /etc/ssl/certs/ca-certificates.crt

account icloud
host\tsmtp.mail.me.com
from johnappleseed@icloud.com
user johnappleseed@icloud.com
passwordeval \"gpg --no-tty -q -d ~/.msmtp-icloud.gpg\"

account plain
host smtp.mail.me.com
user jane@me.com
password \"  abcd-efgh-ijkl-mnop \"

account second : plain
from alias@me.com
user jane@mac.com

account ring
host smtp.mail.me.com
user jane@icloud.com

account both
host smtp.mail.me.com
user both@me.com
password qrst-uvwx-yzab-cdef
passwordeval pass show both

account local
host localhost
auth off

account printed
eval echo host smtp.mail.me.com
host smtp.mail.me.com
user x@icloud.com

account default : icloud
";
        assert_eq!(
            found(read, text),
            [
                "13 icloud smtp smtp.mail.me.com johnappleseed@icloud.com command sh|-c|gpg --no-tty -q -d ~/.msmtp-icloud.gpg",
                "18 plain smtp smtp.mail.me.com jane@me.com plain   abcd-efgh-ijkl-mnop ",
                "18 second smtp smtp.mail.me.com jane@mac.com plain   abcd-efgh-ijkl-mnop ",
                "25 ring smtp smtp.mail.me.com jane@icloud.com unknown from the keyring or ~/.netrc, where msmtp finds it there",
                "31 both smtp smtp.mail.me.com both@me.com plain qrst-uvwx-yzab-cdef",
                "40 printed smtp smtp.mail.me.com x@icloud.com unknown perhaps printed by a command (eval), which is not run",
            ]
        );
        assert_eq!(found(read, "account a : b\n"), ["1: the account after the colon is not defined above"]);
    }
}
