//! Python expressions that run a command and nothing else.
//!
//! Understands `subprocess.check_output(["pass", "show", "x"])`, `subprocess.check_output("…", shell=True)`, `getoutput("…")` and
//! `os.popen("…").read()`, with what people put behind them to take the line end off. Everything else is unknown. Runs nothing.

use super::shell;

/// The command, if that is all the expression does.
pub(super) fn command(code: &str) -> Option<Vec<String>> {
    let mut rest = Rest(code.trim());
    // `__import__('subprocess').check_output(…)` and every way of naming the module.
    let modules =
        ["__import__('subprocess').", "__import__(\"subprocess\").", "subprocess.", "__import__('os').", "os."];
    if let Some(after) = modules.iter().find_map(|module| rest.0.strip_prefix(module)) {
        rest = Rest(after);
    }
    let (name, after) = rest.0.split_once('(')?;
    rest = Rest(after);
    let words = match name.trim() {
        "check_output" => {
            let words = rest.argument()?;
            let mut in_shell = false;
            while rest.sign(",") {
                let Some(after) = ["shell", "text", "universal_newlines", "encoding", "stderr"]
                    .iter()
                    .find_map(|key| rest.trimmed().strip_prefix(key).map(|after| (*key, after)))
                else {
                    break;
                };
                let (key, after) = after;
                rest = Rest(after);
                if !rest.sign("=") {
                    return None;
                }
                let value: String = rest.trimmed().chars().take_while(|c| !matches!(c, ',' | ')')).collect();
                in_shell |= key == "shell" && value.trim() == "True";
                rest = Rest(rest.trimmed().get(value.len()..)?);
            }
            match words {
                Argument::Text(text) if in_shell => shell::command(&text)?,
                // Without a shell, a text is the program's name.
                Argument::Text(program) => vec![program],
                Argument::List(words) if !in_shell => words,
                Argument::List(_) => return None,
            }
        }
        "getoutput" | "popen" => match rest.argument()? {
            Argument::Text(text) => shell::command(&text)?,
            Argument::List(_) => return None,
        },
        _ => return None,
    };
    (rest.sign(")") && only_trims(rest.trimmed()) && words.first().is_some_and(|word| !word.is_empty()))
        .then_some(words)
}

enum Argument {
    Text(String),
    List(Vec<String>),
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn trimmed(&self) -> &'a str {
        self.0.trim_start()
    }

    fn sign(&mut self, sign: &str) -> bool {
        let after = self.trimmed().strip_prefix(sign);
        self.0 = after.unwrap_or(self.0);
        after.is_some()
    }

    fn argument(&mut self) -> Option<Argument> {
        if !self.sign("[") {
            return self.text().map(Argument::Text);
        }
        let mut words = Vec::new();
        loop {
            if self.sign("]") {
                return Some(Argument::List(words));
            }
            words.push(self.text()?);
            if !self.sign(",") && !self.trimmed().starts_with(']') {
                return None;
            }
        }
    }

    /// A string literal without a prefix; of escapes only those of quotes and backslash.
    fn text(&mut self) -> Option<String> {
        let text = self.trimmed();
        let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut value = String::new();
        let mut characters = text.char_indices().skip(1);
        loop {
            match characters.next()? {
                (at, c) if c == quote => {
                    self.0 = text.get(at + 1..)?;
                    // `"a" "b"` and `"a" % b` are more than a literal.
                    return (!self.trimmed().starts_with(['"', '\'', '%', '+', '.'])).then_some(value);
                }
                (_, '\\') => match characters.next()? {
                    (_, c @ ('\\' | '"' | '\'')) => value.push(c),
                    (_, _) => return None,
                },
                (_, '\n') => return None,
                (_, c) => value.push(c),
            }
        }
    }
}

/// Whether what stands behind a call only makes text of it and takes the first line or the line end.
fn only_trims(mut text: &str) -> bool {
    const KNOWN: [&str; 20] = [
        ".decode()",
        ".decode('utf-8')",
        ".decode(\"utf-8\")",
        ".decode('utf8')",
        ".decode(\"utf8\")",
        ".decode('ascii')",
        ".strip()",
        ".rstrip()",
        ".strip('\\n')",
        ".strip(\"\\n\")",
        ".rstrip('\\n')",
        ".rstrip(\"\\n\")",
        ".splitlines()",
        ".read()",
        ".readline()",
        ".split('\\n')",
        ".split(\"\\n\")",
        ".split()",
        "[0]",
        "[:-1]",
    ];
    while let Some(rest) = KNOWN.iter().find_map(|known| text.strip_prefix(known)) {
        text = rest.trim_start();
    }
    text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        assert_eq!(command(code).as_deref(), Some(expected.map_owned()).as_deref(), "{code}");
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }
    impl MapOwned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }

    #[test]
    fn a_call_that_runs_a_command_is_understood() {
        let pass = ["pass", "show", "x"];
        check("subprocess.check_output(['pass', 'show', 'x'])", &pass);
        check("__import__('subprocess').check_output([\"pass\", \"show\", \"x\",]).decode().strip()", &pass);
        check("check_output(\"pass show x\", shell=True, text=True).splitlines()[0]", &pass);
        check("check_output('pass show x | head -n1', shell = True)[:-1]", &["sh", "-c", "pass show x | head -n1"]);
        check("subprocess.getoutput('pass show x')", &pass);
        check("os.popen(\"pass show x\").read().strip()", &pass);
        check("subprocess.check_output('/bin/pw')", &["/bin/pw"]);
    }

    #[test]
    fn everything_else_is_not() {
        for code in [
            "get_pass('icloud')",
            "subprocess.check_output(['pass', name])",
            "subprocess.check_output(['pass', 'show', 'x']).split()[3]",
            "subprocess.check_output('pass show %s' % x, shell=True)",
            "subprocess.check_output(['pass'], shell=True)",
            "subprocess.check_output(['pass'], cwd='/')",
            "subprocess.check_output([])",
            "open('/x').read()",
            "check_output(",
            "",
        ] {
            assert_eq!(command(code), None, "{code}");
        }
    }
}
