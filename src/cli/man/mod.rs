//! `keypulse man`: the manual pages, out of the grammar itself and of the configuration's example.
//!
//! keypulse(1), a page for each command, and keypulse.toml(5). Decides which sections a page has.

mod roff;
mod toml;

use std::{fmt::Write as _, fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use self::roff::{ascii, escaped};
use super::{Cli, Exit, context::print};

/// `keypulse man`.
#[derive(Debug, Args)]
#[command(after_help = "Read it:     keypulse man | man -l -
Install it:  keypulse man --dir ~/.local/share/man   (man(1) finds it there)")]
pub struct ManArgs {
    /// Which page: a command, or keypulse.toml
    #[arg(value_name = "PAGE", conflicts_with = "dir", default_value = "keypulse")]
    page: String,
    /// Write all pages below this directory, in man1 and man5
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(arguments: &ManArgs) -> Result<u8, Exit> {
    let pages = pages().map_err(Exit::failed)?;
    if let Some(directory) = &arguments.dir {
        for page in &pages {
            let section = directory.join(format!("man{}", page.section));
            let path = section.join(page.file());
            let written = fs::create_dir_all(&section).and_then(|()| fs::write(&path, &page.text));
            written.map_err(|error| {
                Exit::because(format!("write {}: {error}", path.display()), "name a directory that you may write to")
            })?;
        }
        return print(&format!("{} pages in {}\n", pages.len(), directory.display())).map(|()| 0);
    }
    let wanted = &arguments.page;
    let found = pages.iter().find(|page| page.name == *wanted || page.name.strip_prefix("keypulse-") == Some(wanted));
    match found {
        Some(page) => print(&page.text).map(|()| 0),
        None => Err(Exit::misuse(format!("there is no page {wanted:?}"), listed(&pages))),
    }
}

fn listed(pages: &[Page]) -> String {
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    format!("there are: {}", names.join(", "))
}

/// One page.
struct Page {
    name: String,
    section: u8,
    text: String,
}

impl Page {
    fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// When this version was made: it changes with the version.
const DATE: &str = "2026-11-24";

/// All of them.
fn pages() -> io::Result<Vec<Page>> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    of_command(&root, "keypulse", &mut pages)?;
    let text = ascii(&toml::page(include_str!("../../../config.example.toml")));
    pages.push(Page { name: "keypulse.toml".to_owned(), section: 5, text });
    Ok(pages)
}

/// The page of a command, and those of its own commands.
fn of_command(command: &Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let subcommands = || command.get_subcommands().filter(|it| !it.is_hide_set());
    let mut text = Vec::new();
    let titled = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .date(DATE)
        .source(format!("keypulse {}", env!("CARGO_PKG_VERSION")))
        .manual("keypulse");
    titled.render_title(&mut text)?;
    titled.render_name_section(&mut text)?;
    titled.render_synopsis_section(&mut text)?;
    titled.render_description_section(&mut text)?;
    titled.render_options_section(&mut text)?;
    // Breaks beside an empty line, which breaks by itself: mandoc(1) warns of them.
    let text = String::from_utf8_lossy(&text);
    let mut text = text.replace(".br\n\n.br\n", ".sp\n");
    if subcommands().next().is_some() {
        text.push_str(".SH COMMANDS\n");
        for subcommand in subcommands() {
            let page = format!("{name}-{}", subcommand.get_name());
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, ".TP\n\\fB{}\\fR(1)\n{}", escaped(&page), escaped(&about));
        }
    }
    if let Some(notes) = command.get_after_help() {
        text.push_str(".SH NOTES\n.nf\n");
        for line in notes.to_string().lines() {
            text.push_str(&escaped(line));
            text.push('\n');
        }
        text.push_str(".fi\n");
    }
    text.push_str(if name == "keypulse" { AROUND } else { SEE_ALSO });
    pages.push(Page { name: name.to_owned(), section: 1, text: ascii(&text) });
    for subcommand in subcommands() {
        of_command(subcommand, &format!("{name}-{}", subcommand.get_name()), pages)?;
    }
    Ok(())
}

const SEE_ALSO: &str = ".SH SEE ALSO\n\\fBkeypulse\\fR(1), \\fBkeypulse.toml\\fR(5)\n";

/// What belongs to the program as a whole.
const AROUND: &str = r".SH FILES
.TP
.I $XDG_CONFIG_HOME/keypulse/config.toml
The configuration (\(ti/.config without the variable); \fBkeypulse.toml\fR(5).
.TP
.I $XDG_STATE_HOME/keypulse/
What is remembered (\(ti/.local/state without the variable). No password is in it.
.TP
.I $XDG_RUNTIME_DIR/keypulse/keypulse.sock
The socket of the daemon: HTTP, for you alone.
.SH ENVIRONMENT
.TP
.B KEYPULSE_CONFIG\fR, \fBKEYPULSE_STATE_DIR\fR, \fBKEYPULSE_SOCKET
Other places for these.
.TP
.B KEYPULSE_LOG
What the daemon logs: a filter such as \fBinfo\fR or \fBkeypulse=debug\fR.
.TP
.B NO_COLOR
No colours, if it is set to anything.
.SH SEE ALSO
\fBkeypulse.toml\fR(5)
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_the_configuration_too() {
        let pages = pages().unwrap();
        let mut files: Vec<String> = pages.iter().map(Page::file).collect();
        for file in ["keypulse.1", "keypulse-status.1", "keypulse-config-check.1", "keypulse.toml.5"] {
            assert!(files.iter().any(|it| it == file), "{file} is not in {files:?}");
        }
        let root = Cli::command();
        for command in root.get_subcommands() {
            let file = format!("keypulse-{}.1", command.get_name());
            assert!(files.contains(&file), "{file}");
        }
        files.sort();
        files.dedup();
        assert_eq!(files.len(), pages.len());
        assert!(pages.iter().all(|page| page.text.is_ascii()), "other letters are escaped");
    }
}
