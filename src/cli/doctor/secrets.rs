//! The passwords: can the daemon read each, and has it the right shape? And the keyring that most are in.
//!
//! They are read as the daemon reads them: nothing is asked of anybody. Each is dropped as soon as its shape is known.

use futures_util::{StreamExt as _, stream};

use super::line::{Check, Line};
use crate::{
    config::{Config, Credential},
    health::evidence::Cause,
    secret::{Asked, KeyringState, Reader, Source, Unavailable},
};

/// Read at the same time: a source that hangs must not hold up all others.
const AT_ONCE: usize = 8;

pub(super) async fn check(config: &Config) -> Vec<Line> {
    let reader = Reader::new();
    let all = config.accounts.iter().flat_map(|account| &account.credentials);
    let reading = all.map(|credential| {
        let reader = &reader;
        async move {
            let read = reader.read(&credential.secret, credential.any_shape, Asked::Background).await.map(drop);
            password(credential, read)
        }
    });
    let mut lines: Vec<Line> = stream::iter(reading.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
    lines.push(keyring(config, reader.keyring_state().await));
    lines
}

fn password(credential: &Credential, read: Result<(), Unavailable>) -> Line {
    let name = &credential.name;
    let line = match read {
        Ok(()) if credential.any_shape => {
            Line::ok(Check::Password, format!("read from {}; its shape is not looked at", whence(&credential.secret)))
        }
        Ok(()) => Line::ok(Check::Password, format!("read from {}, of the right shape", whence(&credential.secret))),
        Err(unavailable) => {
            // "…; run: chmod 600 …"
            if let Some((says, command)) = unavailable.detail.split_once("; run: ") {
                return Line::failure(Check::Password, says, command).of(name);
            }
            let remedy = match (unavailable.cause, &credential.secret) {
                (Cause::SecretMalformed, Source::Keyring { .. }) => {
                    format!("keypulse replace {name}")
                }
                (_, Source::Keyring { .. }) if unavailable.detail.contains("locked") => {
                    format!("keypulse check {name}")
                }
                (_, Source::Keyring { .. }) => format!("keypulse replace {name}"),
                (_, source) => remedy(source),
            };
            Line::failure(Check::Password, unavailable.detail, remedy)
        }
    };
    line.of(name)
}

/// What to look at by hand. A command's arguments are not repeated: one of them may be a secret.
fn remedy(source: &Source) -> String {
    match source {
        Source::File(path) => format!("ls -l {}", path.display()),
        Source::Program(program) => format!("ls -l {}", program.file.display()),
        Source::Command(_) => "keypulse config show   # has its secret.command: run that by hand".to_owned(),
        Source::Keyring { .. } | Source::Attributes(_) => {
            "keypulse config show   # has its attributes: look it up in the desktop's password program".to_owned()
        }
    }
}

/// The kind of source, in words.
pub(in crate::cli) const fn whence(source: &Source) -> &'static str {
    match source {
        Source::Keyring { .. } => "the keyring",
        Source::Attributes(_) => "another program's item in the keyring",
        Source::Command(_) => "a command",
        Source::File(_) => "a file",
        Source::Program(_) => "another program's file",
    }
}

fn keyring(config: &Config, state: Result<KeyringState, Unavailable>) -> Line {
    let needs = |credential: &&Credential| matches!(credential.secret, Source::Keyring { .. } | Source::Attributes(_));
    let used = config.accounts.iter().flat_map(|account| &account.credentials).filter(needs).count();
    let unused = if used == 0 { " (no password is kept there)" } else { "" };
    match state {
        Ok(KeyringState::Open) => Line::ok(Check::Keyring, format!("reachable and unlocked{unused}")),
        Ok(KeyringState::Unknown) => Line::ok(Check::Keyring, format!("shows itself with each password{unused}")),
        Ok(KeyringState::Locked) if used == 0 => Line::ok(Check::Keyring, format!("locked{unused}")),
        Ok(KeyringState::Locked) => {
            Line::failure(Check::Keyring, "it is locked, and the daemon asks nobody to unlock it", "keypulse check")
        }
        // A machine without one keeps its passwords elsewhere.
        Err(_) if used == 0 => Line::ok(Check::Keyring, "there is none, and no password is kept in one"),
        Err(unavailable) => {
            let remedy = if cfg!(target_os = "macos") { "open -a 'Keychain Access'" } else { "busctl --user list" };
            Line::failure(Check::Keyring, unavailable.detail, remedy)
        }
    }
}
