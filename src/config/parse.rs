//! From text to a [`Config`] that cannot be wrong.
//!
//! Decides which values are taken, and collects everything that is wrong in one run. Reads no file and no environment
//! except for the home directory behind `~/` ([`parse`]); [`parse_with_home`] is pure.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls_pki_types::ServerName;
use toml::Spanned;

use super::{
    Config, Server, TlsMode, Watch, complain, duration,
    error::{ConfigError, Kind, Problem},
    excerpt::{Excerpt, quoted},
    icloud, paths,
    raw::{Number, RawConfig, RawServer},
};
use crate::health::evidence::PerService;

/// The shortest duration any key takes: below it, nothing but busy loops is configured.
const SHORTEST: Duration = Duration::from_millis(10);

/// How many problems are told at most.
const MOST_PROBLEMS: usize = 100;

/// Reads a configuration; `path` is for messages and for relative paths in it, which begin at its directory.
///
/// # Errors
/// Everything that is wrong, with place and remedy. Wrong TOML, an unknown key or a value of the wrong type ends the reading
/// at the first.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    parse_with_home(text, path, paths::Environment::read().home.as_deref())
}

/// [`parse`] with the home directory as an argument.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_home(text: &str, path: &Path, home: Option<&Path>) -> Result<Config, ConfigError> {
    let problems = |problems| ConfigError { path: path.to_owned(), kind: Kind::Problems(problems) };
    let raw: RawConfig = toml::from_str(text).map_err(|error| problems(vec![complain::problem(text, error)]))?;
    let base = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let mut checker = Checker { text, base, home, problems: Vec::new(), names: BTreeMap::new() };
    let config = checker.config(raw);
    if checker.problems.is_empty() {
        return Ok(config);
    }
    checker.problems.sort_by_key(|problem| (problem.at.line, problem.at.column));
    Err(problems(checker.problems))
}

/// What is being checked, and what was found wrong so far. A wrong value is reported and replaced by its default, so that
/// the rest can be checked as well.
pub(super) struct Checker<'a> {
    text: &'a str,
    /// The directory at which relative paths begin.
    base: PathBuf,
    home: Option<&'a Path>,
    problems: Vec<Problem>,
    /// Every credential's name and the place of its first use.
    pub(super) names: BTreeMap<String, Range<usize>>,
}

impl Checker<'_> {
    fn config(&mut self, raw: RawConfig) -> Config {
        let RawConfig { schedule, limits, watch, mut notify, imap, smtp, tls, account } = raw;
        let defaults = icloud();
        let servers = PerService { imap: self.server(imap.0, defaults.imap), smtp: self.server(smtp.0, defaults.smtp) };
        let timeout = self.duration("timeout", schedule.0.timeout.as_ref(), Config::default().timeout);
        let policy = self.policy(&schedule.0, &limits.0, notify.0.remind_every.take().as_ref(), &servers);
        let accounts = self.accounts(account);
        let notify = self.notify(notify.0, &accounts);
        let default = Watch::default();
        let watch = Watch {
            resume: watch.0.resume.unwrap_or(default.resume),
            network: watch.0.network.unwrap_or(default.network),
            idle: watch.0.idle.unwrap_or(default.idle),
        };
        let extra_ca = tls.0.extra_ca.and_then(|path| self.path("extra_ca", &path));
        Config { policy, timeout, watch, notify, servers, extra_ca, accounts }
    }

    pub(super) fn report(&mut self, span: Range<usize>, message: &str, remedy: &str) {
        // Nobody reads more, and each costs a pass over the text.
        if self.problems.len() == MOST_PROBLEMS {
            return;
        }
        self.problems.push(Problem::new(self.text, span, message, remedy));
    }

    /// How many problems were found so far: rules between values are checked only where each value is right.
    pub(super) fn found(&self) -> usize {
        self.problems.len()
    }

    /// The line on which a place is.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        Excerpt::new(self.text, span.clone()).line
    }

    pub(super) fn duration(&mut self, key: &str, given: Option<&Spanned<String>>, default: Duration) -> Duration {
        let Some(given) = given else { return default };
        match duration::parse(given.get_ref()) {
            Ok(duration) if duration >= SHORTEST => duration,
            Ok(_) => {
                self.report(given.span(), &format!("`{key}` is shorter than 10ms"), "write at least \"10ms\"");
                default
            }
            Err(error) => {
                self.report(given.span(), &format!("`{key}` is no duration: {error}"), &error.remedy());
                default
            }
        }
    }

    /// A whole number within limits; `why` says why those.
    pub(super) fn number(&mut self, key: &str, given: &Number, range: (u32, u32), why: &str, default: u32) -> u32 {
        let Some(given) = given else { return default };
        let (least, most) = range;
        match u32::try_from(*given.get_ref()) {
            Ok(number) if (least..=most).contains(&number) => number,
            Ok(_) | Err(_) => {
                let message = format!("`{key}` is {}, not from {least} to {most}", given.get_ref());
                self.report(given.span(), &message, why);
                default
            }
        }
    }

    /// Text that is shown or sent: not empty, in one line, without spaces around it.
    pub(super) fn words(&mut self, key: &str, given: &Spanned<String>) -> Option<String> {
        let text = given.get_ref();
        let (message, remedy) = if text.trim().is_empty() {
            (format!("`{key}` is empty"), "write something, or take the line out".to_owned())
        } else if text.chars().any(char::is_control) {
            (format!("`{key}` holds a control character"), "write it in one line without tabs".to_owned())
        } else if text.trim() != text {
            (
                format!("`{key}` begins or ends with a space"),
                format!("write {}", quoted(&format!("\"{}\"", text.trim()))),
            )
        } else if text.chars().count() > 256 {
            (format!("`{key}` is longer than 256 characters"), "shorten it".to_owned())
        } else {
            return Some(text.clone());
        };
        self.report(given.span(), &message, &remedy);
        None
    }

    /// A file: absolute, below the home directory (`~/`), or relative to the configuration's directory.
    pub(super) fn path(&mut self, key: &str, given: &Spanned<String>) -> Option<PathBuf> {
        match self.expand(given.get_ref()) {
            Ok(path) => Some(self.base.join(path)),
            Err((message, remedy)) => {
                self.report(given.span(), &format!("`{key}` {message}"), remedy);
                None
            }
        }
    }

    fn expand(&self, text: &str) -> Result<PathBuf, (&'static str, &'static str)> {
        if text.is_empty() {
            return Err(("is empty", "name a file, or take the line out"));
        }
        if text.chars().any(char::is_control) {
            return Err(("holds a control character", "write the path in one line without tabs"));
        }
        match text.strip_prefix('~') {
            None => Ok(PathBuf::from(text)),
            Some(rest) => match (rest.strip_prefix('/'), self.home) {
                (Some(rest), Some(home)) => Ok(home.join(rest.trim_start_matches('/'))),
                (Some(_), None) => Err(("begins with `~/`, but HOME is not set", "write the whole path")),
                (None, _) => {
                    Err(("begins with `~`, but not with `~/`", "write `~/` for your own home, else the whole path"))
                }
            },
        }
    }

    /// A program and its arguments.
    pub(super) fn command(&mut self, given: &Spanned<Vec<Spanned<String>>>) -> Option<Vec<String>> {
        const REMEDY: &str = "name a program and its arguments, such as `[\"pass\", \"show\", \"icloud/mutt\"]`";
        let Some(program) = given.get_ref().first() else {
            self.report(given.span(), "`command` is empty", REMEDY);
            return None;
        };
        if program.get_ref().trim().is_empty() {
            self.report(program.span(), "`command` names no program", REMEDY);
            return None;
        }
        if let Some(word) = given.get_ref().iter().find(|word| word.get_ref().contains('\0')) {
            self.report(word.span(), "an argument of `command` holds a NUL character", "take it out");
            return None;
        }
        let mut words: Vec<String> = given.get_ref().iter().map(|word| word.get_ref().clone()).collect();
        // Nobody has a program called `~`; the shell that would know better is not run.
        if program.get_ref().starts_with('~')
            && let Some(first) = words.first_mut()
        {
            *first = self.path("command", program)?.to_string_lossy().into_owned();
        }
        Some(words)
    }

    fn server(&mut self, raw: RawServer, default: Server) -> Server {
        Server {
            host: raw.host.and_then(|host| self.host(&host)).unwrap_or(default.host),
            port: self.port(raw.port.as_ref(), default.port),
            tls: self.tls(raw.tls.as_ref(), default.tls),
        }
    }

    pub(super) fn host(&mut self, given: &Spanned<String>) -> Option<String> {
        let text = given.get_ref();
        if ServerName::try_from(text.as_str()).is_ok() {
            return Some(text.clone());
        }
        let remedy = if text.contains("://") {
            "write the name alone, without `imaps://` and the like"
        } else if text.starts_with('[') {
            "write an IPv6 address without brackets"
        } else if text.contains(':') {
            "write the port as `port = 993`, apart from the host"
        } else {
            "write a name such as \"imap.mail.me.com\" or an address"
        };
        self.report(given.span(), "`host` is no host name", remedy);
        None
    }

    pub(super) fn port(&mut self, given: Option<&Spanned<i64>>, default: u16) -> u16 {
        let Some(given) = given else { return default };
        match u16::try_from(*given.get_ref()) {
            Ok(port) if port > 0 => port,
            Ok(_) | Err(_) => {
                self.report(
                    given.span(),
                    &format!("`port` is {}, not from 1 to 65535", given.get_ref()),
                    &format!("the usual one is {default}"),
                );
                default
            }
        }
    }

    pub(super) fn tls(&mut self, given: Option<&Spanned<String>>, default: TlsMode) -> TlsMode {
        let Some(given) = given else { return default };
        if let Some(mode) = TlsMode::ALL.into_iter().find(|mode| mode.as_str() == given.get_ref()) {
            return mode;
        }
        let remedy = match given.get_ref().to_lowercase().as_str() {
            "" | "none" | "plain" | "off" | "no" | "false" => {
                "there is no mode without encryption: write \"implicit\" or \"starttls\""
            }
            "ssl" | "tls" | "imaps" | "smtps" | "on" | "true" => {
                "write \"implicit\" where TLS begins at once (ports 993, 465), \"starttls\" where it is asked for (587, 143)"
            }
            _ => "write \"implicit\" or \"starttls\"",
        };
        self.report(given.span(), &format!("`tls` is {}, which is no mode", quoted(given.get_ref())), remedy);
        default
    }

    /// Reports a key that must be there, at the header of its table.
    pub(super) fn missing(&mut self, table: Range<usize>, what: &str, key: &str, example: &str) {
        self.report(table, &format!("{what} has no `{key}`"), &format!("add `{key} = {example}`"));
    }
}
