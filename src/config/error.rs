//! What is wrong with the configuration, told like a good compiler tells it: where, what, and what to write instead.
//!
//! Decides no exit code and prints nothing: the command line does.

use std::{
    error, fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::excerpt::{Excerpt, mask};

/// Why there is no configuration. Displays as the whole message, several lines long, each problem beginning with `error:`;
/// [`ConfigError::summary`] is the one line for logs.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: Kind,
}

/// What is wrong with a configuration file.
#[derive(Debug)]
pub enum Kind {
    /// There is no such file.
    Missing,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It has more bytes than any configuration: the limit.
    TooLarge(u64),
    /// A byte in it is not UTF-8, which TOML is: line and column, counted from 1, the column in characters.
    NotUtf8(usize, usize),
    /// What it says is wrong: at least one problem, in the order of the text.
    Problems(Vec<Problem>),
}

/// One thing that is wrong in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Excerpt,
    /// What is wrong: a phrase in lower case.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl Problem {
    /// A problem at a range of bytes of a text. Message and remedy show no password.
    pub fn new(text: &str, span: Range<usize>, message: &str, remedy: &str) -> Self {
        Self { at: Excerpt::new(text, span), message: mask(message), remedy: mask(remedy) }
    }
}

impl ConfigError {
    /// From what the system said to reading `path`.
    #[must_use]
    pub fn io(path: &Path, error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Missing } else { Kind::Unreadable(error) };
        Self { path: path.to_owned(), kind }
    }

    /// Whether there is no file, rather than a wrong one.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.kind, Kind::Missing)
    }

    /// The problems in the text; empty where the file could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &self.kind {
            Kind::Problems(problems) => problems,
            Kind::Missing | Kind::Unreadable(_) | Kind::TooLarge(_) | Kind::NotUtf8(..) => &[],
        }
    }

    /// One line, for logs and where there is no room: the first problem with place and remedy, and how many more there are.
    #[must_use]
    pub fn summary(&self) -> String {
        let path = self.path.display();
        match (&self.kind, self.problems().split_first()) {
            (Kind::Problems(_), Some((first, rest))) => {
                let more = match rest.len() {
                    0 => String::new(),
                    n => format!(" (and {n} more)"),
                };
                format!("{path}:{}:{}: {}; {}{more}", first.at.line, first.at.column, first.message, first.remedy)
            }
            (Kind::NotUtf8(line, column), _) => format!("{path}:{line}:{column}: {}; {}", self.what(), self.remedy()),
            (Kind::Missing | Kind::Unreadable(_) | Kind::TooLarge(_) | Kind::Problems(_), _) => {
                format!("{path}: {}; {}", self.what(), self.remedy())
            }
        }
    }

    /// What is wrong with the file as a whole.
    fn what(&self) -> String {
        match &self.kind {
            Kind::Missing => "there is no configuration file".to_owned(),
            Kind::Unreadable(error) => format!("the configuration cannot be read: {error}"),
            Kind::TooLarge(limit) => format!("the configuration is larger than {} KiB", limit / 1024),
            Kind::NotUtf8(..) => "the configuration is not UTF-8 text".to_owned(),
            Kind::Problems(_) => "the configuration is wrong".to_owned(),
        }
    }

    /// What to do about the file as a whole.
    fn remedy(&self) -> String {
        match &self.kind {
            Kind::Missing => "`keypulse setup` makes one step by step, `keypulse add NAME --account ADDRESS` at once; \
                              or name another with --config or KEYPULSE_CONFIG"
                .to_owned(),
            Kind::Unreadable(error) if error.kind() == io::ErrorKind::IsADirectory => {
                "name the file in it: `--config DIRECTORY/config.toml`".to_owned()
            }
            Kind::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "see that you may read the file and enter its directories".to_owned()
            }
            Kind::Unreadable(_) => "see that it is a file and its disk works".to_owned(),
            Kind::TooLarge(_) => "is this the right file? keypulse's own has a few lines per password".to_owned(),
            Kind::NotUtf8(..) => "save the file as UTF-8 in your editor".to_owned(),
            Kind::Problems(_) => "correct it".to_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        if let Kind::Problems(problems) = &self.kind {
            // One gutter for all, as wide as the largest line number.
            let gutter = problems.iter().map(|problem| problem.at.line.to_string().len()).max().unwrap_or(1);
            for (index, Problem { at, message, remedy }) in problems.iter().enumerate() {
                if index > 0 {
                    f.write_str("\n\n")?;
                }
                writeln!(f, "error: {message}")?;
                writeln!(f, "{:gutter$}--> {path}:{}:{}", "", at.line, at.column)?;
                writeln!(f, "{:gutter$} |", "")?;
                writeln!(f, "{:>gutter$} | {}", at.line, at.text)?;
                writeln!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(at.width), indent = at.offset)?;
                write!(f, "{:gutter$} = help: {remedy}", "")?;
            }
            return Ok(());
        }
        // As every other failure is told.
        write!(f, "keypulse: failed to read {path}")?;
        if let Kind::NotUtf8(line, column) = &self.kind {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}\nhint: {}", self.what(), self.remedy())
    }
}

/// The reason is in the message, so there is no source beside it.
impl error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind) -> ConfigError {
        ConfigError { path: "/c/config.toml".into(), kind }
    }

    #[test]
    fn problems_look_like_a_compilers() {
        let text = "[schedule]\nintervall = \"1h\"\njitter = \"x\"\n";
        let problems = vec![
            Problem::new(text, 11..20, "unknown key `intervall`", "did you mean `interval`?"),
            Problem::new(text, 37..40, "no percentage", "write it like \"20%\""),
        ];
        let error = error(Kind::Problems(problems));
        assert_eq!(
            error.to_string(),
            "error: unknown key `intervall`\n --> /c/config.toml:2:1\n  |\n2 | intervall = \"1h\"\n  | ^^^^^^^^^\n  \
             = help: did you mean `interval`?\n\nerror: no percentage\n --> /c/config.toml:3:10\n  |\n3 | jitter = \"x\"\n  \
             |          ^^^\n  = help: write it like \"20%\""
        );
        assert_eq!(
            error.summary(),
            "/c/config.toml:2:1: unknown key `intervall`; did you mean `interval`? (and 1 more)"
        );
    }

    #[track_caller]
    fn check(kind: Kind, message: &str, remedy: &str) {
        let error = error(kind);
        let (text, summary) = (error.to_string(), error.summary());
        for expected in [message, remedy, "/c/config.toml"] {
            assert!(text.contains(expected), "{text}");
            assert!(summary.contains(expected), "{summary}");
        }
        assert!(!summary.contains('\n'));
    }

    #[test]
    fn files_that_cannot_be_read_say_what_to_do() {
        check(Kind::Missing, "there is no configuration file", "`keypulse setup` makes one");
        check(Kind::TooLarge(1 << 20), "larger than 1024 KiB", "is this the right file?");
        check(Kind::NotUtf8(3, 7), "not UTF-8", "save the file as UTF-8");
        check(Kind::NotUtf8(3, 7), "/c/config.toml:3:7", "save the file as UTF-8");
        check(Kind::Unreadable(io::ErrorKind::PermissionDenied.into()), "permission denied", "you may read the file");
        check(Kind::Unreadable(io::ErrorKind::IsADirectory.into()), "is a directory", "name the file in it");
        check(Kind::Unreadable(io::ErrorKind::Other.into()), "cannot be read", "its disk works");
    }
}
