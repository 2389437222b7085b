//! keypulse.toml(5), out of `config.example.toml`: that file says every key once, with its default and its reason, and a test
//! holds it to the code.
//!
//! Decides how its paragraphs become sections. A paragraph is lines of comment up to an empty one: text first, then the
//! tables and keys it is about.

use super::{DATE, roff::escaped};

/// The whole page.
pub(super) fn page(example: &str) -> String {
    let mut page = format!(
        ".TH KEYPULSE.TOML 5 {DATE} \"keypulse {}\" \"keypulse\"\n.SH NAME\nkeypulse.toml \\- the configuration of keypulse\n\
         .SH SYNOPSIS\n.I $XDG_CONFIG_HOME/keypulse/config.toml\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut described = false;
    for paragraph in example.split("\n\n").flat_map(|block| block.split("\n#\n")).map(Paragraph::of) {
        if !described && !paragraph.code.is_empty() {
            page.push_str(".SH TABLES AND KEYS\nEach key is shown at its default.\n");
            described = true;
        }
        paragraph.write(&mut page);
    }
    page.push_str(".SH SEE ALSO\n\\fBkeypulse\\fR(1), \\fBkeypulse\\-config\\-check\\fR(1)\n");
    page
}

struct Paragraph<'a> {
    text: Vec<&'a str>,
    code: Vec<&'a str>,
}

impl<'a> Paragraph<'a> {
    fn of(lines: &'a str) -> Self {
        let bare =
            lines.lines().filter_map(|line| line.strip_prefix('#')).map(str::trim).filter(|line| !line.is_empty());
        let (code, text) = bare.partition(|line| is_code(line));
        Self { text, code }
    }

    fn write(&self, page: &mut String) {
        let text = |page: &mut String| {
            for line in &self.text {
                page.push_str(&escaped(line));
                page.push('\n');
            }
        };
        match self.code.as_slice() {
            [] if self.text.is_empty() => {}
            [] => {
                // A section begins a paragraph by itself.
                if !page.ends_with(".SH DESCRIPTION\n") {
                    page.push_str(".PP\n");
                }
                text(page);
            }
            [table] if is_table(table) => {
                page.push_str(".SS ");
                page.push_str(&escaped(table));
                page.push('\n');
                text(page);
            }
            [table, ..] if is_table(table) => {
                page.push_str(".PP\n");
                text(page);
                page.push_str(".PP\n.RS 4\n.nf\n");
                for line in &self.code {
                    page.push_str(&escaped(line));
                    page.push('\n');
                }
                page.push_str(".fi\n.RE\n");
            }
            keys => {
                page.push_str(".TP\n");
                let keys: Vec<String> = keys.iter().map(|key| format!("\\fB{}\\fR\n", escaped(key))).collect();
                page.push_str(&keys.join(".TQ\n"));
                text(page);
                if self.text.is_empty() {
                    page.push_str("As above.\n");
                }
            }
        }
    }
}

fn is_table(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

/// A table, or a key with its value.
fn is_code(line: &str) -> bool {
    let key = line.split_once(" = ").map(|(key, _)| key);
    let in_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    is_table(line) || key.is_some_and(|key| !key.is_empty() && key.chars().all(in_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "\
# keypulse: every key.
#
# Durations are numbers with units.


# [schedule]

# How often. At least 5m.
# interval = \"1h\"

# A program. Not set: none.
# [notify.hook]

# [smtp]

# host = \"smtp\"
# port = 587


# Another place.
# [[account.credential]]
# name = \"mutt\"
";

    #[test]
    fn paragraphs_become_sections_and_keys() {
        let page = page(EXAMPLE);
        let body = page.split_once(".SH DESCRIPTION\n").unwrap().1.split_once(".SH SEE ALSO").unwrap().0;
        let expected = "\
keypulse: every key.
.PP
Durations are numbers with units.
.SH TABLES AND KEYS
Each key is shown at its default.
.SS [schedule]
.TP
\\fBinterval = \"1h\"\\fR
How often. At least 5m.
.SS [notify.hook]
A program. Not set: none.
.SS [smtp]
.TP
\\fBhost = \"smtp\"\\fR
.TQ
\\fBport = 587\\fR
As above.
.PP
Another place.
.PP
.RS 4
.nf
[[account.credential]]
name = \"mutt\"
.fi
.RE
";
        assert_eq!(body, expected, "\n--- shown:\n{body}");
    }

    #[test]
    fn every_key_of_the_example_is_on_the_page() {
        let example = include_str!("../../../config.example.toml");
        let page = page(example);
        let bare = example.lines().filter_map(|line| line.strip_prefix('#')).map(str::trim);
        let code: Vec<&str> = bare.filter(|line| is_code(line)).collect();
        assert!(code.len() > 40, "{code:?}");
        for line in code {
            assert!(page.contains(&escaped(line)), "{line}");
        }
    }
}
