//! Settings from everywhere, each with its origin.

use std::path::{Path, PathBuf};

use gofleet_server::config::{KEYS, Origin};
use gofleet_server::{ConfigError, ServerConfig, Sources};

struct Given<'a> {
    file: Option<&'a Path>,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

fn load(given: &Given<'_>) -> Result<ServerConfig, ConfigError> {
    let flags: Vec<_> =
        given.flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    ServerConfig::load(&Sources {
        default_data: PathBuf::from("/default/data"),
        file: given.file,
        environment: &|name| {
            let found = given.environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        },
        flags: &flags,
    })
}

const NOTHING: Given<'_> = Given { file: None, environment: &[], flags: &[] };

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn it_starts_without_any_configuration() {
    let config = load(&NOTHING).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8470");
    assert_eq!(config.data, Path::new("/default/data"));
    assert!(KEYS.iter().all(|key| *config.origin(key.name) == Origin::Default));
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let file = file(
        "listen = \"127.0.0.1:1\"\ndata = \"/file\"\ntoken_lifetime = \"5m\"\n\
         max_upload_bytes = 5000\n",
    );
    let config = load(&Given {
        file: Some(file.path()),
        environment: &[("GOFLEET_LISTEN", "127.0.0.1:2"), ("GOFLEET_DATA", "/environment")],
        flags: &[("listen", "127.0.0.1:3")],
    })
    .unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(*config.origin("listen"), Origin::Flag("--listen"));
    assert_eq!(config.data, Path::new("/environment"));
    assert_eq!(*config.origin("data"), Origin::Environment("GOFLEET_DATA"));
    assert_eq!(config.token_lifetime.to_string(), "5m");
    assert_eq!(*config.origin("token_lifetime"), Origin::File(file.path().to_owned()));
    assert_eq!(config.max_upload_bytes, 5000);
    assert_eq!(*config.origin("session_lifetime"), Origin::Default);
}

#[test]
fn the_origins_are_printed_for_people_and_programs() {
    let config = load(&Given { environment: &[("GOFLEET_LISTEN", "[::1]:9")], ..NOTHING }).unwrap();
    insta::assert_snapshot!(config.table(), @r"
    listen                   [::1]:9                                   GOFLEET_LISTEN
    data                     /default/data                             default
    public_url               -                                         default
    tls_names                -                                         default
    tls_certificate          -                                         default
    tls_key                  -                                         default
    plain_http               true                                      default
    certificate_lifetime     90d                                       default
    token_lifetime           1h                                        default
    session_lifetime         12h                                       default
    reconcile_every          1s                                        default
    max_upload_bytes         1073741824                                default
    blast_radius             none                                      default
    prepare                  true                                      default
    anomaly_rules            busy: processor > 95% for 5m; errors: errors > 100/min for 1m and errors > 10x baseline; silent: silent for 10m  default
    anomaly_release_after    10m                                       default
    anomaly_max_share        10%                                       default
    hook_command             -                                         default
    hook_url                 -                                         default
    hook_secret_file         -                                         default
    hook_timeout             30s                                       default
    ldap_url                 -                                         default
    ldap_ca_file             -                                         default
    ldap_bind_name           -                                         default
    ldap_bind_password_file  -                                         default
    ldap_base                -                                         default
    ldap_user_filter         (objectClass=person)                      default
    ldap_name_attribute      uid                                       default
    ldap_group_filter        (|(member={dn})(uniqueMember={dn}))       default
    ldap_groups              -                                         default
    ldap_refresh             15m                                       default
    oidc_issuer              -                                         default
    oidc_client_id           -                                         default
    oidc_client_secret_file  -                                         default
    oidc_ca_file             -                                         default
    oidc_scopes              openid profile                            default
    oidc_name_claim          preferred_username                        default
    oidc_groups_claim        groups                                    default
    oidc_groups              -                                         default
    ");
    assert_eq!(config.json()["listen"]["value"], "[::1]:9");
    assert_eq!(config.json()["listen"]["origin"], "GOFLEET_LISTEN");
    assert_eq!(config.json()["public_url"]["value"], serde_json::Value::Null);
}

#[test]
fn a_misspelt_key_names_the_one_that_was_meant() {
    let file = file("lisen = \"127.0.0.1:1\"\n");
    let error = load(&Given { file: Some(file.path()), ..NOTHING }).unwrap_err();
    assert!(error.to_string().contains("`lisen`"), "{error}");
    assert!(error.hint().unwrap().contains("`listen`"), "{error:?}");
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_origin() {
    for (name, variable, value) in [
        ("listen", "GOFLEET_LISTEN", "8470"),
        ("token_lifetime", "GOFLEET_TOKEN_LIFETIME", "an hour"),
        ("token_lifetime", "GOFLEET_TOKEN_LIFETIME", "0s"),
        ("max_upload_bytes", "GOFLEET_MAX_UPLOAD_BYTES", "-1"),
        ("blast_radius", "GOFLEET_BLAST_RADIUS", "0%"),
        ("public_url", "GOFLEET_PUBLIC_URL", "go.example.org"),
        ("data", "GOFLEET_DATA", ""),
        // Nothing is asked of a directory, or of a provider, without TLS.
        ("ldap_url", "GOFLEET_LDAP_URL", "http://dc.example.org"),
        ("ldap_url", "GOFLEET_LDAP_URL", "ldapi:///run/slapd"),
        ("oidc_issuer", "GOFLEET_OIDC_ISSUER", "http://id.example.org"),
        ("oidc_issuer", "GOFLEET_OIDC_ISSUER", "http://localhost:x@id.example.org"),
    ] {
        let error = load(&Given { environment: &[(variable, value)], ..NOTHING }).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(variable) && text.contains(value), "{text}");
        assert!(error.hint().unwrap().contains(name), "{error:?}");
    }
}

#[test]
fn signing_in_elsewhere_needs_all_of_its_settings() {
    let ldap = "ldap_url = 'ldaps://dc.example.org'\nldap_base = 'dc=example'\n";
    let oidc = "public_url = 'https://go.example.org'\noidc_issuer = 'https://id.example.org/'\n\
                oidc_client_id = 'gofleet'\n";
    for (text, key) in [
        (ldap.to_owned(), "ldap_groups"),
        (format!("{ldap}[ldap_groups]\n'cn=a' = ['owner']\n"), "ldap_groups"),
        (format!("{ldap}[ldap_groups]\n'cn=a' = ['viewer@berlin']\n"), "ldap_groups"),
        (format!("{ldap}[ldap_groups]\n'cn=a' = []\n"), "ldap_groups"),
        (format!("{ldap}ldap_bind_name = 'cn=x'\n"), "ldap_bind_password_file"),
        (format!("{ldap}ldap_user_filter = '(cn=*'\n"), "ldap_user_filter"),
        (format!("{ldap}ldap_name_attribute = 'uid)(cn'\n"), "ldap_name_attribute"),
        (format!("{ldap}ldap_group_filter = '(member=*)'\n"), "ldap_group_filter"),
        (oidc.to_owned(), "oidc_groups"),
        (oidc.replace("oidc_client_id", "tls_names"), "oidc_client_id"),
        (oidc.replace("public_url", "hook_url"), "oidc_issuer"),
        (format!("{oidc}oidc_scopes = 'profile'\n"), "oidc_scopes"),
    ] {
        let file = file(&text);
        let error = load(&Given { file: Some(file.path()), ..NOTHING }).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{key}` cannot be")), "{text}: {error}");
    }
    let file = file(&format!("{oidc}[oidc_groups]\nops = ['operator@berlin', 'viewer']\n"));
    let oidc = load(&Given { file: Some(file.path()), ..NOTHING }).unwrap().oidc.unwrap();
    assert_eq!(oidc.issuer, "https://id.example.org/", "exactly as it names itself");
    assert_eq!(oidc.redirect_uri, "https://go.example.org/login/oidc/callback");
    assert_eq!(oidc.groups.of(["ops"]).len(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = load(&Given { file: Some(Path::new("/absent.toml")), ..NOTHING }).unwrap_err();
    assert!(missing.to_string().contains("/absent.toml"), "{missing}");
    let broken = file("listen = \n");
    let error = load(&Given { file: Some(broken.path()), ..NOTHING }).unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { .. }), "{error}");
}

#[test]
fn rules_and_commands_are_lists_or_texts() {
    let file = file(
        "anomaly_rules = [\"processor > 90% for 2m\", 'silent for 1h']\n\
         hook_command = ['/opt/drain', '--now']\n",
    );
    let config = load(&Given { file: Some(file.path()), ..NOTHING }).unwrap();
    let rules = config.anomaly.rules.to_string();
    assert_eq!(rules, "processor: processor > 90% for 2m; silent: silent for 1h");
    assert_eq!(config.hooks.command, ["/opt/drain", "--now"]);
    let given = [("GOFLEET_HOOK_COMMAND", "/opt/drain it"), ("GOFLEET_ANOMALY_RULES", "none")];
    let config = load(&Given { environment: &given, ..NOTHING }).unwrap();
    assert_eq!(config.hooks.command, ["/opt/drain it"], "no shell reads it");
    assert_eq!(config.anomaly.rules.to_string(), "none");
    let wrong = [("anomaly_rules", "processor > 90")];
    let error = load(&Given { flags: &wrong, ..NOTHING }).unwrap_err().to_string();
    assert!(error.contains("column 13") && error.contains("percent"), "{error}");
}
