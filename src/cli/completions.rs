//! `keypulse completions`: what a shell reads to complete keypulse's commands and options, out of the grammar itself.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::generate;

use super::{Cli, Exit, context::print};

/// `keypulse completions`.
#[derive(Debug, Args)]
#[command(after_help = "Where shells look for it:
  bash  ~/.local/share/bash-completion/completions/keypulse
  zsh   _keypulse in a directory of $fpath
  fish  ~/.config/fish/completions/keypulse.fish")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells that keypulse is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn completions(arguments: &CompletionsArgs) -> Result<u8, Exit> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "keypulse", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| 0)
}
