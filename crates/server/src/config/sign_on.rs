//! Settings of the directory, and of the provider of single sign-on, whose people may sign in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gofleet_core::account::{Grant, GroupGrants, Naming};
use gofleet_core::address;
use gofleet_core::time::Span;

use super::{ConfigError, Origin, folder, read, read_if_given, span};

/// A directory that is asked over LDAP who somebody is, and which groups they belong to.
#[derive(Debug, Clone)]
pub struct LdapSettings {
    /// Like `ldaps://dc.example.org`; with `ldap://` the connection begins with StartTLS.
    pub url: String,
    /// The certificates that vouch for the directory, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// As whom the server looks for people; none: without a name.
    pub bind_name: Option<String>,
    /// The file with that name's password.
    pub bind_password_file: Option<PathBuf>,
    /// Below which entry people and groups are.
    pub base: String,
    /// What is asked of an entry before it counts as a person.
    pub user_filter: String,
    /// The attribute with the name by which people sign in.
    pub name_attribute: String,
    /// Which groups somebody belongs to; `{dn}` stands for their distinguished name.
    pub group_filter: String,
    /// The roles that groups give.
    pub groups: GroupGrants,
    /// How often it is asked again of all who have signed in.
    pub refresh: Span,
}

/// A provider of OpenID Connect, at whom people sign in.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Its address, exactly as it names itself.
    pub issuer: String,
    /// As whom it knows the server.
    pub client_id: String,
    /// The file with the secret that proves it; none: the provider asks for none.
    pub client_secret_file: Option<PathBuf>,
    /// The certificates that vouch for it, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// What it is asked to tell, separated by spaces.
    pub scopes: String,
    /// The claim with the name of the account.
    pub name_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// The roles that groups give.
    pub groups: GroupGrants,
    /// Where people come back to.
    pub redirect_uri: String,
}

/// Where people come back to from the provider.
pub const CALLBACK: &str = "/login/oidc/callback";

type Values = BTreeMap<&'static str, (String, Origin)>;

/// The directory, if one is set.
pub(super) fn ldap(values: &Values) -> Result<Option<LdapSettings>, ConfigError> {
    let Some(url) = read_if_given(values, "ldap_url", ldap_url)? else { return Ok(None) };
    let needed = |text: &str| match text {
        "" => Err("it is needed where `ldap_url` is set"),
        text => Ok(text.to_owned()),
    };
    let bind_name = read_if_given(values, "ldap_bind_name", needed)?;
    let bind_password_file = match &bind_name {
        Some(_) => Some(read(values, "ldap_bind_password_file", |text| {
            if text.is_empty() { Err("`ldap_bind_name` has a password") } else { folder(text) }
        })?),
        None => None,
    };
    Ok(Some(LdapSettings {
        url,
        ca_file: read_if_given(values, "ldap_ca_file", folder)?,
        bind_name,
        bind_password_file,
        base: read(values, "ldap_base", needed)?,
        user_filter: read(values, "ldap_user_filter", filter)?,
        name_attribute: read(values, "ldap_name_attribute", attribute)?,
        group_filter: read(values, "ldap_group_filter", group_filter)?,
        groups: read(values, "ldap_groups", |text| groups(text, Naming::Distinguished))?,
        refresh: read(values, "ldap_refresh", span)?,
    }))
}

/// The provider, if one is set.
pub(super) fn oidc(
    values: &Values,
    public_url: Option<&str>,
) -> Result<Option<OidcSettings>, ConfigError> {
    let Some(issuer) = read_if_given(values, "oidc_issuer", |text| issuer(text, public_url))?
    else {
        return Ok(None);
    };
    let needed = |text: &str| match text {
        "" => Err("it is needed where `oidc_issuer` is set"),
        text => Ok(text.to_owned()),
    };
    let scopes = |text: &str| match text.split(' ').any(|scope| scope == "openid") {
        true => Ok(text.to_owned()),
        false => Err("it must have the scope `openid`"),
    };
    Ok(Some(OidcSettings {
        issuer,
        client_id: read(values, "oidc_client_id", needed)?,
        client_secret_file: read_if_given(values, "oidc_client_secret_file", folder)?,
        ca_file: read_if_given(values, "oidc_ca_file", folder)?,
        scopes: read(values, "oidc_scopes", scopes)?,
        name_claim: read(values, "oidc_name_claim", needed)?,
        groups_claim: read(values, "oidc_groups_claim", needed)?,
        groups: read(values, "oidc_groups", |text| groups(text, Naming::Exact))?,
        redirect_uri: format!("{}{CALLBACK}", public_url.unwrap_or_default()),
    }))
}

/// An address by https; by http only on this machine, where nobody listens between.
fn issuer(text: &str, public_url: Option<&str>) -> Result<String, String> {
    address::check(text).map_err(|rule| format!("it {rule}"))?;
    let url: reqwest::Url = text.parse().map_err(|_| "it is no address".to_owned())?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    if url.scheme() != "https" && !is_here {
        return Err("it must begin with https://".to_owned());
    }
    if public_url.is_none() {
        return Err("`public_url` must be set too: people come back to it".to_owned());
    }
    Ok(text.to_owned())
}

fn ldap_url(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("ldaps://").or_else(|| text.strip_prefix("ldap://"));
    let is_host = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
    };
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if is_host(host) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("it is like ldaps://dc.example.org, or ldap://dc.example.org:389 for StartTLS"),
    }
}

fn filter(text: &str) -> Result<String, &'static str> {
    match ldap3::parse_filter(text) {
        Ok(_) if text.starts_with('(') => Ok(text.to_owned()),
        _ => Err("it is not a filter like (objectClass=person) (RFC 4515)"),
    }
}

fn group_filter(text: &str) -> Result<String, &'static str> {
    if !text.contains("{dn}") {
        return Err("it must ask for `{dn}`, like (member={dn})");
    }
    filter(&text.replace("{dn}", "cn=x"))?;
    Ok(text.to_owned())
}

fn attribute(text: &str) -> Result<String, &'static str> {
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits { Ok(text.to_owned()) } else { Err("it is not the name of an attribute, like uid") }
}

/// Groups and their roles, as an inline table of TOML.
fn groups(text: &str, naming: Naming) -> Result<GroupGrants, String> {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        groups: BTreeMap<String, Vec<Grant>>,
    }
    let example = match naming {
        Naming::Distinguished => {
            "it is like { 'cn=go-operators,ou=groups,dc=example,dc=org' = ['operator'] }"
        }
        Naming::Exact => "it is like { go-operators = ['operator'] }",
    };
    if text.is_empty() {
        return Err(format!("no group has a role, so nobody could sign in: {example}"));
    }
    let wrapped: Wrapped = toml::from_str(&format!("groups = {text}"))
        .map_err(|error| format!("{}: {example}", error.message()))?;
    let groups = GroupGrants::new(naming, wrapped.groups);
    if groups.is_empty() { Err(format!("no group has a role: {example}")) } else { Ok(groups) }
}
