//! Commands that a program hands to a shell.
//!
//! Decides whether a shell is needed to run them. Pure; runs nothing.

/// The words of a command: as they stand where no shell is needed, else `sh -c` with the whole text. None for nothing.
pub(super) fn command(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(words(text).unwrap_or_else(|| vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()]))
}

/// Builtins and reserved words that no program of the same name stands in for (POSIX.1-2017, 2.4 and 2.14).
const SHELLS_OWN: [&str; 33] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "eval", "exec", "exit", "export",
    "fg", "for", "function", "hash", "if", "jobs", "read", "readonly", "return", "set", "shift", "source", "times",
    "trap", "umask", "unset", "until", "wait", "while",
];

/// The words, where they are plain: quotes and backslashes at most, nothing that a shell would replace.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' => match characters.next()? {
                            escaped @ ('$' | '`' | '"' | '\\') => word.push(escaped),
                            '\n' => {}
                            other => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => match characters.next()? {
                '\n' => {}
                escaped => word.get_or_insert_default().push(escaped),
            },
            '#' | '~' if word.is_none() => return None,
            '$' | '`' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '[' | ']' | '!' | '\n' => {
                return None;
            }
            // An assignment before the command, or before another.
            '=' if words.is_empty() => return None,
            // `dir=~/x`, `a:~/x`.
            '~' if word.as_deref().is_some_and(|word| word.ends_with(['=', ':'])) => return None,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    let program = words.first()?;
    (!program.is_empty() && !SHELLS_OWN.contains(&program.as_str())).then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(command(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn plain_words_need_no_shell() {
        check("pass show icloud", &["pass", "show", "icloud"]);
        check("  pass   show\ticloud ", &["pass", "show", "icloud"]);
        check("pass show 'Mail/i cloud'", &["pass", "show", "Mail/i cloud"]);
        check(r#"secret-tool lookup user "john \"x\"" a\ b"#, &["secret-tool", "lookup", "user", "john \"x\"", "a b"]);
        check("gpg --output=- -d /m.gpg", &["gpg", "--output=-", "-d", "/m.gpg"]);
        check("echo ''", &["echo", ""]);
        assert_eq!(command("  "), None);
    }

    #[test]
    fn everything_else_is_left_to_the_shell() {
        for text in [
            "pass show icloud | head -n1",
            "gpg -dq ~/.pw.gpg",
            "~/bin/pw icloud",
            "echo $PW",
            "cat \"$HOME/pw\"",
            "X=1 pass show icloud",
            "pass show 'icloud",
            "cat /pw*",
            "(pass)",
            "if true; then pass; fi",
            "exec pass",
            "pass \\",
            "env P=~/x pass",
        ] {
            check(text, &["sh", "-c", text]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// The real shell is the judge: whatever is taken apart here is the same words there.
        #[test]
        fn words_are_those_of_the_shell(text in "[a-c'\"\\\\ \t=~#:$-]{0,16}") {
            if let Some(words) = words(&format!("printf %s\\\\n {text}")) {
                let words = words.get(2..).unwrap_or_default().join("\n");
                let out = std::process::Command::new("sh").args(["-c", &format!("printf '%s\\n' {text}")]).output().unwrap();
                let said = String::from_utf8(out.stdout).unwrap();
                prop_assert_eq!(said.trim_end_matches('\n'), words.trim_end_matches('\n'));
            }
        }
    }
}
