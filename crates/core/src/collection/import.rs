//! The host names in what other systems export: lines, comma-separated values, JSON.
//!
//! Nothing is guessed silently: where a table has no column that is known to hold host names, or an
//! inventory several groups, the error lists what there is.

use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

/// Columns and keys that hold host names in exports of Active Directory, Configuration Manager and
/// inventories, the best first. Case, spaces and `_` do not count.
const HOST_COLUMNS: [&str; 9] = [
    "dnshostname",
    "fqdn",
    "hostname",
    "computername",
    "netbiosname",
    "devicename",
    "host",
    "device",
    "name",
];

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A name on each line; `#` begins a remark.
    Lines,
    /// Comma-separated values with a heading (RFC 4180), also with semicolons or tabs.
    Csv,
    /// A list of names or of objects, or an inventory as `ansible-inventory --list` prints it.
    Json,
}

impl Format {
    /// The format that a file's name tells; lines, if none.
    pub fn of_file(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref()
        {
            Some("csv" | "tsv") => Self::Csv,
            Some("json") => Self::Json,
            Some(_) | None => Self::Lines,
        }
    }
}

/// No names can be read from an export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImportError {
    /// The bytes are no text.
    #[error("it is text neither in UTF-8 nor in UTF-16 with a mark at its begin")]
    NotText,
    /// There is nothing in it.
    #[error("it holds no names")]
    Empty,
    /// A line of text that is no name.
    #[error("line {line}: `{text}` is no host name (is it a table? then say `--format csv`)")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// No column is known to hold host names.
    #[error("no column is known to hold host names; it has {has}: name one with `--column`")]
    Column {
        /// The columns.
        has: String,
    },
    /// A quotation mark is not closed.
    #[error("a quotation mark that opens on line {0} is not closed")]
    Quotation(usize),
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// It is JSON of another shape.
    #[error(
        "it is JSON, but neither a list of names, nor one of objects with a host name, nor an \
         inventory"
    )]
    Shape,
    /// An inventory has several groups.
    #[error("the inventory has the groups {has}: name one with `--group`")]
    Group {
        /// The groups.
        has: String,
    },
}

/// The text of an export: UTF-8, or UTF-16 with a byte order mark, as PowerShell writes it.
///
/// # Errors
///
/// [`ImportError::NotText`] if it is neither.
pub fn text_of(bytes: &[u8]) -> Result<String, ImportError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
        text.ok_or(ImportError::NotText)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] | rest => {
            String::from_utf8(rest.to_vec()).map_err(|_| ImportError::NotText)
        }
    }
}

/// The names in an export. `column` names the column or key that holds them, `group` the group of an
/// inventory.
///
/// # Errors
///
/// [`ImportError`] says what else there is.
pub fn read_names(
    text: &str,
    format: Format,
    column: Option<&str>,
    group: Option<&str>,
) -> Result<Vec<String>, ImportError> {
    let names = match format {
        Format::Lines => lines(text)?,
        Format::Csv => csv(text, column)?,
        Format::Json => json(text, column, group)?,
    };
    if names.is_empty() { Err(ImportError::Empty) } else { Ok(names) }
}

fn lines(text: &str) -> Result<Vec<String>, ImportError> {
    let mut names = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let name = text.split('#').next().unwrap_or_default().trim();
        // The heading of `ansible GROUP --list-hosts`.
        if name.is_empty() || name.starts_with("hosts (") && name.ends_with("):") {
            continue;
        }
        if name.contains(|c: char| c.is_whitespace() || ",;\"".contains(c)) {
            let text = text.chars().take(80).collect();
            return Err(ImportError::Line { line, text });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn csv(text: &str, column: Option<&str>) -> Result<Vec<String>, ImportError> {
    // Windows PowerShell begins with the type of its objects.
    let skipped = usize::from(text.starts_with("#TYPE "));
    let body = text.splitn(skipped + 1, '\n').last().unwrap_or_default();
    let heading = body.lines().next().unwrap_or_default();
    let count = |separator: &char| heading.matches(*separator).count();
    let separator = ['\t', ';', ','].into_iter().max_by_key(count).unwrap_or(',');
    let mut records = records(body, separator, skipped + 1)?.into_iter();
    let heading = records.next().ok_or(ImportError::Empty)?;
    let place = column_of(&heading, column)?;
    let names = records.filter_map(|record| record.into_iter().nth(place));
    Ok(names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !" _-".contains(*c)).flat_map(char::to_lowercase).collect()
}

fn column_of(heading: &[String], wanted: Option<&str>) -> Result<usize, ImportError> {
    let place_of = |name: &str| heading.iter().position(|it| plain(it) == plain(name));
    let found = match wanted {
        Some(wanted) => place_of(wanted),
        None => HOST_COLUMNS.iter().find_map(|name| place_of(name)),
    };
    found.ok_or_else(|| ImportError::Column { has: listed(heading) })
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The records of comma-separated values, empty lines left out.
fn records(
    text: &str,
    separator: char,
    first_line: usize,
) -> Result<Vec<Vec<String>>, ImportError> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut opened, mut line) = (None, first_line);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        line += usize::from(letter == '\n');
        match (opened, letter) {
            (Some(_), '"') if letters.next_if_eq(&'"').is_some() => field.push('"'),
            (Some(_), '"') => opened = None,
            (None, '"') if field.is_empty() => opened = Some(line),
            (None, '\n') => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            (None, '\r') if letters.peek() == Some(&'\n') => {}
            (None, letter) if letter == separator => record.push(std::mem::take(&mut field)),
            (Some(_) | None, letter) => field.push(letter),
        }
    }
    if let Some(line) = opened {
        return Err(ImportError::Quotation(line));
    }
    record.push(field);
    records.push(record);
    records.retain(|record| record.iter().any(|field| !field.trim().is_empty()));
    Ok(records)
}

fn json(text: &str, column: Option<&str>, group: Option<&str>) -> Result<Vec<String>, ImportError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ImportError::Json(error.to_string()))?;
    match &value {
        Value::Array(all) => all.iter().map(|entry| name_in(entry, column)).collect(),
        Value::Object(groups) => {
            let is_group = |value: &Value| {
                value.get("hosts").is_some_and(Value::is_array)
                    || value.get("children").is_some_and(Value::is_array)
            };
            let has: Vec<String> = groups
                .iter()
                .filter(|(_, it)| is_group(it))
                .map(|(name, _)| name.clone())
                .collect();
            let wanted = match (group, has.as_slice()) {
                (Some(group), _) if has.iter().any(|it| it == group) => group,
                (None, [only]) => only,
                (_, []) => return Err(ImportError::Shape),
                (_, _) => return Err(ImportError::Group { has: listed(&has) }),
            };
            Ok(hosts_of(&value, wanted).into_iter().collect())
        }
        _ => Err(ImportError::Shape),
    }
}

/// The name in an entry of a list: itself, or what stands under the best of its keys.
fn name_in(entry: &Value, column: Option<&str>) -> Result<String, ImportError> {
    if let (Value::String(name), None) = (entry, column) {
        return Ok(name.clone());
    }
    let fields = entry.as_object().ok_or(ImportError::Shape)?;
    let keys: Vec<String> = fields.keys().cloned().collect();
    let key = &keys[column_of(&keys, column)?];
    fields[key].as_str().map(str::to_owned).ok_or(ImportError::Shape)
}

/// The hosts of an inventory's group and of all groups in it, however deep they lie in each other.
fn hosts_of(inventory: &Value, group: &str) -> BTreeSet<String> {
    let texts = |group: &str, key: &str| {
        let texts = inventory[group][key].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut left = vec![group.to_owned()];
    while let Some(group) = left.pop() {
        if !seen.contains(&group) {
            names.extend(texts(&group, "hosts"));
            left.extend(texts(&group, "children"));
            seen.insert(group);
        }
    }
    names
}
