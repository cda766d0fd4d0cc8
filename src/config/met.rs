//! `peers.toml` in the data directory: the peers that a node knows by tickets.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::adapters::peers::Peer;
use crate::base::limits::PEERS_MAX;

use super::valid::Fault;
use super::{Config, ConfigError, file_v1, peers};

/// What the file is called.
const FILE: &str = "peers.toml";
/// Who can read it learns who this node talks to.
const OWNER_ONLY: u32 = 0o600;
/// What it says of itself.
const HEAD: &str = "# Peers that this node knows by tickets. Those of the configuration come first; a table can be moved\n\
                    # there or taken out, followed by `kedge reload`.\n";

/// Adds the peers of the file, as far as the configuration does not name them itself.
pub(super) fn read(config: &mut Config) -> Result<(), ConfigError> {
    let path = config.data_directory.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Where there is no directory either, that is said when it is needed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let file: file_v1::Met = file_v1::parse(&text).map_err(|message| ConfigError::Syntax {
        path: path.clone(),
        message,
    })?;
    let met = fitting(&config.peers.peers, file).map_err(|(key, problem)| ConfigError::Value {
        path,
        key,
        problem,
    })?;
    config.peers.peers.extend(met.iter().cloned());
    config.met = met;
    Ok(())
}

/// The peers of the file, without those that the configuration names itself.
fn fitting(written: &[Peer], file: file_v1::Met) -> Result<Vec<Peer>, Fault> {
    if file.version != 1 {
        let problem = format!(
            "{} is not known; this program reads version 1",
            file.version
        );
        return Err(("version".to_owned(), problem));
    }
    let ids: BTreeSet<_> = written.iter().map(|peer| peer.id).collect();
    let mut names: BTreeSet<String> = written.iter().map(|peer| peer.name.clone()).collect();
    let mut met: Vec<Peer> = Vec::with_capacity(file.peer.len());
    for peer in file.peer {
        let peer = peers::peer(peer)?;
        if ids.contains(&peer.id) {
            continue;
        }
        let is_new = met.iter().all(|other| other.id != peer.id);
        if !names.insert(peer.name.clone()) || !is_new {
            let problem = format!("{} or its id is written twice", peer.name);
            return Err(("peer.name".to_owned(), problem));
        }
        met.push(peer);
    }
    if written.len() + met.len() > PEERS_MAX {
        return Err(("peer".to_owned(), format!("expected at most {PEERS_MAX}")));
    }
    Ok(met)
}

/// Puts a peer among those of the file, which is on the disk when this returns `Ok`. One that the
/// configuration names stays as it is there.
pub(super) fn add(config: &mut Config, peer: &Peer) -> Result<(), ConfigError> {
    let path = config.data_directory.join(FILE);
    let is_own = |known: &&Peer| config.met.iter().all(|met| met.id != known.id);
    let own: Vec<Peer> = config.peers.peers.iter().filter(is_own).cloned().collect();
    if own.iter().any(|known| known.id == peer.id) {
        return Ok(());
    }
    let others = config.met.iter().filter(|met| met.id != peer.id);
    let all = others.chain([peer]).map(|peer| file_v1::Peer {
        name: peer.name.clone(),
        id: peer.id.to_string(),
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        region: peer.region.clone(),
    });
    let file = file_v1::Met {
        version: 1,
        peer: all.collect(),
    };
    let text = toml::to_string(&file).unwrap_or_default();
    // What is written must be read again at the next start.
    let met = match fitting(&own, file) {
        Ok(met) => met,
        Err((key, problem)) => return Err(ConfigError::Value { path, key, problem }),
    };
    replace(&path, &format!("{HEAD}{text}"))
        .map_err(|source| ConfigError::Unwritable { path, source })?;
    config.peers.peers = own.into_iter().chain(met.iter().cloned()).collect();
    config.met = met;
    Ok(())
}

/// The file is the old or the new one whatever happens.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("toml.new");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let mut file = options.mode(OWNER_ONLY).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    const OTHER: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

    fn config(directory: &Path, text: &str) -> Result<Config, ConfigError> {
        let file = directory.join("kedge.toml");
        fs::create_dir_all(directory.join("data")).unwrap();
        fs::write(&file, text).unwrap();
        Config::read(&file)
    }

    fn peer(id: &str, address: &str) -> Peer {
        Peer {
            id: id.parse().unwrap(),
            name: id.chars().take(8).collect(),
            region: "us".to_owned(),
            addresses: vec![address.parse().unwrap()],
        }
    }

    #[test]
    fn a_peer_that_was_met_is_there_after_a_restart_and_moves_when_told() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut now = config(directory.path(), "").unwrap();
        for address in ["192.0.2.1:1", "192.0.2.2:2"] {
            let peer = peer(ID, address);
            now.meet(&peer).unwrap();
            assert_eq!(now.peers.peers, [peer]);
            let again = config(directory.path(), "").unwrap();
            assert_eq!(again, now);
        }
        now.meet(&peer(OTHER, "192.0.2.3:3")).unwrap();
        assert_eq!(config(directory.path(), "").unwrap().met.len(), 2);
    }

    #[test]
    fn the_configuration_comes_first_and_what_does_not_fit_changes_nothing() {
        let directory = tempfile::TempDir::new().unwrap();
        let own = format!("[[peer]]\nname = \"own\"\nid = \"{ID}\"\n");
        let mut now = config(directory.path(), &own).unwrap();
        let before = now.clone();
        now.meet(&peer(ID, "192.0.2.1:1")).unwrap();
        assert_eq!(now, before);
        let taken = Peer {
            name: "own".to_owned(),
            ..peer(OTHER, "192.0.2.1:1")
        };
        let error = now.meet(&taken).unwrap_err();
        assert!(error.to_string().contains("peers.toml"), "{error}");
        assert_eq!(now, before);
        assert!(!directory.path().join("data").join(FILE).exists());
        fs::write(directory.path().join("data").join(FILE), "version = 2").unwrap();
        let error = config(directory.path(), &own).unwrap_err();
        assert!(error.to_string().contains("version"), "{error}");
    }
}
