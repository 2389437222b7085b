//! Configurations for tests, with time compressed: minutes become fractions of a second.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use serde_json::json;

use super::{Mail, Mailbox};

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// At once.
    Implicit,
    /// After STARTTLS.
    StartTls,
}

/// A configuration in the making.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    // Table to key to value, as TOML.
    tables: BTreeMap<String, BTreeMap<String, String>>,
    accounts: String,
}

impl Settings {
    /// Compressed times, no desktop notifications, no servers of its own.
    pub fn new() -> Self {
        Self::default()
            .set("schedule", "interval", &json!("500ms").to_string())
            .set("schedule", "jitter", &json!("10%").to_string())
            .set("schedule", "confirm", &json!(["200ms", "500ms"]).to_string())
            .set("schedule", "retest_revoked", &json!("1h").to_string())
            .set("schedule", "stale_after", &json!("1h").to_string())
            .set("schedule", "outage_hold", &json!("3s").to_string())
            .set("schedule", "timeout", &json!("10s").to_string())
            .set("schedule", "settle", &json!("50ms").to_string())
            .set("notify", "desktop", "false")
    }

    /// `new`, for these servers: IMAP with implicit TLS, SMTP with STARTTLS, as iCloud has them.
    pub fn for_mail(mail: &Mail) -> Self {
        Self::new()
            .imap(mail.dovecot.implicit_port(), Tls::Implicit)
            .smtp(mail.postfix.starttls_port(), Tls::StartTls)
            .extra_ca(&mail.certificates.ca())
    }

    /// Any key of any table: `set("limits", "failed_logins_per_account", "6")`. The value is TOML.
    pub fn set(mut self, table: &str, key: &str, value: &str) -> Self {
        self.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// IMAP on this port of 127.0.0.1.
    pub fn imap(self, port: u16, tls: Tls) -> Self {
        self.server("imap", port, tls)
    }

    /// SMTP on this port of 127.0.0.1.
    pub fn smtp(self, port: u16, tls: Tls) -> Self {
        self.server("smtp", port, tls)
    }

    /// `tls.extra_ca`.
    pub fn extra_ca(self, path: &Path) -> Self {
        self.set("tls", "extra_ca", &json!(path).to_string())
    }

    /// `notify.desktop`.
    pub fn desktop(self) -> Self {
        self.set("notify", "desktop", "true")
    }

    /// `notify.hook.command`.
    pub fn hook(self, command: &[impl AsRef<str>]) -> Self {
        let command: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        self.set("notify.hook", "command", &json!(command).to_string())
    }

    /// `notify.email`, to the mailbox and through Postfix at this port, as `user` with the password in this file.
    pub fn email(self, port: u16, tls: Tls, user: &str, password: &Path) -> Self {
        let settings = self
            .set("notify.email", "to", &json!(Mailbox::ADDRESS).to_string())
            .set("notify.email", "from", "\"keypulse@example.org\"")
            .set("notify.email", "username", &json!(user).to_string())
            .set("notify.email", "secret.file", &json!(password).to_string());
        settings.server("notify.email", port, tls)
    }

    /// `notify.email`, to the mailbox and through this credential.
    pub fn email_through(self, credential: &str) -> Self {
        self.set("notify.email", "to", &json!(Mailbox::ADDRESS).to_string())
            .set("notify.email", "from", "\"keypulse@example.org\"")
            .set("notify.email", "credential", &json!(credential).to_string())
    }

    /// One more account. The credentials that follow are its.
    pub fn account(mut self, address: &str) -> Self {
        writeln!(self.accounts, "\n[[account]]\naddress = {}", json!(address)).unwrap();
        self
    }

    /// One more credential of the account, its password in a file.
    pub fn credential_file(self, name: &str, path: &Path) -> Self {
        self.credential(name, &format!("secret.file = {}", json!(path)))
    }

    /// … in the keyring, under its name.
    pub fn credential_keyring(self, name: &str) -> Self {
        self.credential(name, "")
    }

    /// … from a command.
    pub fn credential_command(self, name: &str, command: &[&str]) -> Self {
        self.credential(name, &format!("secret.command = {}", json!(command)))
    }

    /// … with any further lines of TOML.
    pub fn credential(mut self, name: &str, lines: &str) -> Self {
        writeln!(self.accounts, "\n[[account.credential]]\nname = {}\n{lines}", json!(name)).unwrap();
        self
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (table, keys) in &self.tables {
            writeln!(text, "[{table}]").unwrap();
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        text + &self.accounts
    }

    fn server(self, service: &str, port: u16, tls: Tls) -> Self {
        let tls = match tls {
            Tls::Implicit => "implicit",
            Tls::StartTls => "starttls",
        };
        self.set(service, "host", "\"127.0.0.1\"").set(service, "port", &port.to_string()).set(
            service,
            "tls",
            &json!(tls).to_string(),
        )
    }
}
