//! The dialects of INI files: Python's ConfigParser, Go's go-ini, GLib's key files.
//!
//! Decides what is a section, a key and a value in each; what they mean is the business of each program's page. Pure.

use zeroize::Zeroizing;

use super::disk::Text;

/// A section, in the order of the file.
pub(super) struct Section {
    pub(super) name: String,
    /// Its line, from 1.
    pub(super) line: usize,
    keys: Vec<Key>,
}

/// A key with its value.
pub(super) struct Key {
    /// In lower case.
    name: String,
    pub(super) value: Text,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// More sections and keys than anybody has. Each is compared with those before.
const MOST: usize = 5_000;
const TOO_MANY: &str = "more than 5000 settings";

/// The line and what is wrong there.
pub(super) type Wrong = (usize, &'static str);

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.key(name).map(|key| key.value.as_str())
    }
}

/// Python's `configparser`: values go on in lines that are indented deeper; a second section or key of a name is an error;
/// comments have lines of their own.
pub(super) fn python(text: &str) -> Result<Vec<Section>, Wrong> {
    let mut sections: Vec<Section> = Vec::new();
    let mut indent = 0;
    // Whether the latest line belongs to a key, whose value may go on.
    let mut in_value = false;
    let mut count = 0;
    for (line, content) in (1..).zip(text.lines()) {
        let stripped = content.trim();
        if stripped.starts_with(['#', ';']) {
            continue;
        }
        let latest = sections.last_mut().and_then(|section| section.keys.last_mut()).filter(|_| in_value);
        if stripped.is_empty() {
            if let Some(key) = latest {
                key.value.push('\n');
            }
            continue;
        }
        let depth = content.chars().take_while(|c| c.is_whitespace()).count();
        if let Some(key) = latest.filter(|_| depth > indent) {
            key.value.push('\n');
            key.value.push_str(stripped);
            continue;
        }
        indent = depth;
        count += 1;
        if count > MOST {
            return Err((line, TOO_MANY));
        }
        if let Some((name, _)) = stripped.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'))
            && !name.is_empty()
        {
            if sections.iter().any(|section| section.name == name) {
                return Err((line, "a section is here a second time"));
            }
            sections.push(Section { name: name.to_owned(), line, keys: Vec::new() });
            in_value = false;
            continue;
        }
        let Some(section) = sections.last_mut() else { return Err((line, "a key before the first section")) };
        let Some((name, value)) = stripped.split_once(['=', ':']) else {
            return Err((line, "neither a key nor a section"));
        };
        let name = name.trim_end().to_lowercase();
        if name.is_empty() {
            return Err((line, "a value without a key"));
        }
        if section.key(&name).is_some() {
            return Err((line, "a key is here a second time"));
        }
        section.keys.push(Key { name, value: Zeroizing::new(value.trim().to_owned()), line });
        in_value = true;
    }
    for key in sections.iter_mut().flat_map(|section| &mut section.keys) {
        let kept = key.value.trim_end().len();
        key.value.truncate(kept);
    }
    Ok(sections)
}

/// go-ini, as aerc uses it: `=` only, values perhaps in quotes, a `\` at the end of a line joins it with the next, a ` #` or ` ;`
/// begins a comment. A second section of a name goes on with the first; a second key replaces the first.
pub(super) fn go(text: &str) -> Result<Vec<Section>, Wrong> {
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = (1..).zip(text.lines());
    let (mut current, mut count) = (None, 0);
    while let Some((line, content)) = lines.next() {
        let content = content.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        count += 1;
        if count > MOST {
            return Err((line, TOO_MANY));
        }
        if let Some(rest) = content.strip_prefix('[') {
            let Some((name, _)) = rest.rsplit_once(']') else {
                return Err((line, "a section's bracket is not closed"));
            };
            let name = name.trim();
            current = Some(sections.iter().position(|section| section.name == name).unwrap_or(sections.len()));
            if current == Some(sections.len()) {
                sections.push(Section { name: name.to_owned(), line, keys: Vec::new() });
            }
            continue;
        }
        let Some((name, value)) = content.split_once('=') else { return Err((line, "neither a key nor a section")) };
        let mut value: Text = Zeroizing::new(value.trim().to_owned());
        while value.ends_with('\\') {
            value.pop();
            let Some((_, next)) = lines.next() else { break };
            value.push_str(next.trim());
        }
        let value = unquoted(&value);
        let Some(section) = current.and_then(|at| sections.get_mut(at)) else { continue };
        let name = name.trim().trim_matches(['"', '`']).to_lowercase();
        section.keys.retain(|key| key.name != name);
        section.keys.push(Key { name, value, line });
    }
    Ok(sections)
}

/// Without quotes around it, or without the comment behind it.
fn unquoted(value: &str) -> Text {
    for quote in ["\"\"\"", "`"] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return Zeroizing::new(inner.to_owned());
        }
    }
    let comment = [" #", " ;", "\t#", "\t;"].iter().filter_map(|sign| value.find(sign)).min();
    let value = value.get(..comment.unwrap_or(value.len())).unwrap_or(value).trim_end();
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
    Zeroizing::new(bare.to_owned())
}

/// GLib's `GKeyFile`: one line per key, escapes in values, comments have lines of their own. The names of keys have a case
/// there, which nobody uses.
pub(super) fn glib(text: &str) -> Result<Vec<Section>, Wrong> {
    let mut sections: Vec<Section> = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let Some((name, _)) = rest.split_once(']') else { return Err((line, "a section's bracket is not closed")) };
            sections.push(Section { name: name.to_owned(), line, keys: Vec::new() });
            continue;
        }
        let Some((name, value)) = content.split_once('=') else { return Err((line, "neither a key nor a section")) };
        let Some(section) = sections.last_mut() else { return Err((line, "a key before the first section")) };
        let mut unescaped: Text = Zeroizing::new(String::with_capacity(value.len()));
        let mut characters = value.trim().chars();
        while let Some(character) = characters.next() {
            unescaped.push(match character {
                '\\' => match characters.next() {
                    Some('s') => ' ',
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(other) => other,
                    None => '\\',
                },
                plain => plain,
            });
        }
        section.keys.push(Key { name: name.trim().to_lowercase(), value: unescaped, line });
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(read: fn(&str) -> Result<Vec<Section>, Wrong>, text: &str) -> Vec<String> {
        match read(text) {
            Err((line, why)) => vec![format!("{line}: {why}")],
            Ok(sections) => sections
                .iter()
                .flat_map(|section| {
                    let key = |key: &Key| format!("{} {} {}={}", section.name, key.line, key.name, key.value.as_str());
                    section.keys.iter().map(key)
                })
                .collect(),
        }
    }

    #[test]
    fn python_continues_what_is_indented() {
        let text = "[a]\nKey: one\n  two\n# no\n\n  three\nother = x # kept\n\n[b c]\n  deep = 1\n  next=2\n";
        assert_eq!(
            told(python, text),
            ["a 2 key=one\ntwo\n\nthree", "a 7 other=x # kept", "b c 10 deep=1", "b c 11 next=2"]
        );
        assert_eq!(told(python, "x = 1\n"), ["1: a key before the first section"]);
        assert_eq!(told(python, "[a]\nwhat\n"), ["2: neither a key nor a section"]);
        assert_eq!(told(python, "[a]\nx=1\nX=2\n"), ["3: a key is here a second time"]);
        assert_eq!(told(python, "[a]\n[a]\n"), ["2: a section is here a second time"]);
    }

    #[test]
    fn go_has_quotes_and_comments_behind_values() {
        let text = "[A]\nsource = imaps://x # why\ncmd = \"pass show x\" ; y\nraw = `a # b`\nlong = one \\\n  two\nhash=a#b\n[A]\nraw=2\n";
        assert_eq!(
            told(go, text),
            ["A 2 source=imaps://x", "A 3 cmd=pass show x", "A 5 long=one two", "A 7 hash=a#b", "A 9 raw=2"]
        );
        assert_eq!(told(go, "[A\n"), ["1: a section's bracket is not closed"]);
    }

    #[test]
    fn glib_has_escapes() {
        assert_eq!(told(glib, "# c\n[G 1]\nName=a\\sb=c # d\n"), ["G 1 3 name=a b=c # d"]);
        assert_eq!(told(glib, "[G]\nx\n"), ["2: neither a key nor a section"]);
    }
}
