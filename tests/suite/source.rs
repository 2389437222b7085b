//! Just enough Rust to read which paths a file names: comments, texts and tests are left out, groups are spelled out.
//!
//! Not a parser: paths that macros put together are not seen.

/// A name or a sign, and the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// An identifier, `::`, or one other character.
    pub text: String,
    /// From 1.
    pub line: usize,
}

/// A path as written from its first name: `use a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The names; the last may be `*`.
    pub names: Vec<String>,
    /// The line of its first name.
    pub line: usize,
    /// How many inline modules it is in.
    pub depth: usize,
}

/// The names and signs of a source text.
pub fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let (mut tokens, mut index, mut line) = (Vec::new(), 0, 1);
    while index < characters.len() {
        let (begin, first) = (index, at(index));
        if first == '/' && at(index + 1) == '/' {
            while index < characters.len() && at(index) != '\n' {
                index += 1;
            }
        } else if first == '/' && at(index + 1) == '*' {
            let mut depth = 0;
            while index < characters.len() {
                match (at(index), at(index + 1)) {
                    ('/', '*') => depth += 1,
                    ('*', '/') => depth -= 1,
                    _ => {
                        index += 1;
                        continue;
                    }
                }
                index += 2;
                if depth == 0 {
                    break;
                }
            }
        } else if let Some(end) = raw_text(&characters, index) {
            index = end;
        } else if first == '"' || (matches!(first, 'b' | 'c') && at(index + 1) == '"') {
            index += if first == '"' { 1 } else { 2 };
            while index < characters.len() && at(index) != '"' {
                index += if at(index) == '\\' { 2 } else { 1 };
            }
            index += 1;
        } else if first == '\'' && (at(index + 1) == '\\' || at(index + 2) == '\'') {
            // A character, not a lifetime.
            index += if at(index + 1) == '\\' { 3 } else { 2 };
            while index < characters.len() && at(index) != '\'' {
                index += 1;
            }
            index += 1;
        } else if first.is_alphanumeric() || first == '_' {
            while at(index).is_alphanumeric() || at(index) == '_' {
                index += 1;
            }
            tokens.push(Token { text: characters[begin..index].iter().collect(), line });
        } else if first == ':' && at(index + 1) == ':' {
            index += 2;
            tokens.push(Token { text: "::".to_owned(), line });
        } else {
            index += 1;
            if !first.is_whitespace() {
                tokens.push(Token { text: first.to_string(), line });
            }
        }
        index = index.min(characters.len());
        line += characters[begin..index].iter().filter(|&&character| character == '\n').count();
    }
    tokens
}

/// Where the raw text that begins here ends: `r"…"`, `r#"…"#`, `br#"…"#`.
fn raw_text(characters: &[char], begin: usize) -> Option<usize> {
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    // Inside a longer name, `r` is only a letter.
    if begin > 0 && (at(begin - 1).is_alphanumeric() || at(begin - 1) == '_') {
        return None;
    }
    let prefix = if matches!(at(begin), 'b' | 'c') { begin + 1 } else { begin };
    if at(prefix) != 'r' {
        return None;
    }
    let hashes = (prefix + 1..characters.len()).take_while(|&index| at(index) == '#').count();
    let quote = prefix + 1 + hashes;
    if at(quote) != '"' {
        return None;
    }
    (quote + 1..characters.len())
        .find(|&index| at(index) == '"' && (1..=hashes).all(|hash| at(index + hash) == '#'))
        .map(|index| index + 1 + hashes)
}

/// The same without `#[cfg(test)]` modules; also the names of such modules that have a file of their own.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    let (mut kept, mut files, mut index) = (Vec::new(), Vec::new(), 0);
    while index < tokens.len() {
        // All attributes of one item.
        let (mut end, mut test) = (index, false);
        while is(end, "#") && is(end + 1, "[") {
            let close = closing(tokens, end + 1);
            let has = |text: &str| tokens[end..close].iter().any(|token| token.text == text);
            test |= has("cfg") && has("test") && !has("not");
            end = close + 1;
        }
        if end == index {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let mut item = end;
        if is(item, "pub") {
            item += 1;
            if is(item, "(") {
                item = closing(tokens, item) + 1;
            }
        }
        if test && is(item, "mod") {
            if is(item + 2, "{") {
                index = closing(tokens, item + 2) + 1;
            } else {
                files.push(tokens[item + 1].text.clone());
                index = item + 3;
            }
        } else {
            kept.extend_from_slice(&tokens[index..end]);
            index = end;
        }
    }
    (kept, files)
}

/// Where the bracket that opens here closes.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match &*token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

/// Every path of two or more names, wherever it stands.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    // The closing braces of the inline modules that we are in.
    let (mut paths, mut modules, mut index) = (Vec::new(), Vec::new(), 0);
    while index < tokens.len() {
        modules.retain(|&end| index < end);
        if is(index, "mod") && is(index + 2, "{") {
            modules.push(closing(tokens, index + 2));
        }
        if name(tokens, index) && is(index + 1, "::") {
            let (mut found, line) = (Vec::new(), tokens[index].line);
            index = expand(tokens, index, &mut Vec::new(), &mut found);
            paths.extend(found.into_iter().map(|names| Path { names, line, depth: modules.len() }));
        } else {
            index += 1;
        }
    }
    paths
}

fn name(tokens: &[Token], index: usize) -> bool {
    tokens.get(index).is_some_and(|token| token.text.starts_with(|first: char| first.is_alphabetic() || first == '_'))
}

/// Spells out the path that begins here; returns where it ends.
fn expand(tokens: &[Token], mut index: usize, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    let length = before.len();
    while name(tokens, index) || is(index, "*") {
        before.push(tokens[index].text.clone());
        index += 1;
        if !is(index, "::") {
            break;
        }
        index += 1;
    }
    if is(index, "{") && is(index.wrapping_sub(1), "::") {
        let end = closing(tokens, index);
        index += 1;
        while index < end {
            index = expand(tokens, index, before, found);
            // `as other` and the comma.
            while index < end && !is(index, ",") {
                index += 1;
            }
            index += 1;
        }
        index = end + 1;
    } else {
        found.push(before.clone());
    }
    before.truncate(length);
    index
}

#[test]
fn paths_are_spelled_out() {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = paths(&tokens(text)).iter().map(|path| path.names.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }
    check("use a::{b, c::{d as e, f::*}};", &["a::b", "a::c::d", "a::c::f::*"]);
    check("fn f() { crate::x::y(std::mem::take(&mut z)) }", &["crate::x::y", "std::mem::take"]);
    check("// a::b\n/* c::d /* e::f */ g::h */ \"i::j\" r#\"k::l\"m::n\"# '\"' o::p '\\'' q::r 'a", &["o::p", "q::r"]);
    check("let x = <crate::a::B as c::D>::e;", &["crate::a::B", "c::D"]);
    check("Vec::<u::V>::new()", &["Vec", "u::V"]);
}

#[test]
fn tests_are_left_out() {
    let text = "use a::b; #[cfg(test)] #[expect(x)] mod tests { use c::d; } #[cfg(test)] mod file; mod m { use e::f; }";
    let (kept, files) = without_tests(&tokens(text));
    assert_eq!(
        paths(&kept).iter().map(|path| (path.names.join("::"), path.depth)).collect::<Vec<_>>(),
        [("a::b".to_owned(), 0), ("e::f".to_owned(), 1)]
    );
    assert_eq!(files, ["file"]);
}
