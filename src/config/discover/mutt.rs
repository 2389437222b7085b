//! Mutt's `muttrc` and NeoMutt's `neomuttrc` (muttrc(5); the manual, "Syntax of Initialization Files").
//!
//! Decides which variables hold for a login: those of the file, and over them those of each hook, because people switch
//! accounts with `account-hook`, `folder-hook` or a macro that sources a file. Commands in backticks and sourced pipes are never
//! run. What one variable takes from another is followed to where it stands.

mod words;

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    rc::Rc,
};

use self::words::{Value, Word};
use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    shell, url,
};

pub(super) fn mutt_roots(place: &Place) -> Roots {
    let (home, config) = (&place.home, &place.config_home);
    vec![vec![home.join(".muttrc"), home.join(".mutt/muttrc"), config.join("mutt/muttrc")]]
}

/// NeoMutt also reads Mutt's files; a login in them is shown as Mutt's.
pub(super) fn neomutt_roots(place: &Place) -> Roots {
    let (home, config) = (&place.home, &place.config_home);
    vec![vec![
        config.join("neomutt/neomuttrc"),
        config.join("neomutt/muttrc"),
        config.join("mutt/neomuttrc"),
        home.join(".neomutt/neomuttrc"),
        home.join(".neomutt/muttrc"),
        home.join(".mutt/neomuttrc"),
        home.join(".neomuttrc"),
    ]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let mut reader = Reader::default();
    reader.file(disk, &text, path)?;
    let mut logins = Logins::default();
    logins.take(&reader.scope);
    // A hook runs over everything that the file sets; hooks within hooks are not followed.
    for Hook { pattern, commands, file, line } in mem::take(&mut reader.hooks) {
        let mut inner = Reader { scope: reader.scope.clone(), in_hook: true, ..Reader::default() };
        inner.scope.suffix = format!("@{}", pattern.trim());
        inner.scope.pattern = Some(pattern);
        inner.lines(disk, &commands, &file, Some(line))?;
        logins.take(&inner.scope);
    }
    Ok(logins.entries)
}

/// What is set where.
#[derive(Clone, Default)]
struct Scope {
    variables: BTreeMap<String, Rc<Set>>,
    /// `setenv`.
    environment: BTreeMap<String, String>,
    /// Every text that may be a password, set anywhere: for `secret.program`, which reads one file.
    texts: Vec<Rc<Set>>,
    /// Something is sourced from the output of a command.
    piped: bool,
    /// The pattern of the hook.
    pattern: Option<String>,
    /// What tells its settings from those of the same name elsewhere.
    suffix: String,
}

/// A variable, and where its value stands: with another variable, where it is that one's.
struct Set {
    name: String,
    value: Value,
    file: PathBuf,
    line: usize,
}

struct Hook {
    pattern: String,
    commands: String,
    file: PathBuf,
    line: usize,
}

#[derive(Default)]
struct Reader {
    scope: Scope,
    hooks: Vec<Hook>,
    in_hook: bool,
}

/// More hooks than anybody has, and more texts: with each hook all are looked at.
const MOST_HOOKS: usize = 100;
const MOST_TEXTS: usize = 300;

impl Reader {
    fn file(&mut self, disk: &mut Disk, text: &str, path: &Path) -> Result<(), Fault> {
        self.lines(disk, text, path, None)
    }

    /// Lines of a file, or of a hook, which stand on the hook's line.
    fn lines(&mut self, disk: &mut Disk, text: &str, path: &Path, hook: Option<usize>) -> Result<(), Fault> {
        let mut lines = (1..).zip(text.lines());
        while let Some((line, content)) = lines.next() {
            let mut whole = zeroize::Zeroizing::new(content.to_owned());
            while whole.ends_with('\\') && !whole.ends_with("\\\\") {
                whole.pop();
                let Some((_, next)) = lines.next() else { break };
                whole.push_str(next);
            }
            let line = hook.unwrap_or(line);
            let mut rest = whole.as_str();
            while !rest.trim().is_empty() {
                // A line that cannot be read is an error that Mutt shows and goes on after.
                let Ok((words, after)) = words::command(rest, &|name| self.variable(disk.place, name)) else { break };
                rest = after;
                self.command(disk, &words, path, line)?;
            }
        }
        Ok(())
    }

    /// `$name`: a variable of Mutt's, else of the environment (the manual, "User-Defined Variables").
    fn variable(&self, place: &Place, name: &str) -> Value {
        if let Some(set) = self.scope.variables.get(name) {
            return set.value.named(set.clone());
        }
        let text = self.scope.environment.get(name).cloned();
        let text = text.or_else(|| Some(place.variable(name)?.to_string_lossy().into_owned()));
        Value::text(&text.unwrap_or_default())
    }

    fn command(&mut self, disk: &mut Disk, words: &[Word], path: &Path, line: usize) -> Result<(), Fault> {
        let Some((command, arguments)) = words.split_first() else { return Ok(()) };
        let text = |at: usize| arguments.get(at).and_then(|word| word.value.as_text());
        match command.value.as_text().unwrap_or_default() {
            "set" => self.set(arguments, path, line),
            "setenv" => {
                if let (Some(name), Some(value)) = (text(0), text(1)) {
                    self.scope.environment.insert(name.to_owned(), value.to_owned());
                }
            }
            "unset" | "reset" => {
                for name in arguments.iter().filter_map(|word| word.value.as_text()) {
                    self.scope.variables.remove(name);
                }
            }
            "source" => {
                for at in 0..arguments.len() {
                    match text(at) {
                        Some(file) => self.source(disk, file, path, line)?,
                        None => self.scope.piped = true,
                    }
                }
            }
            "mailboxes" => {
                // The server, where `folder` is on this machine.
                if let Some(word) = arguments.iter().find(|word| word.value.as_text().is_some_and(is_imap)) {
                    self.put("mailboxes", word.value.clone(), path, line);
                }
            }
            "account-hook" | "folder-hook" if !self.in_hook => {
                let at = usize::from(text(0) == Some("-noregex"));
                if let (Some(pattern), Some(commands)) = (text(at), text(at + 1)) {
                    // Without quotes around them, the commands are the rest of the line.
                    let more = arguments.iter().skip(at + 2).filter_map(|word| word.value.as_text());
                    let commands = std::iter::once(commands).chain(more).collect::<Vec<_>>().join(" ");
                    self.hook(pattern, &commands, path, line);
                }
            }
            "macro" if !self.in_hook => {
                for commands in arguments.iter().skip(2).filter_map(|word| word.value.as_text()) {
                    for part in commands.split("<enter-command>").skip(1) {
                        let command = part.split('<').next().unwrap_or_default().trim_end();
                        if command.starts_with("source ") {
                            self.hook(command, command, path, line);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn hook(&mut self, pattern: &str, commands: &str, file: &Path, line: usize) {
        if self.hooks.len() < MOST_HOOKS {
            let (pattern, commands) = (pattern.to_owned(), commands.to_owned());
            self.hooks.push(Hook { pattern, commands, file: file.to_owned(), line });
        }
    }

    fn source(&mut self, disk: &mut Disk, file: &str, from: &Path, line: usize) -> Result<(), Fault> {
        if file.trim_end().ends_with('|') {
            self.scope.piped = true;
            return Ok(());
        }
        let file = disk.place.expand(file);
        let file = from.parent().unwrap_or(Path::new("/")).join(file);
        disk.included(&file, from, line, |disk, text| self.file(disk, text, &file)).unwrap_or(Ok(()))
    }

    /// `set name=value`, `set name = value`, several in a line; what is no value is passed over.
    fn set(&mut self, arguments: &[Word], path: &Path, line: usize) {
        for word in arguments {
            let Some(name) = word.name.clone() else { continue };
            let value = word.value.clone();
            self.put(&name, value, path, line);
        }
    }

    fn put(&mut self, name: &str, value: Value, file: &Path, line: usize) {
        let set = match value.origin() {
            // Another variable's value and nothing else: it stands there.
            Some(origin) => origin,
            None => Rc::new(Set { name: format!("{name}{}", self.scope.suffix), value, file: file.to_owned(), line }),
        };
        let may_be_password = name.ends_with("_pass") || name.starts_with("my_");
        if may_be_password
            && self.scope.texts.len() < MOST_TEXTS
            && set.value.as_text().is_some_and(|text| !text.is_empty())
        {
            self.scope.texts.push(set.clone());
        }
        self.scope.variables.insert(name.to_owned(), set);
    }
}

fn is_imap(text: &str) -> bool {
    text.starts_with("imap://") || text.starts_with("imaps://")
}

/// The logins of all scopes, each once.
#[derive(Default)]
struct Logins {
    entries: Vec<Entry>,
}

impl Logins {
    fn take(&mut self, scope: &Scope) {
        let text = |name: &str| scope.variables.get(name).and_then(|set| set.value.as_text());
        // In a pattern, dots are often written as regular expressions want them.
        let pattern = scope.pattern.as_ref().map(|pattern| pattern.trim_start_matches('^').replace('\\', ""));
        let from_pattern =
            |scheme: &str| pattern.as_deref().filter(|pattern| pattern.starts_with(scheme)).and_then(url::parse);
        let server = from_pattern("imap").map(|url| (url, None)).or_else(|| {
            ["folder", "spoolfile", "mailboxes"].into_iter().find_map(|name| {
                let set = scope.variables.get(name)?;
                let url = set.value.as_text().filter(|text| is_imap(text)).and_then(url::parse)?;
                Some((url, Some(set)))
            })
        });
        let beside = text("from").map(str::to_owned);
        if let Some((url, set)) = server {
            let user = url.user.or_else(|| text("imap_user").or(text("imap_login")).map(str::to_owned));
            self.login(scope, Use::Imap, "imap_pass", url.host, user, beside.clone(), url.password.zip(set));
        }
        let set = scope.variables.get("smtp_url");
        if let Some(url) = set.and_then(|set| url::parse(set.value.as_text()?)) {
            let user = url.user.or_else(|| text("smtp_user").map(str::to_owned));
            self.login(scope, Use::Smtp, "smtp_pass", url.host, user, beside, url.password.zip(set));
        }
        for set in &scope.texts {
            let known = self.entries.iter().any(|it| it.name == set.name && it.file == set.file && it.line == set.line);
            if !known && let Some(secret) = secret(&set.value) {
                self.push(set, Use::Imap, None, None, None, secret);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a login, each once")]
    fn login(
        &mut self,
        scope: &Scope,
        service: Use,
        variable: &str,
        host: String,
        user: Option<String>,
        beside: Option<String>,
        in_url: Option<(super::disk::Text, &Rc<Set>)>,
    ) {
        let (set, secret) = if let Some((password, set)) = in_url {
            (set, Secret::Plain(password))
        } else if let Some(set) = scope.variables.get(variable) {
            let why = || Secret::Unknown("put together from several pieces".to_owned());
            (set, secret(&set.value).unwrap_or_else(why))
        } else {
            let names = match service {
                Use::Imap => ["folder", "spoolfile", "mailboxes", "imap_user"],
                Use::Smtp | Use::Caldav | Use::Carddav => ["smtp_url"; 4],
            };
            let Some(set) = names.iter().find_map(|name| scope.variables.get(*name)) else { return };
            let why = if scope.piped {
                "printed by a command that is sourced, which is not run"
            } else {
                "asked for when it runs"
            };
            (set, Secret::Unknown(why.to_owned()))
        };
        // A login that a hook leaves as it was.
        let known = self.entries.iter().any(|old| {
            (&old.file, old.line, old.service) == (&set.file, set.line, service)
                && old.host.as_ref() == Some(&host)
                && old.username == user
        });
        if !known {
            self.push(set, service, Some(host), user, beside, secret);
        }
    }

    fn push(
        &mut self,
        set: &Set,
        service: Use,
        host: Option<String>,
        username: Option<String>,
        beside: Option<String>,
        secret: Secret,
    ) {
        let Set { name, file, line, .. } = set;
        let (name, file, line) = (name.clone(), file.clone(), *line);
        self.entries.push(Entry { name, file, line, service, host, username, beside, secret });
    }
}

/// How a value gives a password; none where it is put together from several pieces.
fn secret(value: &Value) -> Option<Secret> {
    if let Some(command) = value.as_output() {
        return shell::command(command).map(Secret::Command);
    }
    value.plain().map(Secret::Plain)
}

#[cfg(test)]
mod tests;
