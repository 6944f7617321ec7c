//! Entries as syslog messages (RFC 5424).

use super::AuditEntry;

/// Facility 13, log audit, times eight (section 6.2.1).
const FACILITY: u8 = 13 * 8;
/// The structured data's name. 32473 is the enterprise number that RFC 5612 keeps for those who
/// have none of their own.
const STRUCTURE: &str = "gofleet@32473";

/// The numerical values of section 6.2.1, table 2, that are used here.
#[derive(Clone, Copy)]
enum Severity {
    Alert = 1,
    Warning = 4,
    Notice = 5,
}

/// The entry as one message, for a transport that frames it. What follows the structured data is
/// the entry's line, so that the whole log can be verified where the messages are kept.
pub fn syslog_message(entry: &AuditEntry, hostname: &str) -> String {
    let priority = FACILITY + severity(&entry.action) as u8;
    let line = entry.line();
    // Section 6.4: text that is UTF-8 says so by its first bytes. ASCII is the same either way.
    let mark = if line.is_ascii() { "" } else { "\u{feff}" };
    format!(
        "<{priority}>1 {at} {host} gofleet - {id} [{STRUCTURE}{structure}] {mark}{line}",
        at = entry.at,
        host = header(hostname, 255),
        id = header(&entry.action, 32),
        structure = structure(entry),
    )
}

/// The message as TCP carries it: behind its length (RFC 6587, section 3.4.1).
pub fn octet_counted(message: &str) -> String {
    format!("{} {message}", message.len())
}

fn severity(action: &str) -> Severity {
    match action {
        "audit.history_lost" | "audit.head_lost" => Severity::Alert,
        "emergency.stopped" | "emergency.lifted" => Severity::Warning,
        _ => Severity::Notice,
    }
}

/// A field of the header: printable ASCII without spaces, or `-` for none (section 6).
fn header(text: &str, most: usize) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// The parameters, each behind a space.
fn structure(entry: &AuditEntry) -> String {
    let sequence = entry.sequence.to_string();
    let (previous, hash) = (entry.previous.to_string(), entry.hash.to_string());
    let parameters = [
        ("sequence", Some(sequence.as_str())),
        ("kind", Some(&entry.actor.kind)),
        ("actor", Some(&entry.actor.name)),
        ("via", entry.via.as_deref()),
        ("origin", entry.origin.as_deref()),
        ("action", Some(&entry.action)),
        ("subject", entry.subject.as_deref()),
        ("previous", Some(&previous)),
        ("hash", Some(&hash)),
    ];
    let given = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    given.map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))).collect()
}

/// Section 6.3.3: `"`, `\` and `]` stand behind a `\`. Control characters are legal there and
/// break receivers; they are left out, and stand in the entry's line as they are.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars().filter(|c| !c.is_control()) {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
