//! `gofleet trust`: who must have signed what devices run.

mod keys;
mod requests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_api::{Client, DecisionRequest, ImportTrust, TrustView};
use gofleet_core::ids::ReleaseId;
use gofleet_platform::{Access, atomic_write};
use gofleet_trust::Store;
use gofleet_trust::ceremony::{Request, Standing};
use serde::Serialize;

use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::{Printer, table};
use keys::Passphrase;
use requests::Signers;

/// Say who must have signed what devices run, and sign it
#[derive(Debug, Args)]
pub struct TrustArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begin: from now on releases need signatures that the server cannot make
    #[command(after_help = "\
Alone, with one key in a file:
  gofleet trust init --solo --key trust.key --passphrase-file passphrase.txt
With several people, each of whom has made a key with `gofleet trust key`:
  gofleet trust init --root-key ann.pub --root-key bob.pub --root-threshold 2 \\
      --approver ann.pub --approver bob.pub --approver eve.pub --threshold 2 --out init.json
Then everybody signs the file, and it is imported:
  gofleet trust sign init.json --key ann.key --passphrase-file ann.txt
  gofleet trust import init.json

Examples:
  gofleet trust init --solo --key trust.key --passphrase-file passphrase.txt
  gofleet trust init --root-key ann.pub --approver ann.pub --out init.json")]
    Init {
        #[command(flatten)]
        connection: Connection,
        /// One key signs everything, and is made if it is not there
        #[arg(long, requires = "key", conflicts_with_all = ["root_key", "approver", "out"])]
        solo: bool,
        /// File with that key
        #[arg(long, value_name = "FILE", requires = "solo")]
        key: Option<PathBuf>,
        #[command(flatten)]
        signers: Signers,
        #[command(flatten)]
        passphrase: Passphrase,
        /// Write what is to be signed into this file
        #[arg(long, value_name = "FILE", required_unless_present = "solo")]
        out: Option<PathBuf>,
    },
    /// Make a key in a file under a passphrase, and its public half beside it
    #[command(after_help = "\
A key in a smart card or an HSM stays there: only its public half is taken, in PEM.

Examples:
  gofleet trust key ann.key --passphrase-file ann.txt
  gofleet trust key bob.key --from-pem bob.pem")]
    Key {
        /// The file; the public half gets the same name with `.pub`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only take the public half of a key that lies elsewhere, from this file
        #[arg(long, value_name = "FILE")]
        from_pem: Option<PathBuf>,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Show who must sign, until when, and what is signed
    #[command(after_help = "Examples:\n  gofleet trust status\n  gofleet trust status --json")]
    Status {
        #[command(flatten)]
        connection: Connection,
    },
    /// Have releases signed, and approve them: request, sign and import in one
    #[command(after_help = "\
For one whose signature is enough; others use `request`, `sign` and `import`.

Examples:
  gofleet trust approve go-1.27.3-linux-amd64 --key trust.key --passphrase-file passphrase.txt")]
    Approve {
        #[command(flatten)]
        connection: Connection,
        /// Release ids, like go-1.27.3-windows-amd64
        #[arg(value_name = "RELEASE", required = true)]
        releases: Vec<ReleaseId>,
        /// File with the key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Write a file for approvers to sign: releases that may run, or may no more
    #[command(after_help = "Examples:
  gofleet trust request --approve go-1.27.3-linux-amd64 --out request.json
  gofleet trust request --withdraw go-1.27.2-linux-amd64 --out request.json")]
    Request {
        #[command(flatten)]
        connection: Connection,
        /// A release that may run; may be repeated
        #[arg(long, value_name = "RELEASE")]
        approve: Vec<ReleaseId>,
        /// A release that may run no more; may be repeated
        #[arg(long, value_name = "RELEASE")]
        withdraw: Vec<ReleaseId>,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write a file for everybody to sign: other keys, or the same for another year
    #[command(after_help = "\
Who is not named stays. The server's own keys are taken in as it has them today.

Examples:
  gofleet trust rotate --out rotate.json
  gofleet trust rotate --approver ann.pub --approver eve.pub --threshold 2 --out rotate.json")]
    Rotate {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        signers: Signers,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a request, on any machine; no server is needed
    #[command(after_help = "Examples:
  gofleet trust sign request.json --key ann.key --dry-run
  gofleet trust sign request.json --key ann.key --passphrase-file ann.txt")]
    Sign {
        /// The request, which is replaced by the signed one
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// File with the key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
        /// Only show what would be signed
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the bytes of one role of a request, for a smart card, an HSM or another program to sign
    #[command(after_help = "\
SHA-256 with ECDSA (in DER) or RSA-PSS, or Ed25519, as the key is; for a card behind PKCS #11:
  gofleet trust export request.json --role go --out go.bin
  openssl dgst -sha256 -binary -out go.hash go.bin
  pkcs11-tool --sign --mechanism ECDSA --signature-format openssl \\
      --label bob --input-file go.hash --output-file go.sig
  gofleet trust attach request.json --role go --public-key bob.pub --signature go.sig

Example:
  gofleet trust export request.json --role go --out go.bin")]
    Export {
        /// The request
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Whose metadata: root, targets, or a package like go
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// The file for the bytes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Add a signature that was made elsewhere to a request
    #[command(after_help = "Example:
  gofleet trust attach request.json --role go --public-key bob.pub --signature go.sig")]
    Attach {
        /// The request, which is replaced by the signed one
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Whose metadata was signed
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// File with the public key, as `gofleet trust key` wrote it
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// File with the signature
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
    },
    /// Bring a signed request to the server
    #[command(after_help = "Example:\n  gofleet trust import request.json")]
    Import {
        #[command(flatten)]
        connection: Connection,
        /// The request
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write the server's root of trust into a file, for devices to pin
    #[command(after_help = "Example:\n  gofleet trust root root.json")]
    Root {
        #[command(flatten)]
        connection: Connection,
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Pin a root of trust on this machine: its agent runs only what follows from it, for good
    #[command(after_help = "\
Tokens pin it by themselves. This is for devices that had enrolled before, and for those who do not
want to believe a token. Pinning the same root again puts a damaged store right.

Example:
  gofleet trust pin root.json --root /var/lib/gofleet")]
    Pin {
        /// The root, as `gofleet trust root` wrote it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Folder that the agent keeps [default: as for `gofleet agent run`]
        #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
        root: Option<PathBuf>,
    },
}

/// Does it.
pub async fn run(arguments: TrustArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Init { connection, key: Some(key), passphrase, .. } => {
            solo(&connection.client()?, &key, &passphrase, printer).await?;
        }
        Verb::Init { connection, signers, out, .. } => {
            let out = out.context("--out FILE is missing")?;
            write(&requests::init(&connection.client()?, &signers).await?, &out, printer)?;
        }
        Verb::Key { file, from_pem, passphrase } => {
            let key = match from_pem {
                Some(pem) => keys::take(&file, &pem)?,
                None => keys::create(&file, &passphrase)?,
            };
            printer.data(&key, |key| format!("{}\npublic half in {}", key.id, key.public))?;
        }
        Verb::Status { connection } => {
            printer.data(&connection.client()?.trust().await?, describe)?;
        }
        Verb::Approve { connection, releases, key, passphrase } => {
            approve(&connection.client()?, &releases, &key, &passphrase, printer).await?;
        }
        Verb::Request { connection, approve, withdraw, out } => {
            let client = connection.client()?;
            write(&requests::releases(&client, &approve, &withdraw).await?, &out, printer)?;
        }
        Verb::Rotate { connection, signers, out } => {
            write(&requests::rotate(&connection.client()?, &signers).await?, &out, printer)?;
        }
        Verb::Sign { file, key, passphrase, dry_run } => {
            sign(&file, &key, &passphrase, dry_run, printer)?;
        }
        Verb::Export { file, role, out } => {
            let bytes = read(&file)?.message(&role)?;
            atomic_write(&out, &bytes, Access::Everyone)
                .with_context(|| format!("{} can't be written", out.display()))?;
        }
        Verb::Attach { file, role, public_key, signature } => {
            attach(&file, &role, &public_key, &signature, printer)?;
        }
        Verb::Import { connection, file } => {
            let view = import(&connection.client()?, &read(&file)?).await?;
            printer.data(&view, describe)?;
        }
        Verb::Root { connection, file } => {
            let bytes = root(&connection.client()?).await?;
            atomic_write(&file, &bytes, Access::Everyone)
                .with_context(|| format!("{} can't be written", file.display()))?;
            printer.message(format_args!("pin it with `gofleet trust pin {}`", file.display()));
        }
        Verb::Pin { file, root } => pin(&file, root, printer)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything in one, for one person.
async fn solo(
    client: &Client,
    path: &Path,
    passphrase: &Passphrase,
    printer: Printer,
) -> anyhow::Result<()> {
    if !path.exists() {
        keys::create(path, passphrase)?;
    }
    let key = keys::read(path, passphrase)?;
    let signers = Signers::one(key.public());
    let mut request = requests::init(client, &signers).await?;
    request.sign(&key)?;
    let view = import(client, &request).await?;
    printer.warning(format_args!(
        "one key signs everything: whoever has {file} and its passphrase can have every device run \
         anything, and without them nothing new can ever be approved. Keep it off the server, keep \
         a copy elsewhere, and add other people with `gofleet trust rotate` once there are some.",
        file = path.display()
    ));
    printer.warning(format_args!(
        "devices that have enrolled until now go on without signatures: pin the root there with \
         `gofleet trust pin`. Releases that are approved already need `gofleet trust approve`."
    ));
    printer.data(&view, describe)?;
    Ok(())
}

async fn approve(
    client: &Client,
    releases: &[ReleaseId],
    key: &Path,
    passphrase: &Passphrase,
    printer: Printer,
) -> anyhow::Result<()> {
    let mut request = requests::releases(client, releases, &[]).await?;
    // Where all of it is signed already, only the catalog is to know.
    if !request.documents.is_empty() {
        request.sign(&keys::read(key, passphrase)?)?;
        if let Some(Standing { threshold, signed, .. }) = missing(&request)?.first() {
            let message = format!("{threshold} must sign, and you are {}", signed.len());
            let hint = "write a request with `gofleet trust request`, and have others sign it too";
            return Err(Hinted::new(message, hint).into());
        }
        import(client, &request).await?;
    }
    let mut approved = Vec::new();
    for release in releases {
        approved.push(client.approve(release, &DecisionRequest::default()).await?);
    }
    printer.data(&approved, |approved| {
        let line = |it: &gofleet_core::release::Release| {
            format!("{} is signed and {}", it.release.id, it.status)
        };
        approved.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}

fn sign(
    file: &Path,
    key: &Path,
    passphrase: &Passphrase,
    dry_run: bool,
    printer: Printer,
) -> anyhow::Result<()> {
    let mut request = read(file)?;
    let mut signed = Vec::new();
    if !dry_run {
        signed = request.sign(&keys::read(key, passphrase)?)?;
        store(&request, file)?;
    }
    let changes = request.describe()?;
    show(&Signed { changes, signed, missing: missing(&request)? }, printer)
}

fn show(signed: &Signed, printer: Printer) -> anyhow::Result<()> {
    printer.data(signed, |shown| {
        let mut lines = shown.changes.clone();
        lines.push(match shown.signed.as_slice() {
            [] => "nothing was signed".to_owned(),
            roles => format!("signed: {}", roles.join(", ")),
        });
        lines.extend(shown.missing.iter().map(|it| {
            let left = (it.threshold as usize).saturating_sub(it.signed.len());
            format!("{} needs {left} more of {}", it.role, it.keys.join(", "))
        }));
        lines.join("\n")
    })?;
    Ok(())
}

fn attach(
    file: &Path,
    role: &str,
    public_key: &Path,
    signature: &Path,
    printer: Printer,
) -> anyhow::Result<()> {
    let mut request = read(file)?;
    let bytes = fs::read(signature);
    let bytes = bytes.with_context(|| format!("{} can't be read", signature.display()))?;
    request.attach(role, &keys::public(public_key)?, &bytes)?;
    store(&request, file)?;
    let (changes, signed) = (request.describe()?, vec![role.to_owned()]);
    show(&Signed { changes, signed, missing: missing(&request)? }, printer)
}

/// What was signed, and what is missing.
#[derive(Debug, Serialize)]
struct Signed {
    changes: Vec<String>,
    signed: Vec<String>,
    missing: Vec<Standing>,
}

fn missing(request: &Request) -> anyhow::Result<Vec<Standing>> {
    Ok(request.standing()?.into_iter().filter(|it| !it.is_enough()).collect())
}

fn read(file: &Path) -> anyhow::Result<Request> {
    let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no request", file.display()))
}

fn store(request: &Request, file: &Path) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec_pretty(request)?;
    atomic_write(file, &bytes, Access::Everyone)
        .with_context(|| format!("{} can't be written", file.display()))
}

fn write(request: &Request, file: &Path, printer: Printer) -> anyhow::Result<()> {
    store(request, file)?;
    printer.message(format_args!(
        "have it signed with `gofleet trust sign {file}`, then `gofleet trust import {file}`",
        file = file.display()
    ));
    printer.data(&request.describe()?, |lines| lines.join("\n"))?;
    Ok(())
}

async fn import(client: &Client, request: &Request) -> anyhow::Result<TrustView> {
    let mut documents = BTreeMap::new();
    for (role, envelope) in &request.documents {
        documents.insert(role.clone(), serde_json::to_value(envelope)?);
    }
    Ok(client.import_trust(&ImportTrust { documents }).await?)
}

async fn root(client: &Client) -> anyhow::Result<Vec<u8>> {
    let digest = client.trust().await?.root.ok_or_else(off)?;
    let bytes = client.trust_metadata(&format!("{digest}.root.json"), 1 << 20).await?;
    bytes.context("the server does not give its root")
}

fn off() -> Hinted {
    Hinted::new("this server has no root of trust", "begin with `gofleet trust init`")
}

fn pin(file: &Path, root: Option<PathBuf>, printer: Printer) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let root = crate::agent::root_or_default(root)?;
    let store = Store::of_agent(&root.join("agent"));
    store.pin(&bytes)?;
    let told = gofleet_agent::trust::describe(&store)?.unwrap_or_default();
    printer.data(&told, |told| format!("{}: {told}", root.display()))?;
    Ok(())
}

fn describe(view: &TrustView) -> String {
    let Some(root) = view.root else {
        return "off: releases need no signatures (`gofleet trust init`)".to_owned();
    };
    let mut lines = vec![format!("on, root {root}")];
    let rows: Vec<_> = view
        .roles
        .iter()
        .map(|role| {
            let keys: Vec<_> = role.keys.iter().map(|key| &key[..key.len().min(12)]).collect();
            let signers = format!("{} of {}", role.threshold, keys.join(" "));
            vec![role.role.clone(), role.version.to_string(), role.expires_at.to_string(), signers]
        })
        .collect();
    lines.push(table(&["ROLE", "VERSION", "UNTIL", "SIGNED BY"], &rows));
    lines.extend(requests::signed(view));
    lines.join("\n")
}
