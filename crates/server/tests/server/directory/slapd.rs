//! OpenLDAP's server on the loopback, with a few people in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gofleet_testkit::free_port;
use ldap3::{LdapConnAsync, LdapConnSettings, Mod};
use tempfile::TempDir;

use crate::support::within;

/// Where Debian puts it, which is not on everybody's `PATH`.
const SLAPD: &str = "/usr/sbin/slapd";
pub const PASSWORD: &str = "staple of the directory";
const SERVICE: &str = "cn=gofleet,dc=example,dc=org";

/// It takes no password without TLS, and shows entries to the server's own name only.
const CONFIG: &str = "
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
security simple_bind=128
database mdb
maxsize 10485760
suffix dc=example,dc=org
rootdn cn=root,dc=example,dc=org
rootpw root
directory {folder}/database
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=cn=gofleet,dc=example,dc=org read by * none
";

const ENTRIES: &str = "
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=gofleet,dc=example,dc=org
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: gofleet
userPassword: of the service

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups
";

pub struct Slapd {
    folder: TempDir,
    process: Child,
    port: u16,
    tls_port: u16,
}

impl Slapd {
    /// A directory with these people (names for signing in) and groups (names and who is in).
    pub async fn start(people: &[&str], groups: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(names).unwrap();
        let mut entries = ENTRIES.to_owned();
        for name in people {
            entries += &person(name);
        }
        for (group, members) in groups {
            let members: String =
                members.iter().map(|name| format!("member: {}\n", dn(name))).collect();
            entries += &format!(
                "\ndn: {}\nobjectClass: groupOfNames\ncn: {group}\n{members}",
                group_dn(group)
            );
        }
        std::fs::create_dir(path.join("database")).unwrap();
        let config = CONFIG.replace("{folder}", &path.display().to_string());
        for (name, text) in [
            ("certificate.pem", cert.pem()),
            ("key.pem", signing_key.serialize_pem()),
            ("slapd.conf", config),
            ("entries.ldif", entries),
            ("service-password", "of the service\n".to_owned()),
        ] {
            std::fs::write(path.join(name), text).unwrap();
        }
        let added = Command::new(SLAPD)
            .args(["-T", "add", "-f"])
            .arg(path.join("slapd.conf"))
            .arg("-l")
            .arg(path.join("entries.ldif"))
            .output()
            .expect("slapd: `apt-get install slapd`");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let (port, tls_port) = (free_port().unwrap(), free_port().unwrap());
        let process = run(path, port, tls_port);
        let slapd = Self { folder, process, port, tls_port };
        slapd.when_up().await;
        slapd
    }

    async fn when_up(&self) {
        within(async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.tls_port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) {
        self.process = run(self.folder.path(), self.port, self.tls_port);
        self.when_up().await;
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    pub fn starttls_url(&self) -> String {
        format!("ldap://localhost:{}", self.port)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a gofleet server that asks it.
    pub fn flags(&self, groups: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let file = |name| self.file(name).display().to_string();
        // Of two flags the first counts.
        let mut flags: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in [
            ("ldap_url", self.url()),
            ("ldap_ca_file", file("certificate.pem")),
            ("ldap_bind_name", SERVICE.to_owned()),
            ("ldap_bind_password_file", file("service-password")),
            ("ldap_base", "dc=example,dc=org".to_owned()),
            ("ldap_groups", groups.to_owned()),
        ] {
            flags.push((name.to_owned(), value));
        }
        flags
    }

    async fn as_root(&self) -> ldap3::Ldap {
        let settings = LdapConnSettings::new().set_no_tls_verify(true);
        let url = self.url();
        let connection = LdapConnAsync::with_settings(settings, &url).await;
        let (connection, mut ldap) = connection.unwrap();
        tokio::spawn(async move { connection.drive().await });
        ldap.simple_bind("cn=root,dc=example,dc=org", "root").await.unwrap().success().unwrap();
        ldap
    }

    /// Takes somebody into a group, or out of it.
    pub async fn set_member(&self, group: &str, name: &str, is_in: bool) {
        let values = [dn(name)].into();
        let change = if is_in {
            Mod::Add("member".into(), values)
        } else {
            Mod::Delete("member".into(), values)
        };
        let mut ldap = self.as_root().await;
        ldap.modify(&group_dn(group), vec![change]).await.unwrap().success().unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.as_root().await.delete(&dn(name)).await.unwrap().success().unwrap();
    }

    pub async fn add(&self, name: &str) {
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", name),
            ("cn", name),
            ("sn", name),
            ("userPassword", PASSWORD),
        ];
        let attributes =
            attributes.map(|(name, value)| (name.to_owned(), [value.to_owned()].into()));
        let mut ldap = self.as_root().await;
        ldap.add(&dn(name), attributes.to_vec()).await.unwrap().success().unwrap();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn run(folder: &Path, port: u16, tls_port: u16) -> Child {
    Command::new(SLAPD)
        .args(["-d", "0", "-f"])
        .arg(folder.join("slapd.conf"))
        .arg("-h")
        .arg(format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn dn(name: &str) -> String {
    format!("uid={name},ou=people,dc=example,dc=org")
}

pub fn group_dn(group: &str) -> String {
    format!("cn={group},ou=groups,dc=example,dc=org")
}

fn person(name: &str) -> String {
    format!(
        "\ndn: {}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
         displayName: {name} of Example\nuserPassword: {PASSWORD}\n",
        dn(name)
    )
}
