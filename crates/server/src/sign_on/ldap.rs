//! Asks a directory over LDAP who somebody is, and which groups they belong to.
//!
//! The connection is encrypted before anything is said. What comes from whoever signs in stands in
//! filters in escaped form only (RFC 4515, section 3). Referrals are not followed: a directory
//! doesn't send the server, and people's passwords, elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gofleet_core::account::{AccountSource, Grant};
use gofleet_core::hex;
use gofleet_core::ids::AccountName;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry,
    SearchOptions, ldap_escape,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Known;
use crate::config::LdapSettings;

/// How long the directory may take to take a connection, and for each answer. A login makes at most
/// five of these, and has half a minute.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The most groups of one person that are read.
const MAX_GROUPS: i32 = 2000;
/// Results of RFC 4511, appendix A.
const SUCCESS: u32 = 0;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;
/// Attributes that name an entry for good: RFC 4530, and Active Directory's.
const ENTRY_UUID: &str = "entryUUID";
const OBJECT_GUID: &str = "objectGUID";

/// Why the directory can't be used as it is set.
#[derive(Debug, Error)]
pub enum LdapSetupError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no password: without one every name would be let in (RFC 4513, 5.1.2).
    #[error("{} holds no password", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no certificate.
    #[error("{} holds no usable certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// Why the directory does not answer what it is asked.
#[derive(Debug, Error)]
pub enum LdapFailure {
    /// It can't be reached, or not be trusted, or says nothing in time.
    #[error("the directory does not answer")]
    NoAnswer(#[source] LdapError),
    /// It refuses.
    #[error("the directory refuses {what}: {result}")]
    Refused {
        /// What it was asked.
        what: &'static str,
        /// Its words.
        result: LdapResult,
    },
    /// Its answer means nothing.
    #[error("the directory answers what can't be read")]
    Unreadable,
}

/// The directory, ready to be asked.
#[derive(Debug)]
pub struct Directory {
    settings: LdapSettings,
    password: Option<Zeroizing<String>>,
    tls: Option<Arc<ClientConfig>>,
}

/// An entry that was found.
struct Entry {
    dn: String,
    name: AccountName,
    note: String,
    subject: String,
}

impl Directory {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// [`LdapSetupError`] names the file that is of no use.
    pub fn new(settings: LdapSettings) -> Result<Self, LdapSetupError> {
        gofleet_api::install_crypto_provider();
        let tls = settings.ca_file.as_deref().map(trusting).transpose()?;
        let password = settings.bind_password_file.as_deref().map(password_in).transpose()?;
        Ok(Self { settings, password, tls })
    }

    /// How often it is asked again.
    pub fn refresh(&self) -> Duration {
        self.settings.refresh.as_duration()
    }

    /// Who this is, if the password is right. Who is not there costs the same questions.
    ///
    /// # Errors
    ///
    /// [`LdapFailure`] if the directory can't say.
    pub async fn sign_in(
        self: &Arc<Self>,
        name: &AccountName,
        password: &str,
    ) -> Result<Option<Known>, LdapFailure> {
        // A bind without a password succeeds and proves nothing (RFC 4513, section 5.1.2).
        if password.is_empty() {
            return Ok(None);
        }
        let password = Zeroizing::new(password.to_owned());
        self.ask(name, move |directory, name| async move {
            let mut ldap = directory.connect().await?;
            let entry = directory.entry(&mut ldap, &name).await?;
            let nobody = || format!("cn=gofleet-nobody,{}", directory.settings.base);
            let dn = entry.as_ref().map_or_else(nobody, |entry| entry.dn.clone());
            let bind = ldap.with_timeout(TIMEOUT).simple_bind(&dn, &password);
            let result = bind.await.map_err(LdapFailure::NoAnswer)?;
            match (result.rc, entry) {
                (SUCCESS, Some(entry)) => {
                    directory.bind(&mut ldap).await?;
                    directory.known(&mut ldap, entry).await.map(Some)
                }
                (BUSY | UNAVAILABLE, _) => {
                    Err(LdapFailure::Refused { what: "to look at a password", result })
                }
                _ => Ok(None),
            }
        })
        .await
    }

    /// Who this is, if there still is somebody of this name.
    ///
    /// # Errors
    ///
    /// [`LdapFailure`] if the directory can't say.
    pub async fn find(self: &Arc<Self>, name: &AccountName) -> Result<Option<Known>, LdapFailure> {
        self.ask(name, |directory, name| async move {
            let mut ldap = directory.connect().await?;
            match directory.entry(&mut ldap, &name).await? {
                Some(entry) => directory.known(&mut ldap, entry).await.map(Some),
                None => Ok(None),
            }
        })
        .await
    }

    /// Asks in a task of its own: the library panics at what is no LDAP.
    async fn ask<F: Future<Output = Result<Option<Known>, LdapFailure>> + Send + 'static>(
        self: &Arc<Self>,
        name: &AccountName,
        question: impl FnOnce(Arc<Self>, AccountName) -> F,
    ) -> Result<Option<Known>, LdapFailure> {
        let task = tokio::spawn(question(Arc::clone(self), name.clone()));
        task.await.unwrap_or(Err(LdapFailure::Unreadable))
    }

    /// An encrypted connection, on which the server has said who it is.
    async fn connect(&self) -> Result<Ldap, LdapFailure> {
        let mut settings = LdapConnSettings::new().set_conn_timeout(TIMEOUT).set_starttls(true);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let connection = LdapConnAsync::with_settings(settings, &self.settings.url);
        let (connection, mut ldap) = connection.await.map_err(LdapFailure::NoAnswer)?;
        // What fails there, whoever asks is told too.
        tokio::spawn(async move { drop(connection.drive().await) });
        self.bind(&mut ldap).await?;
        Ok(ldap)
    }

    async fn bind(&self, ldap: &mut Ldap) -> Result<(), LdapFailure> {
        let (name, password) = match (&self.settings.bind_name, &self.password) {
            (Some(name), Some(password)) => (name.as_str(), password.as_str()),
            _ => ("", ""),
        };
        let result = ldap.with_timeout(TIMEOUT).simple_bind(name, password).await;
        succeeded("the server's own name", result.map_err(LdapFailure::NoAnswer)?)
    }

    /// The one entry whose name is this one.
    async fn entry(
        &self,
        ldap: &mut Ldap,
        name: &AccountName,
    ) -> Result<Option<Entry>, LdapFailure> {
        let LdapSettings { user_filter, name_attribute, .. } = &self.settings;
        let filter = format!("(&{user_filter}({name_attribute}={}))", ldap_escape(name.as_str()));
        let attributes = [name_attribute, "displayName", "cn", ENTRY_UUID, OBJECT_GUID];
        let mut found = self.search(ldap, &filter, &attributes, 2).await?;
        // One whose name two have is nobody: the directory would have to be mended first.
        let Some(entry) = found.pop().filter(|_| found.is_empty()) else { return Ok(None) };
        let value = |wanted: &str| first(&entry, wanted);
        // Directories compare names by rules of their own; the account has the name that it has
        // there, so that nobody has two.
        let own = value(name_attribute).and_then(|own| own.parse::<AccountName>().ok());
        let Some(own) = own.filter(|own| own.key() == name.key()) else { return Ok(None) };
        let subject = value(ENTRY_UUID)
            .or_else(|| bytes(&entry, OBJECT_GUID).map(|guid| hex::encode(&guid)))
            .unwrap_or_else(|| entry.dn.to_lowercase());
        let note = value("displayName").or_else(|| value("cn")).unwrap_or_default();
        Ok(Some(Entry { dn: entry.dn, name: own, note, subject }))
    }

    /// An entry with the roles that its groups give.
    async fn known(&self, ldap: &mut Ldap, entry: Entry) -> Result<Known, LdapFailure> {
        let Entry { dn, name, note, subject } = entry;
        let filter = self.settings.group_filter.replace("{dn}", &ldap_escape(dn.as_str()));
        let groups = self.search(ldap, &filter, &["1.1"], MAX_GROUPS).await?;
        let grants: Vec<Grant> =
            self.settings.groups.of(groups.iter().map(|group| group.dn.as_str()));
        Ok(Known { name, note, source: AccountSource::Ldap { subject }, grants })
    }

    async fn search(
        &self,
        ldap: &mut Ldap,
        filter: &str,
        attributes: &[&str],
        limit: i32,
    ) -> Result<Vec<SearchEntry>, LdapFailure> {
        let options = SearchOptions::new().sizelimit(limit);
        let search = ldap.with_timeout(TIMEOUT).with_search_options(options).search(
            &self.settings.base,
            Scope::Subtree,
            filter,
            attributes,
        );
        let found = search.await.map_err(LdapFailure::NoAnswer)?;
        succeeded("a search", found.1)?;
        Ok(found.0.into_iter().map(SearchEntry::construct).collect())
    }
}

fn succeeded(what: &'static str, result: LdapResult) -> Result<(), LdapFailure> {
    if result.rc == SUCCESS { Ok(()) } else { Err(LdapFailure::Refused { what, result }) }
}

/// The first value of an attribute, whose name may be written otherwise.
fn first(entry: &SearchEntry, wanted: &str) -> Option<String> {
    let (_, values) = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    values.first().filter(|value| !value.is_empty()).cloned()
}

/// The same of one that is no text, or only seems to be.
fn bytes(entry: &SearchEntry, wanted: &str) -> Option<Vec<u8>> {
    let found = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let binary = found.and_then(|(_, values)| values.first().cloned());
    binary.or_else(|| first(entry, wanted).map(String::into_bytes))
}

fn trusting(path: &Path) -> Result<Arc<ClientConfig>, LdapSetupError> {
    let pem = std::fs::read(path)
        .map_err(|source| LdapSetupError::File { path: path.to_owned(), source })?;
    let unusable = || LdapSetupError::NoCertificate { path: path.to_owned() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

fn password_in(path: &Path) -> Result<Zeroizing<String>, LdapSetupError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| LdapSetupError::File { path: path.to_owned(), source })?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(LdapSetupError::NoPassword { path: path.to_owned() });
    }
    Ok(Zeroizing::new(password.to_owned()))
}
