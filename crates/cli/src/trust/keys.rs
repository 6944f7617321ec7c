//! Keys in files, and the passphrases over them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use gofleet_platform::{Access, atomic_write};
use gofleet_trust::key::to_line;
use gofleet_trust::{PublicKey, SecretKey, keyfile};
use serde::Serialize;

use crate::failure::Hinted;

/// The shortest passphrase that is taken for a new key.
const SHORTEST: usize = 8;

/// Where the passphrase of a key comes from.
#[derive(Debug, Clone, Args)]
pub struct Passphrase {
    /// File with the passphrase of the key; `-` reads it from the standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The passphrase itself
    #[arg(
        long,
        value_name = "TEXT",
        env = "GOFLEET_PASSPHRASE",
        hide_env_values = true,
        hide = true
    )]
    passphrase: Option<String>,
}

impl Passphrase {
    fn text(&self) -> anyhow::Result<String> {
        let text = match (&self.passphrase_file, &self.passphrase) {
            (Some(path), _) if path.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("no passphrase was given")?;
                text
            }
            (Some(path), _) => fs::read_to_string(path)
                .with_context(|| format!("{} can't be read", path.display()))?,
            (None, Some(text)) => text.clone(),
            (None, None) => {
                let hint = "give --passphrase-file FILE (`-` for the standard input), or \
                            GOFLEET_PASSPHRASE";
                return Err(Hinted::usage("the key is kept under a passphrase", hint).into());
            }
        };
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A key that was made.
#[derive(Debug, Serialize)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// The file with its public half.
    pub public: String,
}

/// Makes a key in a file that is not there yet.
pub fn create(path: &Path, passphrase: &Passphrase) -> anyhow::Result<Created> {
    if path.exists() {
        let message = format!("{} is there already", path.display());
        return Err(Hinted::new(message, "a key is never replaced: choose another name").into());
    }
    let text = passphrase.text()?;
    if text.chars().count() < SHORTEST {
        let message = format!("the passphrase is shorter than {SHORTEST} characters");
        return Err(Hinted::new(message, "five random words are easy to keep").into());
    }
    let key = SecretKey::generate();
    atomic_write(path, keyfile::write(&key, &text).as_bytes(), Access::Private)
        .with_context(|| format!("{} can't be written", path.display()))?;
    write_public(path, &key.public())
}

/// Writes the public half of a key beside it.
fn write_public(path: &Path, key: &PublicKey) -> anyhow::Result<Created> {
    let public = path.with_extension("pub");
    atomic_write(&public, format!("{}\n", to_line(key)).as_bytes(), Access::Everyone)
        .with_context(|| format!("{} can't be written", public.display()))?;
    Ok(Created { id: key.id(), public: public.display().to_string() })
}

/// Takes the public half of a key that lies elsewhere.
pub fn take(path: &Path, pem: &Path) -> anyhow::Result<Created> {
    let text = fs::read_to_string(pem);
    let text = text.with_context(|| format!("{} can't be read", pem.display()))?;
    let key = PublicKey::from_pem(&text).ok_or_else(|| {
        let message = format!("{} holds no public key that can be used", pem.display());
        Hinted::new(message, "P-256, P-384, RSA or Ed25519, as `PUBLIC KEY` in PEM")
    })?;
    write_public(path, &key)
}

/// The key in a file.
pub fn read(path: &Path, passphrase: &Passphrase) -> anyhow::Result<SecretKey> {
    let failed = || format!("the key in {} can't be used", path.display());
    let text = fs::read_to_string(path).with_context(failed)?;
    keyfile::read(&text, &passphrase.text()?).with_context(failed)
}

/// The public half of a key, from its own file.
pub fn public(path: &Path) -> anyhow::Result<PublicKey> {
    let failed = || format!("{} holds no public key", path.display());
    let text = fs::read_to_string(path).with_context(failed)?;
    serde_json::from_str(&text).with_context(failed)
}
