//! The keys of the configuration: the one table that the file, the environment, the flags and the
//! documentation are read by.

/// A setting's names.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// In the file.
    pub name: &'static str,
    /// In the environment.
    pub environment: &'static str,
    /// On the command line.
    pub flag: &'static str,
    /// What holds if nobody says anything; for `data` a folder of the user's.
    pub default: &'static str,
    /// What it means, beginning in lower case.
    pub meaning: &'static str,
}

/// Every setting.
pub const KEYS: [Key; 39] = [
    Key {
        name: "listen",
        environment: "GOFLEET_LISTEN",
        flag: "--listen",
        default: "127.0.0.1:8470",
        meaning: "the address and port to listen on, like 127.0.0.1:8470; port 0: any free one",
    },
    Key {
        name: "data",
        environment: "GOFLEET_DATA",
        flag: "--data",
        default: "",
        meaning: "the folder that holds everything that the server keeps",
    },
    Key {
        name: "public_url",
        environment: "GOFLEET_PUBLIC_URL",
        flag: "--public-url",
        default: "",
        meaning: "the address that browsers and agents reach the server by, if it is another one, \
                  like https://go.example.org",
    },
    Key {
        name: "tls_names",
        environment: "GOFLEET_TLS_NAMES",
        flag: "--tls-names",
        default: "",
        meaning: "more names and addresses that the server is reached by, for its certificate, like \
                  gofleet.example.org,10.0.0.7",
    },
    Key {
        name: "tls_certificate",
        environment: "GOFLEET_TLS_CERTIFICATE",
        flag: "--tls-certificate",
        default: "",
        meaning: "the server's certificate with its chain in PEM, instead of one of its own \
                  authority",
    },
    Key {
        name: "tls_key",
        environment: "GOFLEET_TLS_KEY",
        flag: "--tls-key",
        default: "",
        meaning: "the key of `tls_certificate` in PEM",
    },
    Key {
        name: "plain_http",
        environment: "GOFLEET_PLAIN_HTTP",
        flag: "--plain-http",
        default: "true",
        meaning: "whether this machine itself (nobody else) may use plain HTTP, true or false",
    },
    Key {
        name: "certificate_lifetime",
        environment: "GOFLEET_CERTIFICATE_LIFETIME",
        flag: "--certificate-lifetime",
        default: "90d",
        meaning: "for how long a device's certificate is good, like 90d; it is renewed after two \
                  thirds of it",
    },
    Key {
        name: "token_lifetime",
        environment: "GOFLEET_TOKEN_LIFETIME",
        flag: "--token-lifetime",
        default: "1h",
        meaning: "for how long an enrolment token is good, like 1h",
    },
    Key {
        name: "session_lifetime",
        environment: "GOFLEET_SESSION_LIFETIME",
        flag: "--session-lifetime",
        default: "12h",
        meaning: "for how long a login to the console is good, like 12h",
    },
    Key {
        name: "reconcile_every",
        environment: "GOFLEET_RECONCILE_EVERY",
        flag: "--reconcile-every",
        default: "1s",
        meaning: "how often rollouts are looked at even if nothing was reported, like 1s",
    },
    Key {
        name: "max_upload_bytes",
        environment: "GOFLEET_MAX_UPLOAD_BYTES",
        flag: "--max-upload-bytes",
        // Four times the largest archive of Go 1.27 leaves room for packages that are not Go.
        default: "1073741824",
        meaning: "the size of the largest archive that is taken, in bytes",
    },
    Key {
        name: "blast_radius",
        environment: "GOFLEET_BLAST_RADIUS",
        flag: "--blast-radius",
        default: "none",
        meaning: "how many devices may be in flight or broken at once over all rollouts, like 500 \
                  or 5%",
    },
    Key {
        name: "prepare",
        environment: "GOFLEET_PREPARE",
        flag: "--prepare",
        default: "true",
        meaning: "whether packs and deltas are made in the background, true or false",
    },
    Key {
        name: "anomaly_rules",
        environment: "GOFLEET_ANOMALY_RULES",
        flag: "--anomaly-rules",
        default: gofleet_core::anomaly::DEFAULT_RULES,
        meaning: "the rules by which a device is put into quarantine by itself, separated by `;`, \
                  or none",
    },
    Key {
        name: "anomaly_release_after",
        environment: "GOFLEET_ANOMALY_RELEASE_AFTER",
        flag: "--anomaly-release-after",
        default: "10m",
        meaning: "how long a device must be well before an anomaly's quarantine ends by itself, \
                  like 10m",
    },
    Key {
        name: "anomaly_max_share",
        environment: "GOFLEET_ANOMALY_MAX_SHARE",
        flag: "--anomaly-max-share",
        default: "10%",
        meaning: "the largest part of a class that is taken out for anomalies at once, like 10%; \
                  one device always may be",
    },
    Key {
        name: "hook_command",
        environment: "GOFLEET_HOOK_COMMAND",
        flag: "--hook-command",
        default: "",
        meaning: "the program to run when a device is put into quarantine or let in, like \
                  /opt/drain or ['/opt/drain', '--now']; no shell reads it",
    },
    Key {
        name: "hook_url",
        environment: "GOFLEET_HOOK_URL",
        flag: "--hook-url",
        default: "",
        meaning: "the address to post the same to, like https://ci.example.org/drain",
    },
    Key {
        name: "hook_secret_file",
        environment: "GOFLEET_HOOK_SECRET_FILE",
        flag: "--hook-secret-file",
        default: "",
        meaning: "the file with the secret that signs what is posted, by the rules of Standard \
                  Webhooks",
    },
    Key {
        name: "hook_timeout",
        environment: "GOFLEET_HOOK_TIMEOUT",
        flag: "--hook-timeout",
        default: "30s",
        meaning: "how long one attempt to tell a hook may take, like 30s",
    },
    Key {
        name: "ldap_url",
        environment: "GOFLEET_LDAP_URL",
        flag: "--ldap-url",
        default: "",
        meaning: "the directory whose people may sign in, like ldaps://dc.example.org; with \
                  ldap:// the connection begins with StartTLS, for it is never used without TLS",
    },
    Key {
        name: "ldap_ca_file",
        environment: "GOFLEET_LDAP_CA_FILE",
        flag: "--ldap-ca-file",
        default: "",
        meaning: "the certificates that vouch for the directory, in PEM, instead of those of the \
                  system",
    },
    Key {
        name: "ldap_bind_name",
        environment: "GOFLEET_LDAP_BIND_NAME",
        flag: "--ldap-bind-name",
        default: "",
        meaning: "the distinguished name as which the server looks for people, like \
                  cn=gofleet,ou=services,dc=example,dc=org",
    },
    Key {
        name: "ldap_bind_password_file",
        environment: "GOFLEET_LDAP_BIND_PASSWORD_FILE",
        flag: "--ldap-bind-password-file",
        default: "",
        meaning: "the file with the password of `ldap_bind_name`",
    },
    Key {
        name: "ldap_base",
        environment: "GOFLEET_LDAP_BASE",
        flag: "--ldap-base",
        default: "",
        meaning: "the entry below which people and groups are, like dc=example,dc=org",
    },
    Key {
        name: "ldap_user_filter",
        environment: "GOFLEET_LDAP_USER_FILTER",
        flag: "--ldap-user-filter",
        default: "(objectClass=person)",
        meaning: "what is asked of an entry before it counts as a person, by RFC 4515",
    },
    Key {
        name: "ldap_name_attribute",
        environment: "GOFLEET_LDAP_NAME_ATTRIBUTE",
        flag: "--ldap-name-attribute",
        default: "uid",
        meaning: "the attribute with the name by which people sign in; in Active Directory \
                  sAMAccountName",
    },
    Key {
        name: "ldap_group_filter",
        environment: "GOFLEET_LDAP_GROUP_FILTER",
        flag: "--ldap-group-filter",
        default: "(|(member={dn})(uniqueMember={dn}))",
        meaning: "which groups somebody belongs to; in Active Directory \
                  (member:1.2.840.113556.1.4.1941:={dn}) finds groups in groups too",
    },
    Key {
        name: "ldap_groups",
        environment: "GOFLEET_LDAP_GROUPS",
        flag: "--ldap-groups",
        default: "",
        meaning: "the roles that groups give, like \
                  { 'cn=go-operators,ou=groups,dc=example,dc=org' = ['operator@berlin'] }",
    },
    Key {
        name: "ldap_refresh",
        environment: "GOFLEET_LDAP_REFRESH",
        flag: "--ldap-refresh",
        default: "15m",
        meaning: "how often the directory is asked again about all who have signed in, like 15m",
    },
    Key {
        name: "oidc_issuer",
        environment: "GOFLEET_OIDC_ISSUER",
        flag: "--oidc-issuer",
        default: "",
        meaning: "the provider of OpenID Connect at whom people may sign in, exactly as it names \
                  itself, like https://id.example.org/realms/staff; `public_url` is needed too",
    },
    Key {
        name: "oidc_client_id",
        environment: "GOFLEET_OIDC_CLIENT_ID",
        flag: "--oidc-client-id",
        default: "",
        meaning: "the name by which the provider knows this server",
    },
    Key {
        name: "oidc_client_secret_file",
        environment: "GOFLEET_OIDC_CLIENT_SECRET_FILE",
        flag: "--oidc-client-secret-file",
        default: "",
        meaning: "the file with the secret that the provider gave for `oidc_client_id`, if it \
                  did",
    },
    Key {
        name: "oidc_ca_file",
        environment: "GOFLEET_OIDC_CA_FILE",
        flag: "--oidc-ca-file",
        default: "",
        meaning: "the certificates that vouch for the provider, in PEM, instead of those of the \
                  system",
    },
    Key {
        name: "oidc_scopes",
        environment: "GOFLEET_OIDC_SCOPES",
        flag: "--oidc-scopes",
        default: "openid profile",
        meaning: "what the provider is asked to tell, separated by spaces",
    },
    Key {
        name: "oidc_name_claim",
        environment: "GOFLEET_OIDC_NAME_CLAIM",
        flag: "--oidc-name-claim",
        default: "preferred_username",
        meaning: "the claim with the name of the account",
    },
    Key {
        name: "oidc_groups_claim",
        environment: "GOFLEET_OIDC_GROUPS_CLAIM",
        flag: "--oidc-groups-claim",
        default: "groups",
        meaning: "the claim with the groups of whoever signs in",
    },
    Key {
        name: "oidc_groups",
        environment: "GOFLEET_OIDC_GROUPS",
        flag: "--oidc-groups",
        default: "",
        meaning: "the roles that these groups give, like { go-operators = ['operator@berlin'] }",
    },
];

/// The key that looks most like `text`.
pub(super) fn nearest(text: &str) -> &'static str {
    gofleet_core::nearest::nearest(text, KEYS.map(|key| key.name)).expect("there are keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (text, expect) in [
            ("lisen", "listen"),
            ("Listen", "listen"),
            ("data_dir", "data"),
            ("public-url", "public_url"),
            ("token-lifetime", "token_lifetime"),
            ("max_upload", "max_upload_bytes"),
        ] {
            assert_eq!(nearest(text), expect, "{text}");
        }
    }
}
