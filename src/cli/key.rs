//! `kedge key`, and the keys that other commands sign with.

use std::io::{BufReader, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::adapters::keys::command::SignerCommand;
use crate::adapters::keys::files::{KeyFileError, Passphrase, load_key, rewrite_key, write_key};
use crate::adapters::keys::protocol;
use crate::adapters::randomness::SystemRandomness;
use crate::base::keys::{SecretKey, Signer};
use crate::service::ports::Randomness as _;
use crate::service::resolver::error_chain;

use super::args_governance::{KeyArgs, KeyCommand};
use super::connect::Place;
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::{print, show};

pub(super) fn run(place: &Place, what: KeyCommand) -> Result<(), Failure> {
    match what {
        KeyCommand::New {
            file,
            passphrase_file,
        } => {
            let passphrase = passphrase(passphrase_file.as_deref())?;
            let key = SecretKey::from_seed(&SystemRandomness.seed());
            write_key(&file, &key, passphrase.as_ref()).map_err(|error| bad_file(&error))?;
            show_key(place, &key)
        }
        KeyCommand::Show {
            file,
            passphrase_file,
        } => show_key(place, &read_key(&file, passphrase_file.as_deref())?),
        KeyCommand::Encrypt {
            files,
            passphrase_file,
        } => {
            let passphrase =
                Passphrase::read(&passphrase_file).map_err(|error| bad_file(&error))?;
            rewrite(&files, (None, Some(&passphrase)))
        }
        KeyCommand::Decrypt {
            files,
            passphrase_file,
        } => {
            let passphrase =
                Passphrase::read(&passphrase_file).map_err(|error| bad_file(&error))?;
            rewrite(&files, (Some(&passphrase), None))
        }
        KeyCommand::Serve {
            files,
            passphrase_file,
        } => serve(&files, passphrase_file.as_deref()),
    }
}

fn show_key(place: &Place, key: &SecretKey) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown {
        key: String,
    }
    let key = key.public().to_string();
    if place.json {
        return show(true, &Shown { key }, |_| Vec::new());
    }
    print(&key)
}

/// Every file is read before the first is written: a wrong passphrase changes nothing.
fn rewrite(
    files: &[PathBuf],
    (old, new): (Option<&Passphrase>, Option<&Passphrase>),
) -> Result<(), Failure> {
    let read = |file: &PathBuf| load_key(file, old).map_err(|error| bad_file(&error));
    let keys: Vec<SecretKey> = files.iter().map(read).collect::<Result<_, _>>()?;
    for (file, key) in files.iter().zip(&keys) {
        rewrite_key(file, key, new).map_err(|error| bad_file(&error))?;
        print(&format!("{} {}", key.public(), file.display()))?;
    }
    Ok(())
}

/// Answers on standard input and output, so it prints nothing else.
fn serve(files: &[PathBuf], passphrase_file: Option<&Path>) -> Result<(), Failure> {
    let passphrase = passphrase(passphrase_file)?;
    let read =
        |file: &PathBuf| load_key(file, passphrase.as_ref()).map_err(|error| bad_file(&error));
    let keys: Vec<SecretKey> = files.iter().map(read).collect::<Result<_, _>>()?;
    protocol::answer(&keys, &mut BufReader::new(stdin()), &mut stdout())
        .map_err(|error| Failure::new(Code::Failed, error_chain(&error), None))
}

impl KeyArgs {
    /// What signs, if it is no key of the node.
    pub(super) fn signer(&self) -> Result<Option<Arc<dyn Signer>>, Failure> {
        if let Some(program) = &self.signer {
            let command = Arc::new(SignerCommand::new(program.clone(), Vec::new()));
            let keys = command.keys().map_err(|error| not_signed(&error))?;
            let count = keys.len();
            if let Ok([key]) = <[_; 1]>::try_from(keys) {
                return Ok(Some(Arc::new(key)));
            }
            let error = format!("the signer {program} holds {count} keys; expected one");
            return Err(usage(error, None));
        }
        let Some(file) = &self.key else {
            return Ok(None);
        };
        let key = read_key(file, self.passphrase_file.as_deref())?;
        Ok(Some(Arc::new(key)))
    }
}

pub(super) fn read_key(file: &Path, passphrase_file: Option<&Path>) -> Result<SecretKey, Failure> {
    let passphrase = passphrase(passphrase_file)?;
    load_key(file, passphrase.as_ref()).map_err(|error| bad_file(&error))
}

fn passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    file.map(Passphrase::read)
        .transpose()
        .map_err(|error| bad_file(&error))
}

fn bad_file(error: &KeyFileError) -> Failure {
    let hint = match error {
        KeyFileError::Locked { .. } => Some("--passphrase-file names the file that decrypts it"),
        KeyFileError::Io { .. } | KeyFileError::Content { .. } => {
            Some("`kedge key new FILE` makes a key")
        }
        _ => None,
    };
    usage(error_chain(error), hint)
}

/// A key did not sign.
pub(super) fn not_signed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Code::Failed, error_chain(error), None)
}
