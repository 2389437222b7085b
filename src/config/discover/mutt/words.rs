//! The words of one command: quotes, backslashes, `$variables` and commands in backticks.
//!
//! Pure: variables come from the caller, and no command is run.

use std::rc::Rc;

use zeroize::Zeroizing;

use super::Set;
use crate::config::discover::disk::Text;

/// A value: texts, and outputs of commands that are not run.
#[derive(Clone, Default)]
pub(super) struct Value {
    parts: Vec<Part>,
    /// The variable whose value it is, and nothing else.
    origin: Option<Rc<Set>>,
}

#[derive(Clone)]
enum Part {
    Text(Text),
    Output(String),
}

/// The longest value, and the most pieces: one that is put together from variables could double with each line.
const LONGEST: usize = 1 << 12;
const MOST_PIECES: usize = 16;

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self { parts: vec![Part::Text(Zeroizing::new(text.to_owned()))], origin: None }
    }

    /// As the value of a variable.
    pub(super) fn named(&self, origin: Rc<Set>) -> Self {
        Self { parts: self.parts.clone(), origin: Some(origin) }
    }

    pub(super) fn origin(&self) -> Option<Rc<Set>> {
        self.origin.clone()
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same, as a password.
    pub(super) fn plain(&self) -> Option<Text> {
        self.as_text().map(|text| Zeroizing::new(text.to_owned()))
    }

    /// The command whose output it is, if it is nothing else.
    pub(super) fn as_output(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Output(command)] => Some(command),
            _ => None,
        }
    }

    fn push(&mut self, character: char) {
        self.origin = None;
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.push(character);
        } else {
            self.parts.push(Part::Text(Zeroizing::new(character.to_string())));
        }
    }

    fn append(&mut self, other: Self) {
        if self.parts.is_empty() {
            *self = other;
            return;
        }
        self.origin = None;
        for part in other.parts {
            match part {
                Part::Text(text) => text.chars().for_each(|c| self.push(c)),
                output @ Part::Output(_) => self.parts.push(output),
            }
        }
    }

    fn length(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.len(),
                Part::Output(command) => command.len(),
            })
            .sum()
    }
}

/// A word. In `set name=value`, the name stands apart.
#[derive(Clone, Default)]
pub(super) struct Word {
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

/// Why a command cannot be read.
pub(super) struct Unreadable;

/// The words of the first command of a line, and what follows its `;`.
pub(super) fn command<'a>(line: &'a str, variable: &dyn Fn(&str) -> Value) -> Result<(Vec<Word>, &'a str), Unreadable> {
    let mut reader = Reader { rest: line, variable };
    let mut words: Vec<Word> = Vec::new();
    loop {
        reader.skip_spaces();
        match reader.peek() {
            None | Some('#') => return Ok((words, "")),
            Some(';') => return Ok((words, reader.rest.get(1..).unwrap_or_default())),
            Some(_) => {}
        }
        let assigns = words.first().is_some_and(|word| word.value.as_text() == Some("set"));
        if assigns && let Some(name) = reader.assigned() {
            let value = reader.word(false)?;
            words.push(Word { name: Some(name), value });
            continue;
        }
        let value = reader.word(assigns)?;
        words.push(Word { name: None, value });
    }
}

struct Reader<'a, 'v> {
    rest: &'a str,
    variable: &'v dyn Fn(&str) -> Value,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// The name before a `=` (or NeoMutt's `+=`), which is taken with the spaces around it.
    fn assigned(&mut self) -> Option<String> {
        let name: String =
            self.rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
        let after = self.rest.get(name.len()..)?.trim_start();
        let after = after.strip_prefix("+=").or_else(|| after.strip_prefix('='))?;
        if name.is_empty() {
            return None;
        }
        self.rest = after.trim_start();
        Some(name)
    }

    /// One word, up to a space or `;` outside of quotes.
    fn word(&mut self, ends_at_equals: bool) -> Result<Value, Unreadable> {
        let mut value = Value::default();
        let mut quote: Option<char> = None;
        let begin = self.rest.len();
        while let Some(character) = self.peek() {
            if quote.is_none()
                && (character.is_whitespace() || character == ';' || (ends_at_equals && character == '='))
            {
                break;
            }
            self.next();
            if value.parts.len() > MOST_PIECES || value.length() > LONGEST {
                return Err(Unreadable);
            }
            match (character, quote) {
                (c, Some(q)) if c == q => quote = None,
                ('\'' | '"', None) => quote = Some(character),
                ('\\', None | Some('"')) => match self.next() {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some(other) => value.push(other),
                    None => return Err(Unreadable),
                },
                ('`', None | Some('"')) => {
                    let (command, after) = self.rest.split_once('`').ok_or(Unreadable)?;
                    // The output of two is put together; the line end is taken off each.
                    value.append(Value { parts: vec![Part::Output(command.to_owned())], origin: None });
                    self.rest = after;
                }
                ('$', None | Some('"')) => {
                    let (name, after) = name(self.rest);
                    self.rest = after;
                    if name.is_empty() {
                        value.push('$');
                    } else {
                        value.append((self.variable)(name));
                    }
                }
                (plain, _) => value.push(plain),
            }
        }
        if quote.is_some() {
            return Err(Unreadable);
        }
        if self.rest.len() == begin {
            // A sign that no word begins with: passed over, so that it ends.
            self.next();
        }
        Ok(value)
    }
}

/// The name after `$`, in braces or not.
fn name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}
