//! The new password of a credential: asked for at the terminal until one is accepted, or piped in, or read where it is kept.
//!
//! Decides what is taken for a password and what a person may do over. Stores nothing.

use std::sync::Arc;

use super::{
    Exit, advice,
    context::Context,
    exit,
    keep::{Entry, no_keyring},
    prompt,
    verify::{self, Accepted, Trial},
};
use crate::{
    health::evidence::Services,
    secret::{AppPassword, Asked, Malformed, Reader, Source, Unavailable},
};

/// What form a password is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// App-specific: with dashes, and at the very last without.
    Dashed,
    /// App-specific, and accepted without dashes before: so again.
    Undashed,
    /// The configuration says `any_shape`: as it is.
    AsItIs,
}

impl Form {
    /// As the old password was.
    fn of(entry: &Entry, old: Option<&AppPassword>) -> Self {
        match (entry.credential.any_shape, old) {
            (false, _) => Self::Dashed,
            (true, Some(old)) if old.lacks_dashes() => Self::Undashed,
            (true, _) => Self::AsItIs,
        }
    }

    fn take(self, typed: &str) -> Result<AppPassword, Malformed> {
        match self {
            Self::Dashed => AppPassword::parse(typed),
            Self::Undashed => AppPassword::parse(typed).map(|password| password.without_dashes().unwrap_or(password)),
            Self::AsItIs => AppPassword::any_shape(typed),
        }
    }
}

/// How the new password comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// From standard input.
    pub(super) piped: bool,
    /// Taken without a login.
    pub(super) untried: bool,
}

/// What came of it.
pub(super) enum Obtained {
    Accepted(Accepted),
    /// Nothing was typed.
    Nothing,
}

/// Asks for the password with `question`, or reads its line of standard input, and tries it.
///
/// # Errors
/// Where none was accepted. All that was wrong has been said in a dialogue, and is in the error elsewhere.
pub(super) async fn typed(
    context: &Context,
    reader: &Reader,
    entry: &Entry,
    way: Way,
    question: &str,
) -> Result<Obtained, Exit> {
    if let Source::Keyring { service, username } = &entry.credential.secret {
        reader.open_keyring(service, username).await.map_err(|why| no_keyring(&why))?;
    }
    let old = if entry.is_new { None } else { entry.old(reader).await };
    let form = Form::of(entry, old.as_ref());
    if way.piped {
        let Some(line) = prompt::piped().await? else { return Ok(Obtained::Nothing) };
        let password = Arc::new(form.take(&line).map_err(malformed)?);
        return once(context, entry, way, form, password).await.map(Obtained::Accepted);
    }
    in_dialogue(context, entry, way, form, question).await
}

/// The password of a source that keypulse only reads, tried once.
///
/// # Errors
/// Where it cannot be read, or is not accepted.
pub(super) async fn read(context: &Context, reader: &Reader, entry: &Entry, way: Way) -> Result<Accepted, Exit> {
    let Source::Keyring { .. } = &entry.credential.secret else {
        let source = &entry.credential.secret;
        let password = reader.read(source, entry.credential.any_shape, Asked::ByPerson).await;
        let password = Arc::new(password.map_err(|why| unread(&why, source))?);
        // It goes out as the source has it: another form could not be remembered.
        return once(context, entry, way, Form::AsItIs, password).await;
    };
    Err(Exit::because("read the password: it is not there yet", "type it"))
}

async fn once(
    context: &Context,
    entry: &Entry,
    way: Way,
    form: Form,
    password: Arc<AppPassword>,
) -> Result<Accepted, Exit> {
    if way.untried {
        return Ok(untried(entry, password));
    }
    verify::verify(context, &trial(entry, form, false, 0), password).await?.settled()
}

async fn in_dialogue(context: &Context, entry: &Entry, way: Way, form: Form, question: &str) -> Result<Obtained, Exit> {
    let mut failed = 0;
    loop {
        let typed = prompt::hidden(question.to_owned()).await?;
        if typed.trim().is_empty() {
            return Ok(Obtained::Nothing);
        }
        let password = match form.take(&typed) {
            Ok(password) => Arc::new(password),
            Err(why) => {
                exit::tell(&malformed(why));
                continue;
            }
        };
        if way.untried {
            return Ok(Obtained::Accepted(untried(entry, password)));
        }
        let verdict = verify::verify(context, &trial(entry, form, true, failed), password).await?;
        if let Some(accepted) = verdict.told(&mut failed)? {
            return Ok(Obtained::Accepted(accepted));
        }
    }
}

fn trial(entry: &Entry, form: Form, asks: bool, failed: u32) -> Trial<'_> {
    let (may_undash, instead) = (form == Form::Dashed, "type it again");
    let Entry { config, paths, account, credential, .. } = entry;
    Trial { config, paths, account, services: credential.services, may_undash, asks, instead, failed }
}

fn untried(entry: &Entry, password: Arc<AppPassword>) -> Accepted {
    Accepted { password, usernames: entry.account.usernames.clone(), by: Services::NONE }
}

fn malformed(why: Malformed) -> Exit {
    let hint = format!("app-specific passwords are made here: {}; nothing was stored", advice::PATH);
    Exit::because(format!("take the password: {why}"), hint)
}

fn unread(why: &Unavailable, source: &Source) -> Exit {
    let in_one_word = matches!(source, Source::Command(words) if words.len() == 1
        && words.iter().any(|word| word.contains(char::is_whitespace)));
    let hint = if in_one_word {
        "write the command without quotes around it: --secret-command pass show icloud/mutt; nothing was stored"
    } else {
        "nothing was stored"
    };
    Exit::because(format!("read the password: {why}"), hint)
}
