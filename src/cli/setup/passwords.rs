//! The passwords of a first run: those of the person's programs, and those that are typed.

use super::stoppable;
use crate::{
    cli::{
        Exit,
        add::accepted_by,
        advice,
        context::{Context, block_on},
        discover::{self, DiscoverArgs},
        exit,
        keep::Entry,
        obtain::{self, Obtained, Way},
        prompt::{self, Interrupts},
        tell::{now, taken_up},
        verify,
    },
    config::{self, Config, Credential, default_secret},
    daemon::Paths,
    health::{
        evidence::Services,
        name::{Address, CredentialName},
    },
    secret::Reader,
};

/// Where iCloud Mail addresses are (`facts/icloud.md` 5.4).
const DOMAINS: [&str; 3] = ["icloud.com", "me.com", "mac.com"];

/// What there is to know of app-specific passwords, before one is asked for.
fn hints() -> String {
    format!(
        "New ones: {}.
  - The entry is missing? Then two-factor authentication is off.
  - There can be at most 25, and a change of the main password revokes them all.
  - Apple's own apps need none; a program that offers \"Allow\" is better served by that.
  - It is shown only once: put it into the program, and here.",
        advice::PATH
    )
}

pub(super) fn watch(context: &Context) -> Result<(), Exit> {
    let found = offer(context)?;
    let paths = context.paths()?;
    for (address, credential) in found.unread {
        let app = credential.app.clone().unwrap_or_else(|| credential.name.to_string());
        let question =
            format!("{app} logs in as {address} with a password that keypulse cannot read. Enter it here, too?");
        with_a_person(&question, true, async |interrupts| {
            Box::pin(one(context, interrupts, &paths, async || Ok(Some((address.clone(), credential.clone()))))).await
        })?;
    }
    loop {
        let config = load(&paths)?;
        let watched = config.accounts.iter().map(|account| account.credentials.len()).sum::<usize>();
        let question = match watched {
            0 => "Add an app-specific password now?".to_owned(),
            1 => "1 password is watched. Add another?".to_owned(),
            more => format!("{more} passwords are watched. Add another?"),
        };
        let usual = config.accounts.first().map(|account| account.address.clone()).or_else(|| found.address.clone());
        let went_on = with_a_person(&question, watched == 0, async |interrupts| {
            Box::pin(one(context, interrupts, &paths, async || described(usual.as_ref(), &config).await)).await
        })?;
        if !went_on {
            return Ok(());
        }
    }
}

/// Does it if the person wants to; whether that was so.
fn with_a_person(
    question: &str,
    usual: bool,
    work: impl AsyncFnOnce(&mut Interrupts) -> Result<(), Exit>,
) -> Result<bool, Exit> {
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let wanted = stoppable(&mut interrupts, prompt::yes(question, usual)).await?;
        if wanted {
            work(&mut interrupts).await?;
        }
        Ok(wanted)
    })
}

fn load(paths: &Paths) -> Result<Config, Exit> {
    match config::load(&paths.config) {
        Err(error) if error.is_missing() => Ok(Config::default()),
        config => Ok(config?),
    }
}

/// What a search of the person's programs came to.
#[derive(Default)]
struct Found {
    /// An address.
    address: Option<Address>,
    /// Passwords to be asked for.
    unread: Vec<(Address, Credential)>,
}

/// Shows what the person's programs have, and watches it where it can be read.
fn offer(context: &Context) -> Result<Found, Exit> {
    let households = discover::households(context)?;
    if households.is_empty() {
        prompt::say("No iCloud login was found in your programs.")?;
        return Ok(Found::default());
    }
    discover::discover(context, &DiscoverArgs::default())?;
    let mut found = Found::default();
    let mut readable = false;
    for household in households {
        let Some(address) = household.address else { continue };
        for offer in household.offers.iter().filter(|offer| !offer.watched) {
            readable |= offer.source.is_some();
            if offer.source.is_none() {
                let credential = Credential {
                    name: offer.name.clone(),
                    app: offer.app(),
                    services: offer.services(),
                    secret: default_secret(&offer.name),
                    any_shape: false,
                };
                found.unread.push((address.clone(), credential));
            }
        }
        found.address.get_or_insert(address);
    }
    if readable && super::asked("Watch those that can be read, where your programs keep them?")? {
        discover::watch_all(context)?;
    }
    Ok(found)
}

/// One password, from the question for its address to the keyring.
async fn one(
    context: &Context,
    interrupts: &mut Interrupts,
    paths: &Paths,
    what: impl AsyncFnOnce() -> Result<Option<(Address, Credential)>, Exit>,
) -> Result<(), Exit> {
    let reader = Reader::new();
    let typed = stoppable(interrupts, async {
        let Some((address, credential)) = what().await? else { return Ok(None) };
        let entry = Entry::new(paths, &address, credential)?;
        prompt::say(&hints())?;
        prompt::say(&verify::beforehand(&entry.config))?;
        let way = Way { piped: false, untried: false };
        let question = "App-specific password, not shown (Enter alone skips): ";
        match obtain::typed(context, &reader, &entry, way, question).await? {
            Obtained::Accepted(accepted) => Ok(Some((entry, accepted))),
            Obtained::Nothing => Ok(None),
        }
    });
    let (entry, accepted) = match typed.await {
        Ok(Some(typed)) => typed,
        Ok(None) => return Ok(()),
        // Ctrl-C, or nobody reads any more: the end of it all. What failed otherwise has been said or is now, and the next
        // question comes.
        Err(stopped @ Exit::ClosedPipe) => return Err(stopped),
        Err(Exit::Code(code)) if code >= 128 => return Err(Exit::Code(code)),
        Err(failed) => {
            exit::tell(&failed);
            return Ok(());
        }
    };
    // Carried through.
    entry.store(&reader, &accepted).await?;
    let told = stoppable(interrupts, taken_up(context, &entry, &accepted)).await?;
    let name = &entry.credential.name;
    prompt::say(&format!("✓ {name}: {}, stored{}", accepted_by(accepted.by), now(&told, name)))
}

/// An address and a program, asked for; `None` where the person skips it.
async fn described(usual: Option<&Address>, config: &Config) -> Result<Option<(Address, Credential)>, Exit> {
    let Some(address) = ask_address(usual).await? else { return Ok(None) };
    let app = prompt::line("Which program uses it, such as Thunderbird? ").await?;
    let (name, app) = named(&app, config);
    let secret = default_secret(&name);
    Ok(Some((address, Credential { name, app, services: Services::BOTH, secret, any_shape: false })))
}

/// The iCloud Mail address; `None` where the person skips it.
async fn ask_address(usual: Option<&Address>) -> Result<Option<Address>, Exit> {
    let question = match usual {
        Some(usual) => format!("iCloud Mail address (Enter alone: {usual}): "),
        None => "iCloud Mail address (Enter alone skips): ".to_owned(),
    };
    loop {
        let typed = prompt::line(&question).await?;
        if typed.is_empty() {
            return Ok(usual.cloned());
        }
        let address = match Address::new(&typed) {
            Ok(address) => address,
            Err(why) => {
                prompt::say(&format!("That is no address: {why}."))?;
                continue;
            }
        };
        let domain = address.as_str().rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        if DOMAINS.contains(&domain.as_str()) {
            return Ok(Some(address));
        }
        prompt::say(
            "iCloud Mail wants the address that ends with @icloud.com, @me.com or @mac.com, also where your Apple Account has \
             another, or a domain of your own.",
        )?;
        if prompt::yes("Use this one all the same?", false).await? {
            return Ok(Some(address));
        }
    }
}

/// A name that is free, made of what the person calls the program, and the program where that says more.
fn named(app: &str, config: &Config) -> (CredentialName, Option<String>) {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c.to_ascii_lowercase() } else { '-' };
    let slug: String = app.chars().map(fit).take(60).collect();
    let slug = slug.trim_matches('-');
    let slug = if slug.is_empty() { "mail" } else { slug };
    let numbered = (1..).map(|number| if number == 1 { slug.to_owned() } else { format!("{slug}-{number}") });
    let mut names = numbered.filter_map(|name| CredentialName::new(&name).ok());
    // The list has no end, the configuration has.
    let name = names.find(|name| config.find(name).is_none()).unwrap_or_else(|| unreachable!("a free name"));
    let app = app.trim();
    let app = (!app.is_empty() && app != name.as_str() && !app.chars().any(char::is_control)).then(|| app.to_owned());
    (name, app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gives_a_free_name() {
        let config = "[[account]]\naddress = \"a@icloud.com\"\n[[account.credential]]\nname = \"mail\"\n";
        let config = config::parse(config, std::path::Path::new("/c")).unwrap();
        let check = |typed: &str, expected: &str, app: Option<&str>| {
            let (name, shown) = named(typed, &config);
            assert_eq!((name.as_str(), shown.as_deref()), (expected, app));
        };
        check("Thunderbird", "thunderbird", Some("Thunderbird"));
        check("mutt", "mutt", None);
        check("The NAS, downstairs", "the-nas--downstairs", Some("The NAS, downstairs"));
        check("Mail", "mail-2", Some("Mail"));
        check("", "mail-2", None);
        check("✉", "mail-2", Some("✉"));
    }
}
