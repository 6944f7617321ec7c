//! JSON in one form only: RFC 8785, restricted to what entries hold (no fractions).

use serde_json::{Map, Value};
use thiserror::Error;

/// Beyond this the numbers of other programs lose digits (RFC 8785, section 3.2.2.3).
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Deeper than any entry; what is deeper was not written here.
const MAX_DEPTH: u32 = 32;

/// The value has no canonical form here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotCanonical {
    /// A fraction, or a number that not every program can keep.
    #[error("{0} is not a whole number of at most 53 bits")]
    Number(String),
    /// Nested too deep.
    #[error("it is nested more than {MAX_DEPTH} times")]
    Depth,
}

/// The canonical form of a value.
///
/// # Errors
///
/// [`NotCanonical`] for what entries never hold.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut text = String::new();
    write(value, &mut text, MAX_DEPTH)?;
    Ok(text)
}

fn write(value: &Value, text: &mut String, depth: u32) -> Result<(), NotCanonical> {
    let depth = depth.checked_sub(1).ok_or(NotCanonical::Depth)?;
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if magnitude.is_none_or(|magnitude| magnitude > MAX_NUMBER) {
                return Err(NotCanonical::Number(number.to_string()));
            }
            text.push_str(&number.to_string());
        }
        Value::String(string) => write_string(string, text),
        Value::Array(values) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(value, text, depth)?;
            }
            text.push(']');
        }
        Value::Object(fields) => write_object(fields, text, depth)?,
    }
    Ok(())
}

/// Members in the order of the UTF-16 units of their names (section 3.2.3).
fn write_object(
    fields: &Map<String, Value>,
    text: &mut String,
    depth: u32,
) -> Result<(), NotCanonical> {
    let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
    fields.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    text.push('{');
    for (place, (name, value)) in fields.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write_string(name, text);
        text.push(':');
        write(value, text, depth)?;
    }
    text.push('}');
    Ok(())
}

/// Section 3.2.2.2: short escapes where there are any, `\u00xx` for other control characters, and
/// everything else as it is.
fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control if control < ' ' => {
                text.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Option<&str>) {
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(canonical(&value).ok().as_deref(), expect, "{json}");
    }

    #[test]
    fn there_is_one_form_only() {
        check(
            r#"{ "b" : [1, -2, true, null], "a": {} }"#,
            Some(r#"{"a":{},"b":[1,-2,true,null]}"#),
        );
        check(
            r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#,
            Some("\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""),
        );
        // RFC 8785, section 3.2.3: by UTF-16 units a surrogate pair comes before U+FB33.
        check(
            r#"{"\ufb33":1,"\ud83d\ude00":2,"\u0080":3,"\r":4,"1":5}"#,
            Some("{\"\\r\":4,\"1\":5,\"\u{80}\":3,\"😀\":2,\"\u{fb33}\":1}"),
        );
        check("9007199254740991", Some("9007199254740991"));
        for refused in ["9007199254740992", "1.5", "1e3", "-9007199254740992"] {
            check(refused, None);
        }
        check(&format!("{}{}", "[".repeat(40), "]".repeat(40)), None);
    }
}
