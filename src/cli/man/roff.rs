//! Text as troff reads it (groff_man(7)).

use std::fmt::Write as _;

/// A line of text: nothing in it is a command.
pub(super) fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

/// Other letters than ASCII's by their number: every troff knows those, whatever the locale.
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            plain.push(character);
        } else {
            let _ = write!(plain, "\\[u{:04X}]", u32::from(character));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(escaped(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escaped("'x' a\\b --dir ~/x"), "\\&'x' a\\eb \\-\\-dir \\(ti/x");
        assert_eq!(ascii("a → ü"), "a \\[u2192] \\[u00FC]");
    }
}
