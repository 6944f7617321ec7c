//! A backup of a group policy object that sets an agent's settings, as the Group Policy Management
//! Console makes and imports them.
//!
//! The same settings and name give the same bytes: identifiers are UUIDs of version 8 (RFC 9562,
//! 5.8) from SHA-256 of the content, and the time is a fixed one.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::templates::escape;
use super::{PolError, encode, records};
use crate::settings::Value;

/// The extension that applies `registry.pol`, and the tool that edits it (\[MS-GPREG\] 1.9; the
/// tool's identifier is the one that the console itself writes for administrative templates).
const REGISTRY: &str = "{35378EAC-683F-11D2-A89A-00C04FBBCFA2}";
const TEMPLATES: &str = "{D02B1F72-3407-48AE-BA88-E8213C6761F1}";
/// Console and domain of the backup are of no importance when it is imported, but must be there.
const DOMAIN: &str = "gofleet.invalid";
const MANIFEST: &str = "http://www.microsoft.com/GroupPolicy/GPOOperations/Manifest";
const OPERATIONS: &str = "http://www.microsoft.com/GroupPolicy/GPOOperations";
const TIME: &str = "2000-01-01T00:00:00";

/// A backup's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its identifier, in braces: the name of its folder.
    pub id: String,
    /// Their names below the folder of all backups, with `/`, and their content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A policy called `name` that sets these settings, which [fit](crate::settings::Setting::check).
///
/// # Errors
///
/// [`PolError`] if they do not.
pub fn backup(name: &str, values: &BTreeMap<&'static str, Value>) -> Result<Backup, PolError> {
    let pol = encode(&records(values))?;
    let policy = uuid("policy", &[name.as_bytes()]);
    let id = uuid("backup", &[name.as_bytes(), &pol]);
    let instance = instance(name, &policy, &id);
    let manifest = format!(
        "{XML}<Backups xmlns=\"{MANIFEST}\" xmlns:mfst=\"{MANIFEST}\" mfst:version=\"1.0\">\
         <BackupInst>{instance}</BackupInst></Backups>\r\n"
    );
    let info = format!("{XML}<BackupInst xmlns=\"{MANIFEST}\">{instance}</BackupInst>\r\n");
    let files = vec![
        ("manifest.xml".to_owned(), manifest.into_bytes()),
        (format!("{id}/bkupInfo.xml"), info.into_bytes()),
        (format!("{id}/Backup.xml"), template(name, &policy).into_bytes()),
        (format!("{id}/DomainSysvol/GPO/Machine/registry.pol"), pol),
    ];
    Ok(Backup { id, files })
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n";

/// What manifest and backup both say of it.
fn instance(name: &str, policy: &str, id: &str) -> String {
    let domain_id = uuid("domain", &[]);
    let name = escape(name);
    format!(
        "<GPOGuid>{policy}</GPOGuid><GPODomain>{DOMAIN}</GPODomain>\
         <GPODomainGuid>{domain_id}</GPODomainGuid>\
         <GPODomainController>{DOMAIN}</GPODomainController><BackupTime>{TIME}</BackupTime>\
         <ID>{id}</ID><Comment></Comment><GPODisplayName>{name}</GPODisplayName>"
    )
}

/// What is restored, and where it lies. Importing takes the settings only; rights and links stay
/// those of the policy that is imported into.
fn template(name: &str, policy: &str) -> String {
    let name = escape(name);
    let path = format!(r"\\{DOMAIN}\sysvol\{DOMAIN}\Policies\{policy}");
    format!(
        "{XML}<GroupPolicyBackupScheme bkp:version=\"2.0\" \
         bkp:type=\"GroupPolicyBackupTemplate\" xmlns:bkp=\"{OPERATIONS}\" \
         xmlns=\"{OPERATIONS}\">\r\n\
         <GroupPolicyObject><SecurityGroups/><FilePaths/><GroupPolicyCoreSettings>\
         <ID>{policy}</ID><Domain>{DOMAIN}</Domain><SecurityDescriptor/>\
         <DisplayName>{name}</DisplayName><Options>0</Options>\
         <UserVersionNumber>0</UserVersionNumber>\
         <MachineVersionNumber>65537</MachineVersionNumber>\
         <MachineExtensionGuids>[{REGISTRY}{TEMPLATES}]</MachineExtensionGuids>\
         <UserExtensionGuids/><WMIFilter/></GroupPolicyCoreSettings>\r\n\
         <GroupPolicyExtension bkp:ID=\"{REGISTRY}\" bkp:DescName=\"Registry\">\
         <FSObjectFile bkp:Path=\"%GPO_MACH_FSPATH%\\registry.pol\" \
         bkp:SourceExpandedPath=\"{path}\\Machine\\registry.pol\" \
         bkp:Location=\"DomainSysvol\\GPO\\Machine\\registry.pol\"/></GroupPolicyExtension>\r\n\
         </GroupPolicyObject></GroupPolicyBackupScheme>\r\n"
    )
}

/// In braces and upper case, as Windows writes them.
fn uuid(purpose: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"gofleet group policy ");
    for part in [purpose.as_bytes()].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes: [u8; 16] = std::array::from_fn(|at| digest[at]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::hex::encode(&bytes).to_uppercase();
    format!("{{{}-{}-{}-{}-{}}}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
