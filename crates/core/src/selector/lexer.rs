//! Words, texts and signs of a selector, each with its column.

use crate::mistake::Wrong;

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    /// Counted in characters, from 0.
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a number or a version: letters, digits and `._-+:/`, or `*` and `?` for patterns.
    Word(String),
    /// Text in double quotes.
    Text(String),
    Open,
    Close,
    Comma,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Sign(&'static str),
    End,
}

impl Kind {
    /// As it is called in an error.
    pub fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = token(&chars, at)?;
        tokens.push(Token { kind, column: at });
        at = end;
    }
    tokens.push(Token { kind: Kind::End, column: chars.len() });
    Ok(tokens)
}

/// The token that begins at `at`, and where it ends.
fn token(chars: &[char], at: usize) -> Result<(Kind, usize), Wrong> {
    let is_equal_next = chars.get(at + 1) == Some(&'=');
    match chars[at] {
        '(' => Ok((Kind::Open, at + 1)),
        ')' => Ok((Kind::Close, at + 1)),
        ',' => Ok((Kind::Comma, at + 1)),
        '=' if is_equal_next => Ok((Kind::Sign("="), at + 2)),
        '=' => Ok((Kind::Sign("="), at + 1)),
        '!' if is_equal_next => Ok((Kind::Sign("!="), at + 2)),
        '<' if is_equal_next => Ok((Kind::Sign("<="), at + 2)),
        '<' => Ok((Kind::Sign("<"), at + 1)),
        '>' if is_equal_next => Ok((Kind::Sign(">="), at + 2)),
        '>' => Ok((Kind::Sign(">"), at + 1)),
        '"' => quoted(chars, at),
        first if is_of_word(first) => {
            let length = chars[at..].iter().take_while(|c| is_of_word(**c)).count();
            Ok((Kind::Word(chars[at..at + length].iter().collect()), at + length))
        }
        '\'' => Err((at, "texts stand in double quotes".to_owned())),
        other => Err((at, format!("`{}` has no meaning here", other.escape_debug()))),
    }
}

fn quoted(chars: &[char], open: usize) -> Result<(Kind, usize), Wrong> {
    let mut text = String::new();
    let mut at = open + 1;
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (Some('"'), _) => return Ok((Kind::Text(text), at + 1)),
            (Some('\\'), Some(escaped @ ('"' | '\\'))) => {
                text.push(*escaped);
                at += 2;
            }
            (Some('\\'), _) => {
                return Err((at, "after `\\` comes `\"` or `\\`".to_owned()));
            }
            (Some(c), _) => {
                text.push(*c);
                at += 1;
            }
            (None, _) => return Err((open, "this text has no closing `\"`".to_owned())),
        }
    }
}

pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "._-+:/*?".contains(c)
}
