//! The configuration: there, and right?

use super::line::{Check, Line};
use crate::{
    cli::{config::counted, context::Context, exit::chain},
    config::{self, Config},
};

/// What it asks for in vain.
pub(super) fn not_yet(config: &Config) -> Vec<Line> {
    let line = |what: &str| Line::warning(Check::Configuration, what, "keypulse config show");
    config::unsupported(config).into_iter().map(line).collect()
}

/// The line, and the configuration where it can be used.
pub(super) fn check(context: &Context) -> (Line, Option<Config>) {
    let about = Check::Configuration;
    let path = match context.config_file() {
        Ok(path) => path,
        Err(exit) => return (Line::failure(about, exit.summary(), "export HOME=…"), None),
    };
    let config = match config::load(&path) {
        Ok(config) => config,
        Err(error) if error.is_missing() => {
            let says = format!("there is none yet ({})", path.display());
            return (Line::failure(about, says, "keypulse setup"), None);
        }
        Err(error) => return (Line::failure(about, error.summary(), "keypulse config check"), None),
    };
    let credentials = config.accounts.iter().map(|account| account.credentials.len()).sum::<usize>();
    let says = format!(
        "{}: {}, {}",
        path.display(),
        counted(config.accounts.len(), "account", "accounts"),
        counted(credentials, "password", "passwords")
    );
    let line = if credentials == 0 {
        Line::warning(about, says, "keypulse add NAME --account ADDRESS")
    } else if let Err(error) = crate::probe::Prober::new(config.extra_ca.as_deref()) {
        Line::failure(about, format!("failed to {}", chain(&error)), "keypulse config show")
    } else {
        Line::ok(about, says)
    };
    (line, Some(config))
}
