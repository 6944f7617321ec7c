//! The settings as `gofleet server --print-config` shows them.

use serde_json::{Map, Value, json};

use super::{KEYS, Origin, ServerConfig};

/// Values with more characters stand out of their column.
const MAX_WIDTH: usize = 40;

impl ServerConfig {
    /// Where the value of a setting came from.
    ///
    /// # Panics
    ///
    /// If there is no such key; see [`KEYS`].
    pub fn origin(&self, key: &str) -> &Origin {
        &self.origins[key].1
    }

    /// A table for people: setting, value, origin.
    pub fn table(&self) -> String {
        let shown = |value: &str| if value.is_empty() { "-".to_owned() } else { value.to_owned() };
        let rows: Vec<[String; 3]> = KEYS
            .iter()
            .map(|key| {
                let (value, origin) = &self.origins[key.name];
                [key.name.to_owned(), shown(value), origin.to_string()]
            })
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        // One long value does not push all origins away.
        let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0).min(MAX_WIDTH));
        rows.iter()
            .map(|[key, value, origin]| format!("{key:first$}  {value:second$}  {origin}\n"))
            .collect()
    }

    /// The same for programs: an object with `value` and `origin` for each setting.
    pub fn json(&self) -> Value {
        let entry = |key: &super::Key| {
            let (value, origin) = &self.origins[key.name];
            let value = if value.is_empty() { Value::Null } else { json!(value) };
            (key.name.to_owned(), json!({ "value": value, "origin": origin.to_string() }))
        };
        Value::Object(KEYS.iter().map(entry).collect::<Map<_, _>>())
    }
}
