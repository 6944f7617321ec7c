//! Canonical JSON, the form in which metadata is signed: keys sorted, no white space, in strings
//! nothing escaped but `"` and `\`, no fractions.

use serde_json::Value;

/// The value in canonical form; none if it holds a number that is no integer.
pub fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Some(bytes)
}

fn write(value: &Value, into: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => into.extend(b"null"),
        Value::Bool(true) => into.extend(b"true"),
        Value::Bool(false) => into.extend(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            into.extend(number.to_string().bytes());
        }
        Value::Number(_) => return None,
        Value::String(text) => write_text(text, into),
        Value::Array(values) => {
            into.push(b'[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    into.push(b',');
                }
                write(value, into)?;
            }
            into.push(b']');
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            // By their bytes, which for UTF-8 is the order of code points.
            entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
            into.push(b'{');
            for (place, (key, value)) in entries.into_iter().enumerate() {
                if place > 0 {
                    into.push(b',');
                }
                write_text(key, into);
                into.push(b':');
                write(value, into)?;
            }
            into.push(b'}');
        }
    }
    Some(())
}

fn write_text(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            into.push(b'\\');
        }
        into.push(byte);
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_has_one_form() {
        let value = json!({"b": [1, true, null], "a": "q\" \\ \n é", "": {"z": -3, "y": false}});
        let expect = "{\"\":{\"y\":false,\"z\":-3},\"a\":\"q\\\" \\\\ \n é\",\"b\":[1,true,null]}";
        assert_eq!(canonical(&value).unwrap(), expect.as_bytes());
        assert_eq!(canonical(&json!([1.5])), None);
    }
}
