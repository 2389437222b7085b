//! What the other programs of a system read: completions and manual pages. And the manners of every command.

use std::fs;

use keypulse::health::evidence::Service;

use crate::lab::{ICloud, Keypulse, Output, Settings, clean, run};

const ADDRESS: &str = "johnappleseed@icloud.com";

/// Every command and what is under it, as the help lists them.
fn commands(keypulse: &Keypulse, path: &[&str]) -> Vec<Vec<String>> {
    let help = keypulse.command(&[path, &["--help"]].concat());
    assert_eq!(help.code, 0, "{help:?}");
    let mut all = vec![path.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
    let listed = help.stdout.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // A name stands two columns in; what is further in goes on with a description.
        let name =
            line.strip_prefix("  ").filter(|name| !name.starts_with(' ')).and_then(|name| name.split(' ').next());
        let Some(name) = name else { continue };
        all.extend(commands(keypulse, &[path, &[name]].concat()));
    }
    all
}

#[test]
fn completions_are_understood_by_their_shells() {
    let keypulse = Keypulse::new();
    for (shell, arguments) in [("bash", vec!["-n"]), ("zsh", vec!["-n"]), ("fish", vec!["--no-execute"])] {
        let script = keypulse.command(&["completions", shell]);
        assert_eq!((script.code, &*script.stderr), (0, ""), "{script:?}");
        let file = keypulse.home().join(format!("completions.{shell}"));
        fs::write(&file, &script.stdout).unwrap();
        let checked = run(clean(shell).args(arguments).arg(&file), "");
        assert_eq!((checked.code, &*checked.stderr), (0, ""), "{checked:?}");
    }
    let unknown = keypulse.command(&["completions", "tcsh"]);
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.stderr.contains("bash, zsh, fish"), "{unknown:?}");
}

/// The names of this person's configuration, too.
#[test]
fn commands_options_and_names_are_completed() {
    let keypulse = person();
    for shell in ["bash", "fish"] {
        fs::write(keypulse.home().join(shell), keypulse.command(&["completions", shell]).ok() + "\n").unwrap();
        let check = |line: &str, expected: &[&str]| assert_eq!(completed(&keypulse, shell, line), expected, "{line}");
        check("keypulse sta", &["status"]);
        check("keypulse status --format way", &["waybar"]);
        check("keypulse status th", &["the-nas", "thunderbird"]);
        check("keypulse check the-nas thu", &["thunderbird"]);
        check("keypulse ok --strict the", &["the-nas"]);
        check("keypulse explain j", &["jane@me.com", ADDRESS]);
        if shell == "fish" {
            check("keypulse explain jane@m", &["jane@me.com"]);
        }
        check("keypulse replace --account jane", &["jane@me.com"]);
        check("keypulse --config other.toml status els", &["elsewhere"]);
        check("keypulse status --config other.toml els", &["elsewhere"]);
        // A new name is nobody's.
        check("keypulse add thunder", &[]);
        check("keypulse snooze --for thunder", &[]);
    }
    assert_eq!(completed(&keypulse, "bash", "keypulse replace --account=jane"), ["jane@me.com"]);
    // Without a configuration there is nothing to offer, and nothing is said.
    fs::remove_file(keypulse.config_file()).unwrap();
    assert_eq!(completed(&keypulse, "bash", "keypulse ok th"), Vec::<String>::new());
}

/// What a shell offers for a line, sorted.
#[track_caller]
fn completed(keypulse: &Keypulse, shell: &str, line: &str) -> Vec<String> {
    // What bash's readline does: words that break at `=`, and the function that is registered.
    let script = r#"
        source ./bash
        COMP_LINE=$LINE; COMP_POINT=${#LINE}
        COMP_WORDS=(${LINE//=/ = }); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        function=$(complete -p keypulse | sed 's/.*-F \([^ ]*\).*/\1/')
        $function keypulse "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut command = keypulse.other(shell);
    command.args(["-c", if shell == "bash" { script } else { "source ./fish; complete -C $LINE" }]).env("LINE", line);
    let output = run(&mut command, "");
    assert_eq!((output.code, &*output.stderr), (0, ""), "{line}: {output:?}");
    let words = output.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
    let mut words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    words.sort();
    words
}

/// What a shell makes of these lines at its prompt, each with the tabulator key at its end.
#[track_caller]
fn at_the_prompt(keypulse: &Keypulse, shell: &str, setup: &str, lines: &[(&str, &str)]) {
    fs::write(keypulse.home().join("completions"), keypulse.command(&["completions", shell]).ok() + "\n").unwrap();
    fs::write(keypulse.home().join("setup"), setup).unwrap();
    let typed: Vec<String> = lines.iter().map(|(line, _)| format!("{line}\t\u{2}")).collect();
    let keys = format!("source ./setup\n{}exit\n", typed.concat());
    let interactive = if shell == "zsh" { "zsh -f -i" } else { "bash --norc --noprofile -i" };
    let mut command = keypulse.other("script");
    let output = run(command.args(["--quiet", "--return", "--command", interactive, "/dev/null"]), keys);
    let completed = fs::read_to_string(keypulse.home().join("typed")).unwrap_or_else(|_| panic!("{output:?}"));
    let expected: Vec<&str> = lines.iter().map(|(_, completed)| *completed).collect();
    assert_eq!(completed.lines().collect::<Vec<_>>(), expected, "{output:?}");
}

/// Two accounts, two passwords, and another configuration.
fn person() -> Keypulse {
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("any", "abcd-efgh-ijkl-mnop");
    let settings = Settings::default().account(ADDRESS).credential_file("thunderbird", &secret);
    keypulse.configure(&settings.credential_file("the-nas", &secret).account("jane@me.com"));
    let other = Settings::default().account(ADDRESS).credential_file("elsewhere", &secret);
    fs::write(keypulse.home().join("other.toml"), other.to_toml()).unwrap();
    keypulse
}

#[test]
fn bash_completes_addresses_past_their_at_sign() {
    const SETUP: &str = "PS1=
        source ./completions
        keep() { printf '%s\\n' \"$READLINE_LINE\" >>typed; READLINE_LINE=; }
        bind -x '\"\\C-b\": keep'\n";
    let lines = [
        ("keypulse sta", "keypulse status "),
        ("keypulse explain ja", "keypulse explain jane@me.com "),
        ("keypulse explain jane@", "keypulse explain jane@me.com "),
        ("keypulse snooze jane@m", "keypulse snooze jane@me.com "),
        ("keypulse replace --account jane@m", "keypulse replace --account jane@me.com "),
        ("keypulse replace --account=jane@m", "keypulse replace --account=jane@me.com "),
        ("keypulse add new --account \"jane@m", "keypulse add new --account \"jane@me.com\" "),
        // Nobody's address, and nobody's machine.
        ("keypulse explain june@m", "keypulse explain june@m"),
        // A word that holds what breaks words is one word.
        ("keypulse --config=./other.toml ok el", "keypulse --config=./other.toml ok elsewhere "),
        ("keypulse --config no@where:1 ok el", "keypulse --config no@where:1 ok el"),
        ("keypulse replace --account jane@me.com the", "keypulse replace --account jane@me.com the-nas "),
    ];
    at_the_prompt(&person(), "bash", SETUP, &lines);
}

/// zsh completes at a prompt only.
#[test]
fn zsh_completes_at_its_prompt() {
    const SETUP: &str = "PS1=
        autoload -U compinit; compinit -u -D
        source ./completions; compdef _keypulse keypulse
        keep() { print -r -- \"$BUFFER\" >> typed; BUFFER= }
        zle -N keep; bindkey '^B' keep\n";
    let lines = [
        ("keypulse sta", "keypulse status "),
        ("keypulse ok the-", "keypulse ok the-nas "),
        ("keypulse check the-nas thu", "keypulse check the-nas thunderbird "),
        ("keypulse explain ja", "keypulse explain jane@me.com "),
        ("keypulse explain jane@m", "keypulse explain jane@me.com "),
        ("keypulse replace --account ja", "keypulse replace --account jane@me.com "),
        ("keypulse --config other.toml ok el", "keypulse --config other.toml ok elsewhere "),
        ("keypulse add thu", "keypulse add thu"),
    ];
    at_the_prompt(&person(), "zsh", SETUP, &lines);
}

#[test]
fn manual_pages_are_sound_and_complete() {
    let keypulse = Keypulse::new();
    let written = keypulse.command(&["man", "--dir", "man"]);
    assert_eq!((written.code, &*written.stderr), (0, ""), "{written:?}");
    let pages = |section: &str| -> Vec<String> {
        let entries = fs::read_dir(keypulse.home().join("man").join(section)).unwrap();
        let mut pages: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        pages.sort();
        pages
    };
    let mut expected: Vec<String> = commands(&keypulse, &[])
        .iter()
        .map(|path| ["keypulse".to_owned()].iter().chain(path).cloned().collect::<Vec<_>>().join("-") + ".1")
        .collect();
    expected.sort();
    assert_eq!(pages("man1"), expected);
    assert_eq!(pages("man5"), ["keypulse.toml.5"]);
    let all = pages("man1").into_iter().map(|page| format!("man1/{page}")).chain(["man5/keypulse.toml.5".to_owned()]);
    for page in all {
        let path = keypulse.home().join("man").join(&page);
        let troff = run(clean("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path), "");
        assert_eq!((troff.code, &*troff.stderr), (0, ""), "{page}: {troff:?}");
        let lint = run(clean("mandoc").args(["-Tlint", "-Wwarning"]).arg(&path), "");
        assert_eq!((lint.code, &*lint.stdout), (0, ""), "{page}: {lint:?}");
        let shown = run(clean("man").args(["--warnings", "-P", "cat", "-l"]).arg(&path).env("MANWIDTH", "80"), "");
        assert_eq!((shown.code, &*shown.stderr), (0, ""), "{page}: {shown:?}");
        assert!(shown.stdout.contains("NAME\n") && shown.stdout.contains("SYNOPSIS\n"), "{page}: {}", shown.stdout);
    }
    // By name, as bash users read it: `man -M`.
    let manual = keypulse.home().join("man");
    let found = run(clean("man").args(["-P", "cat", "-M"]).arg(&manual).args(["5", "keypulse.toml"]), "");
    assert!(found.stdout.contains("outage_hold"), "{found:?}");
    let page = keypulse.command(&["man", "status"]);
    assert!(page.stdout.starts_with(".ie") && page.stdout.contains("\n.TH KEYPULSE-STATUS 1"), "{page:?}");
    let unknown = keypulse.command(&["man", "stats"]);
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.stderr.contains("hint: there are: keypulse, "), "{unknown:?}");
}

#[test]
fn a_typing_error_gets_a_suggestion() {
    #[track_caller]
    fn check(output: &Output, text: &str) {
        assert_eq!((output.code, &*output.stdout), (64, ""), "{output:?}");
        assert!(output.stderr.contains(text), "{text:?} is not in {output:?}");
    }
    let keypulse = Keypulse::new();
    check(&keypulse.command(&["stauts"]), "'status'");
    check(&keypulse.command(&["status", "--formt", "json"]), "'--format'");
    check(&keypulse.command(&["status", "--format", "wayber"]), "'waybar'");
    check(&keypulse.command(&["config", "chekc"]), "'check'");
}

/// "failed to …: why", and what to do about it on a line of its own; for wrong usage as the grammar says it.
#[test]
fn every_failure_says_why_and_what_to_do() {
    let new = Keypulse::new();
    let settled =
        Keypulse::with(&Settings::default().account(ADDRESS).credential_file("nas", "/no/such/file".as_ref()));
    let with_nothing: [&[&str]; 12] = [
        &["status"],
        &["check"],
        &["list"],
        &["explain"],
        &["history"],
        &["events"],
        &["replace"],
        &["remove", "nas"],
        &["snooze", "nas"],
        &["resume"],
        &["run"],
        &["service", "start"],
    ];
    let wrong: [&[&str]; 9] = [
        &["add", "mutt", "--account", ADDRESS, "--secret-file", "/no/such/file"],
        &["add", "mutt", "--account", ADDRESS],
        &["add", "nas", "--account", "jane@me.com", "--stdin"],
        &["discover", "--home", "/no/such/directory"],
        &["setup"],
        &["man", "stats"],
        &["man", "--dir", "/proc/1/man"],
        &["status", "--watch"],
        &["status", "--config", "/"],
    ];
    let failures = with_nothing.iter().map(|it| (&new, *it)).chain(wrong.iter().map(|it| (&settled, *it)));
    for (keypulse, arguments) in failures {
        let output = keypulse.command(arguments);
        assert_ne!(output.code, 0, "{arguments:?}: {output:?}");
        let mut lines = output.stderr.lines();
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("keypulse: "), "{arguments:?}: {output:?}");
        assert!(lines.any(|line| line.starts_with("hint: ")), "{arguments:?}: {output:?}");
        let usage = output.code == 64;
        assert!(usage || first.starts_with("keypulse: failed to "), "{arguments:?}: {output:?}");
    }
}

/// Without a terminal, whose width it would take.
#[test]
fn every_help_fits_a_hundred_columns() {
    let keypulse = Keypulse::new();
    for path in commands(&keypulse, &[]) {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = keypulse.command(&words);
        assert_eq!(help.code, 0, "{help:?}");
        let wide: Vec<&str> = help.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty(), "{path:?}: {wide:#?}");
    }
}

#[test]
fn tables_fit_80_columns_and_say_the_same_without_colours() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let long = "a-name-as-long-as-names-may-be-0123456789-0123456789-0123456789-";
    assert_eq!(long.len(), 64);
    let secret = keypulse.secret("long", &icloud.world.new_password(ADDRESS));
    let lines = |app: &str| format!("app = {app:?}\nsecret.file = {:?}", secret.to_str().unwrap());
    let settings = Settings::for_icloud(&icloud).account(ADDRESS);
    let settings = settings.credential(long, &lines("A program with a name that does not end so soon, 郵便"));
    keypulse.configure(&settings.credential("mutt", "secret.file = \"/no/such/file\""));
    assert_eq!(keypulse.command(&["check"]).code, 1);
    icloud.world.set_fault(Service::Imap, None);
    // For `discover` a program with paths of its own.
    fs::write(keypulse.home().join(".msmtprc"), "account a\nhost smtp.mail.me.com\nuser john@icloud.com\npassword x\n")
        .unwrap();
    let tables: [&[&str]; 9] = [
        &["status"],
        &["doctor"],
        &["report"],
        &["config", "show"],
        &["list"],
        &["explain"],
        &["history"],
        &["discover"],
        &["service", "status"],
    ];
    for arguments in tables {
        let plain = keypulse.command(arguments);
        let unbreakable = |line: &str| line.split_whitespace().any(|word| word.chars().count() > 60);
        for line in plain.stdout.lines() {
            assert!(columns(line) <= 80 || unbreakable(line), "{arguments:?}: {line:?}\n{}", plain.stdout);
        }
        assert!(!plain.stdout.contains('\u{1b}'), "{plain:?}");
        let coloured = run(keypulse.program().args(arguments).env("CLICOLOR_FORCE", "1"), "");
        let never = run(keypulse.program().args(arguments).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"), "");
        assert!(!never.stdout.contains('\u{1b}'), "NO_COLOR wins: {never:?}");
        let has_colours = !matches!(arguments, ["report"] | ["config", "show"] | ["service", ..]);
        assert_eq!(coloured.stdout.contains('\u{1b}'), has_colours, "{coloured:?}");
        assert_eq!(coloured.code, plain.code);
    }
}

/// Wide letters take two.
fn columns(line: &str) -> usize {
    line.chars()
        .map(|c| if ('\u{1100}'..='\u{ffef}').contains(&c) && !('\u{2000}'..='\u{2fff}').contains(&c) { 2 } else { 1 })
        .sum()
}
