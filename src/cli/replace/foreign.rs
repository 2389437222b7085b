//! Passwords that keypulse does not write: told how to change them, waited for, and tried.
//!
//! A change is noticed by the keyed digest. Looks again and again only with the person's leave, and then without dialogs.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::Target;
use crate::{
    cli::{
        Exit,
        context::Context,
        keep::Entry,
        progress::Progress,
        prompt,
        style::printable,
        verify::{self, Accepted, Trial},
    },
    daemon,
    health::name::Fingerprint,
    secret::{AppPassword, Asked, Reader, Source},
};

/// Between two looks. A command may start other programs.
const FILE: Duration = Duration::from_secs(1);
const COMMAND: Duration = Duration::from_secs(3);

/// What the person wants.
enum Wish {
    Wait,
    Look,
    Skip,
}

/// Says how, and waits for the new password; `None` where the person skips it.
pub(super) async fn until_changed(
    context: &Context,
    reader: &Reader,
    target: &Target,
    entry: &Entry,
) -> Result<Option<Accepted>, Exit> {
    let mut old = Old::of(reader, target, entry).await?;
    let mut failed = 0;
    // Changed before keypulse was asked, most often by the program itself.
    let mut found = old.changed(read(reader, entry, Asked::Background).await.ok(), entry)?;
    if found.is_none() {
        prompt::say(&how(target))?;
    }
    loop {
        let password = match found.take() {
            Some(password) => password,
            None => match wait(reader, target, entry, &old).await? {
                Some(password) => password,
                None => return Ok(None),
            },
        };
        let Entry { config, paths, account, credential, .. } = entry;
        let trial = Trial {
            config,
            paths,
            account,
            services: credential.services,
            // It goes out as the source has it: another form could not be remembered.
            may_undash: false,
            asks: true,
            instead: "wait for another",
            failed,
        };
        old = Old(Some(daemon::fingerprint(paths, account, &password)?));
        let verdict = verify::verify(context, &trial, Arc::new(password)).await?;
        if let Some(accepted) = verdict.told(&mut failed)? {
            return Ok(Some(accepted));
        }
    }
}

/// What is there now, tried once, where nobody can be asked.
pub(super) async fn once(context: &Context, reader: &Reader, target: &Target, entry: &Entry) -> Result<Accepted, Exit> {
    // Whoever calls it so has changed it, and the daemon may have seen that already.
    let old = Old(None);
    let unread =
        |why: &crate::secret::Unavailable| Exit::because(format!("read the password: {why}"), how(target).trim_start());
    let read = read(reader, entry, Asked::Background).await.map_err(|why| unread(&why))?;
    let Some(password) = old.changed(Some(read), entry)? else {
        return Err(Exit::because(
            format!("replace {}: its password has not changed yet", target.name()),
            how(target).trim_start(),
        ));
    };
    let Entry { config, paths, account, credential, .. } = entry;
    let services = credential.services;
    let trial = Trial { config, paths, account, services, may_undash: false, asks: false, instead: "", failed: 0 };
    verify::verify(context, &trial, Arc::new(password)).await?.settled()
}

/// What the password to be replaced is known by; `None` where any that is not dead is a new one.
struct Old(Option<Fingerprint>);

impl Old {
    /// Of one that is alive: what keypulse last read, or what is there now.
    async fn of(reader: &Reader, target: &Target, entry: &Entry) -> Result<Self, Exit> {
        if target.dead {
            return Ok(Self(None));
        }
        let known = daemon::last_read(&entry.paths, &target.account, target.name())?;
        if known.is_some() {
            return Ok(Self(known));
        }
        let now = read(reader, entry, Asked::Background).await.ok();
        let print = |password: AppPassword| daemon::fingerprint(&entry.paths, &target.account, &password);
        Ok(Self(now.map(print).transpose()?))
    }

    /// The password where it is another one, and not known to be dead.
    fn changed(&self, password: Option<AppPassword>, entry: &Entry) -> Result<Option<AppPassword>, Exit> {
        let Some(password) = password else { return Ok(None) };
        let print = daemon::fingerprint(&entry.paths, &entry.account, &password)?;
        let dead = daemon::known_dead(&entry.paths, &entry.account, &password)?;
        Ok((self.0.map(|old| old.secret) != Some(print.secret) && dead.is_none()).then_some(password))
    }
}

async fn read(reader: &Reader, entry: &Entry, asked: Asked) -> Result<AppPassword, crate::secret::Unavailable> {
    reader.read(&entry.credential.secret, entry.credential.any_shape, asked).await
}

/// Waits as the person wishes.
async fn wait(reader: &Reader, target: &Target, entry: &Entry, old: &Old) -> Result<Option<AppPassword>, Exit> {
    loop {
        let options = vec![
            (Wish::Wait, 'w', format!("wait until it has changed, looking every {} s", between(target).as_secs())),
            (Wish::Look, 'l', "look once, now that it has changed".to_owned()),
            (Wish::Skip, 's', "skip it".to_owned()),
        ];
        match prompt::choose("  Change it there; keypulse then tries it.", options).await? {
            Wish::Skip => return Ok(None),
            Wish::Wait => {
                if let Some(password) = poll(reader, target, entry, old).await? {
                    return Ok(Some(password));
                }
            }
            Wish::Look => match read(reader, entry, Asked::ByPerson).await {
                Ok(password) => match old.changed(Some(password), entry)? {
                    Some(password) => return Ok(Some(password)),
                    None => prompt::say("  It is still the dead one.")?,
                },
                Err(why) => prompt::say(&format!("  It cannot be read: {why}"))?,
            },
        }
    }
}

/// Looks until it has changed, or cannot be read without a dialog, or Enter is pressed: then `None`.
async fn poll(reader: &Reader, target: &Target, entry: &Entry, old: &Old) -> Result<Option<AppPassword>, Exit> {
    prompt::say("  Waiting for it to change (Enter: stop waiting) …")?;
    let looks = async {
        let progress = Progress::start(format!("waiting for the new password of {}", target.name()));
        loop {
            match read(reader, entry, Asked::Background).await {
                Ok(password) => {
                    if let Some(password) = old.changed(Some(password), entry)? {
                        return Ok(Some(password));
                    }
                }
                // A file that is just being written is no reason to give up; what needs a dialog is.
                Err(why) if matches!(target.source, Source::Command(_) | Source::Attributes(_)) => {
                    drop(progress);
                    prompt::say(&format!("  It cannot be read without asking you: {why}"))?;
                    return Ok(None);
                }
                Err(_) => {}
            }
            sleep(between(target)).await;
        }
    };
    tokio::select! {
        found = looks => found,
        enter = prompt::line("") => enter.map(|_| None),
    }
}

fn between(target: &Target) -> Duration {
    match target.source {
        Source::Command(_) => COMMAND,
        Source::Keyring { .. } | Source::Attributes(_) | Source::File(_) | Source::Program(_) => FILE,
    }
}

/// Where the password is, and how it is changed there.
fn how(target: &Target) -> String {
    match &target.source {
        Source::Keyring { .. } => "  keypulse keeps it in the keyring.".to_owned(),
        Source::Attributes(attributes) => {
            let pairs: Vec<_> = attributes.iter().map(|(key, value)| format!("{key} {value}")).collect();
            format!(
                "  Another program keeps it in the keyring ({}). Enter the new one in that program.",
                printable(&pairs.join(", "))
            )
        }
        // Its arguments are not shown: one of them may be a secret.
        Source::Command(command) => {
            let program = command.first().map_or("", String::as_str);
            let edit = match Path::new(program).file_name().and_then(|name| name.to_str()) {
                Some("pass" | "gopass") => format!(" (`{program} edit ENTRY`)"),
                Some("secret-tool") => format!(" (`{program} store …` with the same attributes)"),
                Some("rbw") => " (`rbw edit ENTRY`)".to_owned(),
                Some("security") => " (`security add-internet-password -U …`)".to_owned(),
                Some(_) | None => String::new(),
            };
            format!("  It comes from the command `{program}`: put the new one where that takes it from{edit}.")
        }
        Source::File(path) => match credential(path) {
            Some(credential) => credential.how(),
            None => format!("  It is the first line of {}: write the new one there.", path.display()),
        },
        Source::Program(entry) => {
            format!("  It stands in {}: write the new one there (entry {}).", entry.file.display(), entry.entry)
        }
    }
}

/// What systemd copies for a service when it starts that (systemd.exec(5), `LoadCredential=`).
#[derive(Debug, PartialEq, Eq)]
struct ServiceCredential<'path> {
    unit: &'path str,
    name: &'path str,
    /// Of the person's own manager.
    of_user: bool,
}

/// The credential that a file is: `/run/credentials/UNIT/NAME`, or the same in a runtime directory of a user manager.
fn credential(path: &Path) -> Option<ServiceCredential<'_>> {
    let of_unit = path.parent()?;
    let credentials = of_unit.parent()?;
    let of_user = credentials != Path::new("/run/credentials");
    let (unit, name) = (of_unit.file_name()?.to_str()?, path.file_name()?.to_str()?);
    // Anybody may call a directory so, but hardly with a service in it.
    let is_one = !of_user || (credentials.ends_with("credentials") && unit.ends_with(".service"));
    is_one.then_some(ServiceCredential { unit, name, of_user })
}

impl ServiceCredential<'_> {
    fn how(&self) -> String {
        let Self { unit, name, of_user } = self;
        let (encrypted, systemctl) = if *of_user {
            (String::new(), "systemctl --user")
        } else {
            let command = format!("systemd-creds encrypt --name={name} --pretty - -");
            (format!(" (or, for SetCredentialEncrypted=, encrypt it anew: `{command}`)"), "systemctl")
        };
        format!(
            "  It is a systemd credential, copied when the service starts. Change what LoadCredential= of {unit} \
             names{encrypted}, then restart the service, which alone gives it the new one:\n  {systemctl} restart {unit}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_their_place() {
        let check = |path: &str, expected: Option<(&str, &str, bool)>| {
            let expected = expected.map(|(unit, name, of_user)| ServiceCredential { unit, name, of_user });
            assert_eq!(credential(Path::new(path)), expected, "{path}");
        };
        check("/run/credentials/keypulse@mail.service/nas", Some(("keypulse@mail.service", "nas", false)));
        check("/run/user/1000/credentials/keypulse.service/nas", Some(("keypulse.service", "nas", true)));
        check("/home/me/credentials/mail/nas", None);
        check("/run/credentials/nas", None);
        check("/nas", None);
    }
}
