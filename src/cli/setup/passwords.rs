//! The passwords of a first run: those of the person's programs, and those that are typed.

use super::stoppable;
use crate::{
    cli::{
        Exit,
        add::accepted_by,
        advice,
        context::{Context, block_on},
        discover::{self, DiscoverArgs},
        keep::Entry,
        obtain::{self, Obtained, Way},
        prompt::{self, Interrupts},
        tell::{now, taken_up},
        verify,
    },
    config::{self, Config, Credential, default_secret, discover::offers},
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
        "New ones are made at {}.
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
    loop {
        let config = load(&paths)?;
        let watched = config.accounts.iter().map(|account| account.credentials.len()).sum::<usize>();
        let question = match watched {
            0 => "Add an app-specific password now?".to_owned(),
            1 => "1 password is watched. Add another?".to_owned(),
            more => format!("{more} passwords are watched. Add another?"),
        };
        let address = config.accounts.first().map(|account| account.address.clone()).or_else(|| found.clone());
        let went_on = block_on(async {
            let mut interrupts = Interrupts::listen()?;
            if !stoppable(&mut interrupts, prompt::yes(&question, watched == 0)).await? {
                return Ok(false);
            }
            one(context, &mut interrupts, &paths, &config, address.as_ref()).await?;
            Ok(true)
        })?;
        if !went_on {
            return Ok(());
        }
    }
}

fn load(paths: &Paths) -> Result<Config, Exit> {
    match config::load(&paths.config) {
        Err(error) if error.is_missing() => Ok(Config::default()),
        config => Ok(config?),
    }
}

/// Shows what the person's programs have, and watches it where it can be read; an address that was found.
fn offer(context: &Context) -> Result<Option<Address>, Exit> {
    let arguments = |write| DiscoverArgs { write, ..DiscoverArgs::default() };
    let households = discover::households(context)?;
    if households.is_empty() {
        prompt::say("No iCloud login was found in your programs.")?;
        return Ok(None);
    }
    discover::discover(context, &arguments(false))?;
    let new = households.iter().flat_map(|household| &household.offers).any(offers::Offer::can_be_watched);
    if new && super::asked("Watch those that can be read, where your programs keep them?")? {
        discover::discover(context, &arguments(true))?;
    }
    Ok(households.into_iter().find_map(|household| household.address))
}

/// One password, from the question for its address to the keyring.
async fn one(
    context: &Context,
    interrupts: &mut Interrupts,
    paths: &Paths,
    config: &Config,
    usual: Option<&Address>,
) -> Result<(), Exit> {
    let reader = Reader::new();
    let typed = stoppable(interrupts, async {
        let Some(address) = ask_address(usual).await? else { return Ok(None) };
        let app = prompt::line("Which program uses it, such as Thunderbird? ").await?;
        let (name, app) = named(&app, config);
        let credential = Credential {
            secret: default_secret(&name),
            name,
            app,
            services: Services::BOTH,
            any_shape: false,
        };
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
    let Some((entry, accepted)) = typed.await? else { return Ok(()) };
    // Carried through.
    entry.store(&reader, &accepted).await?;
    let told = stoppable(interrupts, taken_up(context, &entry, &accepted)).await?;
    let name = &entry.credential.name;
    prompt::say(&format!("✓ {name}: {}, stored{}", accepted_by(accepted.by), now(&told, name)))
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
