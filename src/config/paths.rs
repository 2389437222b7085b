//! Where the configuration, the state and the socket are: the page on paths, and the one place that reads the environment
//! for them.
//!
//! [`Environment::read`] looks; everything else here is a function of what it saw. Makes no directory and no file.

use std::{
    error,
    ffi::OsString,
    fmt,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// The longest path a Unix socket is bound to here, in bytes. `sun_path` holds 104 on macOS and 108 on Linux, the closing
/// NUL included; one limit for both keeps configurations portable.
pub const SOCKET_PATH_LIMIT: usize = 103;

/// The variables that decide on paths, and what else they depend on. Empty variables count as unset, and so do relative XDG
/// ones (XDG Base Directory Specification, "Basics").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The home directory.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `/run/user/UID`, where it exists and is ours.
    pub run_user: Option<PathBuf>,
    /// `KEYPULSE_CONFIG`.
    pub keypulse_config: Option<PathBuf>,
    /// `KEYPULSE_STATE_DIR`.
    pub keypulse_state_dir: Option<PathBuf>,
    /// `KEYPULSE_SOCKET`.
    pub keypulse_socket: Option<PathBuf>,
    /// Whether the places of macOS hold.
    pub macos: bool,
}

/// Why a path could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// There is no home directory to put it under; holds the variable that would do instead.
    NoHome(&'static str),
    /// The socket's path has more bytes than a socket can be bound to.
    SocketPathTooLong(PathBuf),
}

impl Environment {
    /// What this process was given.
    #[must_use]
    pub fn read() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        Self::from_variables(
            |name| std::env::var_os(name),
            std::env::home_dir(),
            Some(PathBuf::from(format!("/run/user/{uid}")))
                .filter(|path| std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == uid)),
            cfg!(target_os = "macos"),
        )
    }

    /// From variables and the rest of what [`Environment::read`] looks at.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
        run_user: Option<PathBuf>,
        macos: bool,
    ) -> Self {
        let given = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let absolute = |name| given(name).filter(|path| path.is_absolute());
        Self {
            home: home.filter(|path| path.is_absolute()),
            config_home: absolute("XDG_CONFIG_HOME"),
            state_home: absolute("XDG_STATE_HOME"),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            run_user,
            keypulse_config: given("KEYPULSE_CONFIG"),
            keypulse_state_dir: given("KEYPULSE_STATE_DIR"),
            keypulse_socket: given("KEYPULSE_SOCKET"),
            macos,
        }
    }

    /// The configuration file: `--config`, `KEYPULSE_CONFIG`, or the system's place.
    ///
    /// # Errors
    /// Where there is neither a word on it nor a home directory.
    pub fn config_file(&self, option: Option<&Path>) -> Result<PathBuf, PathError> {
        if let Some(path) = option.or(self.keypulse_config.as_deref()) {
            return Ok(path.to_owned());
        }
        let directory = if self.macos {
            self.application_support()
        } else {
            under(self.config_home.as_deref(), self.home.as_deref(), ".config")
        };
        Ok(directory.ok_or(PathError::NoHome("KEYPULSE_CONFIG"))?.join("config.toml"))
    }

    /// The directory of the state (SQLite, digest key, lock): `KEYPULSE_STATE_DIR` or the system's place.
    ///
    /// # Errors
    /// Where there is neither a word on it nor a home directory.
    pub fn state_dir(&self) -> Result<PathBuf, PathError> {
        if let Some(path) = &self.keypulse_state_dir {
            return Ok(path.clone());
        }
        let directory = if self.macos {
            self.application_support().map(|path| path.join("state"))
        } else {
            under(self.state_home.as_deref(), self.home.as_deref(), ".local/state")
        };
        directory.ok_or(PathError::NoHome("KEYPULSE_STATE_DIR"))
    }

    /// The socket: `--socket`, `KEYPULSE_SOCKET`, or the system's place.
    ///
    /// # Errors
    /// Where the path is over [`SOCKET_PATH_LIMIT`], or there is neither a word on it nor a home directory.
    pub fn socket(&self, option: Option<&Path>) -> Result<PathBuf, PathError> {
        let path = match option.or(self.keypulse_socket.as_deref()) {
            Some(path) => path.to_owned(),
            None => self.socket_dir()?.join("keypulse.sock"),
        };
        if path.as_os_str().as_bytes().len() > SOCKET_PATH_LIMIT {
            return Err(PathError::SocketPathTooLong(path));
        }
        Ok(path)
    }

    /// Where the socket is unless somebody says otherwise. `XDG_RUNTIME_DIR` has no default; without one the person's own
    /// `/run/user/UID` serves, or the state directory, which is 0700 too.
    fn socket_dir(&self) -> Result<PathBuf, PathError> {
        if self.macos {
            return self.application_support().ok_or(PathError::NoHome("KEYPULSE_SOCKET"));
        }
        match self.runtime_dir.as_ref().or(self.run_user.as_ref()) {
            Some(path) => Ok(path.join("keypulse")),
            None => self.state_dir(),
        }
    }

    fn application_support(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join("Library/Application Support/keypulse"))
    }
}

/// keypulse's directory in an XDG base directory, or in its default below the home directory.
fn under(base: Option<&Path>, home: Option<&Path>, default: &str) -> Option<PathBuf> {
    base.map(Path::to_owned).or_else(|| home.map(|home| home.join(default))).map(|path| path.join("keypulse"))
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome(variable) => {
                write!(f, "find the home directory: HOME is not set; set it, or name the path in {variable}")
            }
            Self::SocketPathTooLong(path) => write!(
                f,
                "use the socket path {}: it has {} bytes and a socket takes at most {SOCKET_PATH_LIMIT}; \
                 name a shorter one with --socket or KEYPULSE_SOCKET",
                path.display(),
                path.as_os_str().as_bytes().len()
            ),
        }
    }
}

impl error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(variables: &[(&str, &str)], run_user: bool) -> Environment {
        environment(variables, run_user, false)
    }

    fn environment(variables: &[(&str, &str)], run_user: bool, macos: bool) -> Environment {
        Environment::from_variables(
            |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)),
            Some("/home/me".into()),
            run_user.then(|| "/run/user/1000".into()),
            macos,
        )
    }

    #[track_caller]
    fn check(environment: &Environment, config: &str, state: &str, socket: &str) {
        assert_eq!(environment.config_file(None).unwrap(), Path::new(config));
        assert_eq!(environment.state_dir().unwrap(), Path::new(state));
        assert_eq!(environment.socket(None).unwrap(), Path::new(socket));
    }

    #[test]
    fn the_table_of_the_contract_holds() {
        let (config, state) = ("/home/me/.config/keypulse/config.toml", "/home/me/.local/state/keypulse");
        check(&linux(&[], true), config, state, "/run/user/1000/keypulse/keypulse.sock");
        check(&linux(&[], false), config, state, "/home/me/.local/state/keypulse/keypulse.sock");
        let xdg = [("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/r")];
        check(&linux(&xdg, true), "/c/keypulse/config.toml", "/s/keypulse", "/r/keypulse/keypulse.sock");
        let own = [("KEYPULSE_CONFIG", "/k.toml"), ("KEYPULSE_STATE_DIR", "/k"), ("KEYPULSE_SOCKET", "/k.sock")];
        check(&linux(&[xdg, own].concat(), true), "/k.toml", "/k", "/k.sock");
        let support = "/home/me/Library/Application Support/keypulse";
        check(
            &environment(&xdg, true, true),
            &format!("{support}/config.toml"),
            &format!("{support}/state"),
            &format!("{support}/keypulse.sock"),
        );
        check(&environment(&own, true, true), "/k.toml", "/k", "/k.sock");
    }

    #[test]
    fn without_a_runtime_directory_the_socket_follows_the_state() {
        let here = linux(&[("KEYPULSE_STATE_DIR", "/k")], false);
        assert_eq!(here.socket(None).unwrap(), Path::new("/k/keypulse.sock"));
    }

    #[test]
    fn relative_and_empty_xdg_values_are_ignored() {
        for value in ["", "relative/path", "./x", "~/x"] {
            let names = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"].map(|name| (name, value));
            assert_eq!(linux(&names, true), linux(&[], true), "{value:?}");
        }
        let names = ["KEYPULSE_CONFIG", "KEYPULSE_STATE_DIR", "KEYPULSE_SOCKET"].map(|name| (name, ""));
        assert_eq!(linux(&names, true), linux(&[], true));
    }

    #[test]
    fn options_go_before_variables() {
        let here = linux(&[("KEYPULSE_CONFIG", "/k.toml"), ("KEYPULSE_SOCKET", "/k.sock")], true);
        assert_eq!(here.config_file(Some(Path::new("o.toml"))).unwrap(), Path::new("o.toml"));
        assert_eq!(here.socket(Some(Path::new("/o.sock"))).unwrap(), Path::new("/o.sock"));
    }

    #[test]
    fn a_socket_path_over_103_bytes_is_an_error_that_names_the_limit() {
        let fits = format!("/{}", "é".repeat(51));
        assert_eq!(fits.len(), 103);
        assert!(linux(&[("KEYPULSE_SOCKET", &fits)], true).socket(None).is_ok());
        let error = linux(&[("KEYPULSE_SOCKET", &format!("{fits}x"))], true).socket(None).unwrap_err();
        assert!(error.to_string().contains("has 104 bytes and a socket takes at most 103"), "{error}");
        assert!(linux(&[("XDG_RUNTIME_DIR", &fits)], true).socket(None).is_err());
    }

    #[test]
    fn without_a_home_the_error_names_the_variable_that_helps() {
        let homeless = Environment { home: None, ..linux(&[], false) };
        assert_eq!(homeless.config_file(None), Err(PathError::NoHome("KEYPULSE_CONFIG")));
        assert_eq!(homeless.state_dir(), Err(PathError::NoHome("KEYPULSE_STATE_DIR")));
        assert_eq!(homeless.socket(None), Err(PathError::NoHome("KEYPULSE_STATE_DIR")));
        let relative = Environment::from_variables(|_| None, Some("not/absolute".into()), None, false);
        assert_eq!(relative.home, None);
    }
}
