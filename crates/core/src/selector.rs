//! A small typed language that picks devices by their facts.
//!
//! `os = "windows" and (label.site in ("berlin", "oslo") or hostname like "ci-*") and not active
//! >= 1.27.0`
//!
//! `collection = "pilots"` picks the devices of a [collection](crate::collection).
//!
//! An empty selector picks every device. Mistakes point at their column and suggest what was
//! probably meant. What is parsed prints as text that parses to the same.
//!
//! ```text
//! selector   = [ or ]
//! or         = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" or ")" | comparison
//! comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "like" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//! value      = "text in quotes, with \" and \\" | word
//! ```

mod ast;
mod lexer;
mod parser;

pub use ast::{Expression, Field, Operator, Selector, Value};
pub use parser::SelectorError;

#[cfg(test)]
mod tests;
