//! From text to a selector, or to an error that points at the mistake.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::ast::{Expression, Field, Kind, Operator, Selector, Value};
use super::lexer::{self, Token};
use crate::ids::CollectionName;
use crate::mistake::{self, Wrong};
use crate::nearest::nearest;
use crate::version;

/// How deep brackets and `not` may be nested: far more than a person writes, and far less than
/// would overflow a thread's stack.
const MAX_DEPTH: usize = 100;

/// The text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct SelectorError {
    /// Where the mistake is: counted in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    text: String,
}

impl fmt::Display for SelectorError {
    /// The message, and below it the text with a caret under the mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        mistake::point(f, &self.text, self.column, &self.message)
    }
}

impl Selector {
    /// Reads a selector; empty text picks every device.
    ///
    /// # Errors
    ///
    /// [`SelectorError`] with the column of the first mistake.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse(text, Collections::Any).map_err(pointing_into(text))
    }

    /// Reads a selector that may ask for these collections only.
    ///
    /// # Errors
    ///
    /// [`SelectorError`] with the column of the first mistake, or of the first other collection.
    pub fn parse_among(text: &str, known: &[CollectionName]) -> Result<Self, SelectorError> {
        parse(text, Collections::Among(known)).map_err(pointing_into(text))
    }

    /// Reads a selector that a collection is made by. It asks for no other collection, so that
    /// nothing can go round in circles, and what is in a collection is read in one place.
    ///
    /// # Errors
    ///
    /// [`SelectorError`] with the column of the first mistake, or of the first collection.
    pub fn parse_of_collection(text: &str) -> Result<Self, SelectorError> {
        parse(text, Collections::None).map_err(pointing_into(text))
    }
}

fn pointing_into(text: &str) -> impl FnOnce(Wrong) -> SelectorError {
    move |(column, message)| SelectorError { column: column + 1, message, text: text.to_owned() }
}

/// Which collections may be asked for.
#[derive(Debug, Clone, Copy)]
enum Collections<'a> {
    Any,
    Among(&'a [CollectionName]),
    None,
}

impl Collections<'_> {
    /// Why this one may not be asked for, if so.
    fn complaint(self, name: &str) -> Option<String> {
        let Self::Among(known) = self else { return None };
        if known.iter().any(|it| it.as_str().eq_ignore_ascii_case(name)) {
            return None;
        }
        let known = known.iter().map(CollectionName::as_str);
        Some(match nearest(name, known) {
            Some(close) => format!("there is no collection `{name}`; did you mean `{close}`?"),
            None => format!("there is no collection `{name}`; `gofleet collection set` makes one"),
        })
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

fn parse(text: &str, collections: Collections<'_>) -> Result<Selector, Wrong> {
    let tokens = lexer::tokens(text)?;
    if tokens.len() == 1 {
        return Ok(Selector::default());
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, collections };
    let root = parser.or()?;
    match parser.peek() {
        lexer::Kind::End => Ok(Selector { root: Some(root) }),
        other => parser.wrong(format!("expected `and`, `or` or the end, not {}", other.describe())),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    collections: Collections<'a>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a lexer::Kind {
        &self.tokens[self.at].kind
    }

    fn column(&self) -> usize {
        self.tokens[self.at].column
    }

    /// Goes on by one; the end stays the end.
    fn step(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn wrong<T>(&self, message: String) -> Result<T, Wrong> {
        Err((self.column(), message))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is_it = self.next_is_word(word);
        if is_it {
            self.step();
        }
        is_it
    }

    fn next_is_word(&self, word: &str) -> bool {
        matches!(self.peek(), lexer::Kind::Word(it) if it.eq_ignore_ascii_case(word))
    }

    fn expect(&mut self, kind: &lexer::Kind) -> Result<(), Wrong> {
        if self.peek() == kind {
            self.step();
            return Ok(());
        }
        let (expected, found) = (kind.describe(), self.peek().describe());
        self.wrong(format!("expected {expected}, not {found}"))
    }

    fn or(&mut self) -> Result<Expression, Wrong> {
        let mut left = self.and()?;
        while self.eat_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Wrong> {
        let mut left = self.not()?;
        while self.eat_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, Wrong> {
        if self.depth == MAX_DEPTH {
            return self.wrong(format!("more than {MAX_DEPTH} brackets inside each other"));
        }
        self.depth += 1;
        let inner = if self.eat_word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if *self.peek() == lexer::Kind::Open {
            self.step();
            let inner = self.or()?;
            self.expect(&lexer::Kind::Close)?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Expression, Wrong> {
        let field = self.field()?;
        if self.next_is_word("not") {
            self.step();
            if !self.next_is_word("in") {
                return self.wrong(format!("expected `in`, not {}", self.peek().describe()));
            }
            return Ok(Expression::Not(Box::new(self.comparison_in(field)?)));
        }
        if self.next_is_word("in") {
            return self.comparison_in(field);
        }
        let operator = self.operator(&field)?;
        let value = match operator {
            // A pattern names none.
            Operator::Like => self.value(&field)?,
            _ => self.known_value(&field)?,
        };
        Ok(Expression::Compare(field, operator, value))
    }

    fn comparison_in(&mut self, field: Field) -> Result<Expression, Wrong> {
        self.step();
        self.expect(&lexer::Kind::Open)?;
        let mut values = vec![self.known_value(&field)?];
        while *self.peek() == lexer::Kind::Comma {
            self.step();
            values.push(self.known_value(&field)?);
        }
        self.expect(&lexer::Kind::Close)?;
        Ok(Expression::In(field, values))
    }

    fn field(&mut self) -> Result<Field, Wrong> {
        let name = match self.peek() {
            lexer::Kind::Word(name) => name,
            other => {
                let found = other.describe();
                return self.wrong(format!("expected a field, not {found}; {}", fields()));
            }
        };
        let Some(field) = Field::of_name(name) else {
            return self.wrong(unknown_field(name));
        };
        if field == Field::Collection && matches!(self.collections, Collections::None) {
            return self.wrong("a collection is not made of other collections".to_owned());
        }
        self.step();
        Ok(field)
    }

    fn operator(&mut self, field: &Field) -> Result<Operator, Wrong> {
        let operator = match self.peek() {
            lexer::Kind::Sign("=") => Operator::Equal,
            lexer::Kind::Sign("!=") => Operator::NotEqual,
            lexer::Kind::Sign("<") => Operator::Less,
            lexer::Kind::Sign("<=") => Operator::LessOrEqual,
            lexer::Kind::Sign(">") => Operator::Greater,
            lexer::Kind::Sign(">=") => Operator::GreaterOrEqual,
            lexer::Kind::Word(word) if word.eq_ignore_ascii_case("like") => Operator::Like,
            other => {
                let found = other.describe();
                return self.wrong(format!("expected one of = != < <= > >= like in, not {found}"));
            }
        };
        if operator == Operator::Like && field.kind() != Kind::Text {
            return self.wrong(format!("`{field}` is no text: compare it with = != < <= > >="));
        }
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual | Operator::Like);
        if is_order && field.kind() == Kind::Text {
            return self.wrong(format!("`{field}` is text, which has no order: use = != like in"));
        }
        self.step();
        Ok(operator)
    }

    /// A value; if it is a collection, one that may be asked for.
    fn known_value(&mut self, field: &Field) -> Result<Value, Wrong> {
        let column = self.column();
        let value = self.value(field)?;
        match (field, &value) {
            (Field::Collection, Value::Text(name)) => match self.collections.complaint(name) {
                Some(complaint) => Err((column, complaint)),
                None => Ok(value),
            },
            _ => Ok(value),
        }
    }

    fn value(&mut self, field: &Field) -> Result<Value, Wrong> {
        let text = match self.peek() {
            lexer::Kind::Text(text) | lexer::Kind::Word(text) => text,
            other => {
                return self.wrong(format!("expected a value, not {}", other.describe()));
            }
        };
        let value = match field.kind() {
            Kind::Text => Value::Text(text.clone()),
            Kind::Version => match version_of(text) {
                Some(version) => Value::Version(version),
                None => {
                    return self.wrong(format!(
                        "`{field}` is a version like 1.27.3, which `{text}` is not"
                    ));
                }
            },
            Kind::Number => match text.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    return self
                        .wrong(format!("`{field}` is a whole number, which `{text}` is not"));
                }
            },
        };
        self.step();
        Ok(value)
    }
}

/// The version without the prefix `go`, if it is one.
fn version_of(text: &str) -> Option<String> {
    let version = text.strip_prefix("go").unwrap_or(text);
    version::is_valid(version).then(|| version.to_owned())
}

fn fields() -> String {
    format!("fields are {}…", Field::NAMES.join(", "))
}

fn unknown_field(name: &str) -> String {
    let close = Field::NAMES
        .iter()
        .map(|field| (distance(name, field), *field))
        .filter(|(distance, field)| *distance <= 1 + field.len() / 4)
        .min();
    match close {
        Some((_, "label.")) => format!("unknown field `{name}`; a label is written label.NAME"),
        Some((_, field)) => format!("unknown field `{name}`; did you mean `{field}`?"),
        None => format!("unknown field `{name}`; {}", fields()),
    }
}

/// How many letters must be changed, added or dropped to make one text of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(40).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
