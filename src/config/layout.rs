//! Where the accounts and credentials stand in the text of a configuration, and which lines are theirs.
//!
//! Decides to whom a comment belongs: to the header right below it, else to the values right above it, else to nobody.
//! Changes nothing.

use std::ops::Range;

use toml_edit::{Document, Item, Table};

/// Why the places could not be told.
#[derive(Debug)]
pub(super) enum LayoutError {
    /// `account = […]`: there are no headers.
    Inline,
    /// `toml_edit` does not read what `toml` read.
    Unreadable,
}

/// Whose lines a header begins; the numbers count from 0 in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Other,
    Account(usize),
    Credential(usize, usize),
}

impl Owner {
    /// The account to which the lines belong.
    pub(super) fn account(self) -> Option<usize> {
        match self {
            Self::Other => None,
            Self::Account(account) | Self::Credential(account, _) => Some(account),
        }
    }
}

/// A `[table]` or `[[table]]` line and the values below it, in bytes.
#[derive(Debug)]
pub(super) struct Header {
    start: usize,
    /// The end of its last value, or of the header itself.
    end: usize,
    pub(super) owner: Owner,
}

impl Header {
    /// Its whole lines, with the comments that belong to it: right above the header, and right below the last value. Those
    /// that touch the next header are that one's.
    pub(super) fn block(&self, text: &str, all: &[Self]) -> Range<usize> {
        let above =
            all.iter().rev().find(|other| other.start < self.start).map_or(0, |other| line_end(text, other.end));
        let below = all.iter().find(|other| other.start > self.start).map_or(text.len(), |o| line_start(text, o.start));
        let first = line_start(text, self.start);
        let mut start = first;
        while start > above && is_comment(text, line_start(text, start - 1)) {
            start = line_start(text, start - 1);
        }
        // What stands at the very top is about the file.
        let start = if start == 0 { first } else { start };
        let end = line_end(text, self.end);
        let mut after = end;
        while after < below && is_comment(text, after) {
            after = line_end(text, after);
        }
        let end = if after == below && below < text.len() { end } else { after };
        start..end
    }
}

/// All headers, in the order of the text.
pub(super) fn headers(text: &str) -> Result<Vec<Header>, LayoutError> {
    let document = Document::parse(text).map_err(|_| LayoutError::Unreadable)?;
    let mut headers = Vec::new();
    for (key, item) in document.as_table() {
        match item {
            Item::ArrayOfTables(accounts) if key == "account" => {
                for (i, account) in accounts.iter().enumerate() {
                    collect(account, Owner::Account(i), &mut headers);
                }
            }
            Item::Value(_) if key == "account" => return Err(LayoutError::Inline),
            Item::Table(table) => collect(table, Owner::Other, &mut headers),
            Item::ArrayOfTables(_) | Item::Value(_) | Item::None => {}
        }
    }
    headers.sort_by_key(|header| header.start);
    Ok(headers)
}

fn collect(table: &Table, owner: Owner, headers: &mut Vec<Header>) {
    if !table.is_implicit()
        && !table.is_dotted()
        && let Some(span) = table.span()
    {
        headers.push(Header { start: span.start, end: values_end(table).unwrap_or(span.end).max(span.end), owner });
    }
    for (key, item) in table {
        match (item, owner) {
            (Item::ArrayOfTables(credentials), Owner::Account(i)) if key == "credential" => {
                for (j, credential) in credentials.iter().enumerate() {
                    collect(credential, Owner::Credential(i, j), headers);
                }
            }
            (Item::Table(inner), _) => collect(inner, owner, headers),
            (Item::ArrayOfTables(_) | Item::Value(_) | Item::None, _) => {}
        }
    }
}

/// The end of the last value written under a header, dotted keys included.
fn values_end(table: &Table) -> Option<usize> {
    table
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Value(value) => value.span().map(|span| span.end),
            Item::Table(inner) if inner.is_dotted() => values_end(inner),
            Item::Table(_) | Item::ArrayOfTables(_) | Item::None => None,
        })
        .max()
}

/// The lines of every header of one owner.
pub(super) fn blocks(text: &str, headers: &[Header], owner: Owner) -> Vec<Range<usize>> {
    headers.iter().filter(|header| header.owner == owner).map(|header| header.block(text, headers)).collect()
}

/// Where the value of a key stands in the owner's own table, if it is there.
pub(super) fn value_of(text: &str, owner: Owner, key: &str) -> Result<Option<Range<usize>>, LayoutError> {
    let document = Document::parse(text).map_err(|_| LayoutError::Unreadable)?;
    let Some(Item::ArrayOfTables(accounts)) = document.as_table().get("account") else {
        return Err(LayoutError::Inline);
    };
    let table = match owner {
        Owner::Other => None,
        Owner::Account(i) => accounts.get(i),
        Owner::Credential(i, j) => {
            let credentials = accounts.get(i).and_then(|account| account.get("credential"));
            credentials.and_then(Item::as_array_of_tables).and_then(|credentials| credentials.get(j))
        }
    };
    Ok(table.and_then(|table| table.get(key)).and_then(Item::as_value).and_then(toml_edit::Value::span))
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Behind the newline of the line in which `at` is.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}

fn is_comment(text: &str, line: usize) -> bool {
    text.get(line..).is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with('#'))
}

/// Whether the text begins with an empty line.
pub(super) fn is_blank(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim().is_empty())
}

/// Whether the text ends with an empty line.
pub(super) fn ends_blank(text: &str) -> bool {
    text.strip_suffix('\n').is_some_and(|text| {
        let line = text.rsplit('\n').next().unwrap_or_default();
        line.trim().is_empty()
    })
}
