//! Has a running daemon take up what a command changed.
//!
//! Decides what it means where none runs or it refuses: the change itself is done by then.

use std::time::Duration;

use super::{Exit, context::Context, keep::Entry, progress::Progress, verify::Accepted};
use crate::{
    api::{ClientError, StatusDocument},
    health::name::CredentialName,
};

/// How long the daemon's own round is waited for: longer than any answer of a server that is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of it.
pub(super) enum Told {
    /// The daemon has it, and this is its status.
    Yes(Box<StatusDocument>),
    /// None runs.
    NoDaemon,
    /// It could not be told; holds why.
    Failed(ClientError),
}

impl Told {
    /// Says what is left to do; the exit code.
    pub(super) fn finish(&self) -> u8 {
        match self {
            Self::Yes(_) => 0,
            Self::NoDaemon => {
                anstream::eprintln!(
                    "hint: nothing is watched, because no daemon runs; start one with `keypulse service install`"
                );
                0
            }
            Self::Failed(error) => {
                anstream::eprintln!("keypulse: failed to {error}");
                anstream::eprintln!("hint: the running daemon does not know of the change; restart it");
                1
            }
        }
    }
}

/// The configuration changed.
pub(super) async fn reload(context: &Context) -> Result<Told, Exit> {
    Ok(told(context.client()?.reload().await))
}

/// A password changed: the daemon reads it at once instead of at its next round.
pub(super) async fn check_now(context: &Context, name: &CredentialName) -> Result<Told, Exit> {
    let _progress = Progress::start(format!("the daemon tries {name}"));
    let checked = context.client()?.check(std::slice::from_ref(name), PATIENCE).await;
    Ok(told(checked.map(|checked| checked.document)))
}

/// A password was stored: the daemon reads what changed, and tries it.
pub(super) async fn taken_up(context: &Context, entry: &Entry, accepted: &Accepted) -> Result<Told, Exit> {
    let name = &entry.credential.name;
    match if entry.teaches(accepted) { reload(context).await? } else { check_now(context, name).await? } {
        // A name that was there has a password that the daemon has not seen.
        Told::Yes(_) if entry.teaches(accepted) && !entry.is_new => check_now(context, name).await,
        told @ (Told::Yes(_) | Told::NoDaemon | Told::Failed(_)) => Ok(told),
    }
}

/// What a credential is, as the daemon says: the end of a sentence, empty where none says anything.
pub(super) fn now(told: &Told, name: &CredentialName) -> String {
    let Told::Yes(status) = told else { return String::new() };
    let now = status.credentials().find(|credential| credential.name == *name);
    now.map(|credential| format!("; it is {} now", credential.health)).unwrap_or_default()
}

fn told(answer: Result<StatusDocument, ClientError>) -> Told {
    match answer {
        Ok(document) => Told::Yes(Box::new(document)),
        Err(ClientError::NoDaemon { .. }) => Told::NoDaemon,
        Err(error) => Told::Failed(error),
    }
}
