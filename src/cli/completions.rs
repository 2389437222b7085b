//! `keypulse completions`: what a shell reads to complete keypulse's commands and options, out of the grammar itself.
//!
//! Names of passwords and addresses of accounts are asked of `keypulse list` while a person types; which words of which
//! command are such, the grammar says by what it calls them.

use std::fmt::Write as _;

use clap::{Args, Command, CommandFactory as _, ValueEnum, ValueHint};
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
    let script = match arguments.shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    };
    print(&script).map(|()| 0)
}

fn generated(shell: clap_complete::Shell, mut command: Command) -> String {
    let mut script = Vec::new();
    generate(shell, &mut command, "keypulse", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What `keypulse list` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Names,
    Addresses,
    Both,
}

impl Known {
    const ALL: [Self; 3] = [Self::Names, Self::Addresses, Self::Both];

    /// By what the grammar calls a word.
    fn called(value_name: &str) -> Option<Self> {
        match value_name {
            "NAME" => Some(Self::Names),
            "ADDRESS" => Some(Self::Addresses),
            "NAME/ADDRESS" => Some(Self::Both),
            _ => None,
        }
    }

    const fn asked_with(self) -> &'static [&'static str] {
        match self {
            Self::Names => &["--names"],
            Self::Addresses => &["--addresses"],
            Self::Both => &["--names", "--addresses"],
        }
    }
}

/// A word of a command that is a name or an address.
struct Place {
    command: String,
    /// The argument's id.
    id: String,
    /// The option before it, with its dashes; none where it stands for itself.
    option: Option<String>,
    known: Known,
}

/// Every place where such a word belongs. What `add` calls a name is a new one.
fn places() -> Vec<Place> {
    let root = Cli::command();
    let of = |command: &Command| -> Vec<Place> {
        let places = command.get_arguments().filter_map(|argument| {
            let known = Known::called(argument.get_value_names()?.first()?)?;
            let option = argument.get_long().map(|long| format!("--{long}"));
            let new = command.get_name() == "add" && option.is_none();
            let (command, id) = (command.get_name().to_owned(), argument.get_id().to_string());
            (!new).then_some(Place { command, id, option, known })
        });
        places.collect()
    };
    root.get_subcommands().flat_map(of).collect()
}

/// The generated function, and one around it that adds the words.
fn bash() -> String {
    let generated = generated(clap_complete::Shell::Bash, Cli::command());
    let mut cases = String::new();
    for Place { command, option, known, .. } in places() {
        let asked: Vec<String> = known.asked_with().iter().map(|what| format!("$(_keypulse_list {what})")).collect();
        let _ = writeln!(
            cases,
            "        {command},{}) known=\"{}\" ;;",
            option.as_deref().unwrap_or_default(),
            asked.join(" ")
        );
    }
    let with_values: Vec<String> = with_values(&Cli::command()).iter().map(|option| format!("*,{option}")).collect();
    let wrapper = format!(
        r#"
_keypulse_list() {{
    keypulse list "$1" ${{config:+--config "$config"}} 2>/dev/null
}}

_keypulse_with_names() {{
    _keypulse "$@"
    # Words as people see them: bash's own are broken at @, = and : too.
    local line="${{COMP_LINE:0:COMP_POINT}}" words word command="" config="" before="" known="" kept
    read -a words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    for word in "${{words[@]:1:COMP_CWORD > 0 ? ${{#words[@]}} - 2 : 0}}"; do
        case "$before,$word" in
            --config,*) config="$word" before="" ;;
            --*,*) before="" ;;
            *,--config=*) config="${{word#*=}}" ;;
            {with_values}) before="$word" ;;
            *,-*) ;;
            *) [[ -z "$command" ]] && command="$word" ;;
        esac
    done
    word="${{words[${{#words[@]}} - 1]}}"
    [[ "$word" == --*=* ]] && before="${{word%%=*}}" word="${{word#*=}}"
    [[ "$word" == -* ]] && return
    case "$command,$before" in
{cases}        *) return ;;
    esac
    word="${{word#[\"\']}}"
    # Bash completes the part that is "$2": what stands before it stays as it is.
    kept="${{word%"$2"}}"
    for word in $(compgen -W "$known" -- "$word"); do
        COMPREPLY+=("${{word#"$kept"}}")
    done
}}
"#,
        with_values = with_values.join("|")
    );
    let (functions, registered) = generated.split_at(generated.rfind("\nif [[").unwrap_or(generated.len()));
    [functions, &wrapper, &registered.replace("-F _keypulse ", "-F _keypulse_with_names ")].concat()
}

/// Every option that is followed by a value.
fn with_values(command: &Command) -> Vec<String> {
    let mut options: Vec<String> = command
        .get_arguments()
        .filter(|argument| argument.get_action().takes_values())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
        .chain(command.get_subcommands().flat_map(with_values))
        .collect();
    options.sort();
    options.dedup();
    options
}

/// zsh takes from the grammar what kind of word a value is. Kinds that keypulse has none of stand for its own words.
fn zsh() -> String {
    const STANDING_IN: [(ValueHint, &str, &str); 3] = [
        (ValueHint::Username, "_users", "_keypulse_names"),
        (ValueHint::EmailAddress, "_email_addresses", "_keypulse_addresses"),
        (ValueHint::Hostname, "_hosts", "_keypulse_both"),
    ];
    let hint = |known: Known| Known::ALL.iter().zip(STANDING_IN).find(|(it, _)| **it == known).map(|(_, it)| it);
    let mut command = Cli::command();
    for Place { command: name, id, known, .. } in places() {
        let Some((hint, ..)) = hint(known) else { continue };
        command = command.mut_subcommand(name, |it| it.mut_arg(id, |argument| argument.value_hint(hint)));
    }
    let mut script = generated(clap_complete::Shell::Zsh, command);
    let mut functions = String::new();
    for (known, (_, theirs, ours)) in Known::ALL.iter().zip(STANDING_IN) {
        script = script.replace(&format!(":{theirs}'"), &format!(":{ours}'"));
        let _ = writeln!(
            functions,
            r#"
{ours}() {{
    local -a config known typed=(${{(z)BUFFER}})
    local at=${{typed[(I)--config]}}
    (( at )) && config=(--config ${{(Q)typed[at + 1]}})
    known=(${{(f)"$(for what in {}; do keypulse list $what $config 2>/dev/null; done)"}})
    compadd "$@" -a known
}}"#,
            known.asked_with().join(" ")
        );
    }
    let end = script.rfind("\nif [ \"$funcstack[1]\"").unwrap_or(script.len());
    script.insert_str(end, &functions);
    script
}

fn fish() -> String {
    let mut script = generated(clap_complete::Shell::Fish, Cli::command());
    script.push_str(
        r"
function __fish_keypulse_list
    set -l what $argv
    set -l config
    argparse --ignore-unknown 'config=' -- (commandline -opc) 2>/dev/null
    and set -q _flag_config
    and set config --config $_flag_config
    for each in $what
        keypulse list $each $config 2>/dev/null
    end
end
",
    );
    for Place { command, option, known, .. } in places() {
        let option = option.map(|option| format!("-l {} -r ", option.trim_start_matches('-'))).unwrap_or_default();
        let asked = known.asked_with().join(" ");
        let _ = writeln!(
            script,
            "complete -c keypulse -n \"__fish_keypulse_using_subcommand {command}\" {option}-f -a \"(__fish_keypulse_list {asked})\""
        );
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_says_which_words_are_names() {
        let told: Vec<String> = places()
            .iter()
            .map(|it| format!("{} {}{:?}", it.command, it.option.as_deref().unwrap_or_default(), it.known))
            .collect();
        assert_eq!(
            told,
            [
                "status Names",
                "check Names",
                "ok Names",
                "explain Both",
                "history Names",
                "add --accountAddresses",
                "replace Names",
                "replace --accountAddresses",
                "remove Names",
                "snooze Both",
                "unsnooze Both",
            ]
        );
    }
}
