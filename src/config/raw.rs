//! The configuration as it is written: what serde takes out of the TOML, each value with its place.
//!
//! Decides which keys there are and of which type; nothing here is checked yet. [`KEYS`] is the same list for people: it
//! feeds the suggestions and proves `config.example.toml` complete.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use toml::Spanned;

/// Text with its place, where it is given.
pub(super) type Text = Option<Spanned<String>>;
/// A list of texts, each with its place.
pub(super) type List = Option<Spanned<Vec<Spanned<String>>>>;
/// A whole number with its place.
pub(super) type Number = Option<Spanned<i64>>;

/// Each table with its keys and an example of each value. Tables in an array are named like others.
pub(super) const KEYS: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("schedule", "[schedule]"),
            ("limits", "[limits]"),
            ("watch", "[watch]"),
            ("notify", "[notify]"),
            ("imap", "[imap]"),
            ("smtp", "[smtp]"),
            ("tls", "[tls]"),
            ("account", "[[account]]"),
        ],
    ),
    (
        "schedule",
        &[
            ("interval", "\"1h\""),
            ("jitter", "\"20%\""),
            ("confirm", "[\"2m\", \"15m\"]"),
            ("retest_revoked", "\"24h\""),
            ("stale_after", "\"24h\""),
            ("outage_hold", "\"6h\""),
            ("timeout", "\"30s\""),
            ("settle", "\"10s\""),
        ],
    ),
    ("limits", &[("failed_logins_per_account", "12"), ("concurrent_checks", "4")]),
    ("watch", &[("resume", "true"), ("network", "true"), ("idle", "false")]),
    (
        "notify",
        &[
            ("desktop", "true"),
            ("remind_every", "\"24h\""),
            ("quiet_hours", "\"22:00-07:00\""),
            ("hook", "[notify.hook]"),
            ("email", "[notify.email]"),
        ],
    ),
    ("notify.hook", &[("command", "[\"/path/to/program\", \"argument\"]")]),
    (
        "notify.email",
        &[
            ("to", "\"me@example.org\""),
            ("from", "\"keypulse@example.org\""),
            ("host", "\"smtp.example.org\""),
            ("port", "587"),
            ("tls", "\"starttls\""),
            ("username", "\"me\""),
            ("secret", "{ command = [\"pass\", \"show\", \"example\"] }"),
            ("credential", "\"msmtp\""),
        ],
    ),
    ("imap", &[("host", "\"imap.mail.me.com\""), ("port", "993"), ("tls", "\"implicit\"")]),
    ("smtp", &[("host", "\"smtp.mail.me.com\""), ("port", "587"), ("tls", "\"starttls\"")]),
    ("tls", &[("extra_ca", "\"/path/ca.pem\"")]),
    (
        "account",
        &[
            ("address", "\"johnappleseed@icloud.com\""),
            ("imap_username", "\"johnappleseed\""),
            ("smtp_username", "\"johnappleseed@icloud.com\""),
            ("credential", "[[account.credential]]"),
        ],
    ),
    (
        "account.credential",
        &[
            ("name", "\"thunderbird\""),
            ("app", "\"Thunderbird\""),
            ("services", "[\"imap\", \"smtp\"]"),
            ("secret", "{ command = [\"pass\", \"show\", \"icloud/mutt\"] }"),
            ("any_shape", "true"),
        ],
    ),
    ("account.credential.secret", SECRET),
    ("account.credential.secret.keyring", KEYRING),
    ("account.credential.secret.program", PROGRAM),
    ("notify.email.secret", SECRET),
    ("notify.email.secret.keyring", KEYRING),
    ("notify.email.secret.program", PROGRAM),
];

const SECRET: &[(&str, &str)] = &[
    ("keyring", "{ service = \"keypulse\", username = \"thunderbird\" }"),
    ("command", "[\"pass\", \"show\", \"icloud/mutt\"]"),
    ("file", "\"/run/credentials/icloud\""),
    ("program", "{ name = \"offlineimap\", file = \"~/.offlineimaprc\", entry = \"R\" }"),
];

const PROGRAM: &[(&str, &str)] = &[("name", "\"offlineimap\""), ("file", "\"~/.offlineimaprc\""), ("entry", "\"R\"")];

const KEYRING: &[(&str, &str)] = &[
    ("service", "\"keypulse\""),
    ("username", "\"thunderbird\""),
    ("attributes", "{ server = \"imap.mail.me.com\", user = \"johnappleseed\" }"),
];

/// A table and nothing else. serde's derived structs would take a list as well, its items in the order of the fields.
#[derive(Debug, Default)]
pub(super) struct Table<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
            type Value = Table<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_map(Only(PhantomData))
    }
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) schedule: Table<RawSchedule>,
    pub(super) limits: Table<RawLimits>,
    pub(super) watch: Table<RawWatch>,
    pub(super) notify: Table<RawNotify>,
    pub(super) imap: Table<RawServer>,
    pub(super) smtp: Table<RawServer>,
    pub(super) tls: Table<RawTls>,
    pub(super) account: Vec<Spanned<Table<RawAccount>>>,
}

/// `[schedule]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSchedule {
    pub(super) interval: Text,
    pub(super) jitter: Text,
    pub(super) confirm: List,
    pub(super) retest_revoked: Text,
    pub(super) stale_after: Text,
    pub(super) outage_hold: Text,
    pub(super) timeout: Text,
    pub(super) settle: Text,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) failed_logins_per_account: Number,
    pub(super) concurrent_checks: Number,
}

/// `[watch]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWatch {
    pub(super) resume: Option<bool>,
    pub(super) network: Option<bool>,
    pub(super) idle: Option<bool>,
}

/// `[notify]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNotify {
    pub(super) desktop: Option<bool>,
    pub(super) remind_every: Text,
    pub(super) quiet_hours: Text,
    pub(super) hook: Option<Spanned<Table<RawHook>>>,
    pub(super) email: Option<Spanned<Table<RawEmail>>>,
}

/// `[notify.hook]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHook {
    pub(super) command: List,
}

/// `[notify.email]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEmail {
    pub(super) to: Text,
    pub(super) from: Text,
    pub(super) host: Text,
    pub(super) port: Number,
    pub(super) tls: Text,
    pub(super) username: Text,
    pub(super) secret: Option<Spanned<Table<RawSecret>>>,
    pub(super) credential: Text,
}

/// `[imap]` and `[smtp]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServer {
    pub(super) host: Text,
    pub(super) port: Number,
    pub(super) tls: Text,
}

/// `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub(super) extra_ca: Text,
}

/// `[[account]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAccount {
    pub(super) address: Text,
    pub(super) imap_username: Text,
    pub(super) smtp_username: Text,
    pub(super) credential: Vec<Spanned<Table<RawCredential>>>,
}

/// `[[account.credential]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCredential {
    pub(super) name: Text,
    pub(super) app: Text,
    pub(super) services: List,
    pub(super) secret: Option<Spanned<Table<RawSecret>>>,
    pub(super) any_shape: Option<bool>,
}

/// `secret`: exactly one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSecret {
    pub(super) keyring: Option<Spanned<Table<RawKeyring>>>,
    pub(super) command: List,
    pub(super) file: Text,
    pub(super) program: Option<Spanned<Table<RawProgram>>>,
}

/// `secret.program`: the plain text in another program's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProgram {
    pub(super) name: Text,
    pub(super) file: Text,
    pub(super) entry: Text,
}

/// `secret.keyring`: service and user name, or attributes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawKeyring {
    pub(super) service: Text,
    pub(super) username: Text,
    pub(super) attributes: Option<Spanned<BTreeMap<String, String>>>,
}
