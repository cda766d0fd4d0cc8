//! `[[peer]]`, `listen.peers` and `node.region`: how other nodes are reached.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::adapters::peers::{Peer, PeerPlan};
use crate::base::limits::{PEER_ADDRESSES_MAX, PEERS_MAX, REGION_BYTES_MAX};

use super::file_v1;
use super::valid::{Fault, each, value};

/// What a peer is called stands in tables and on command lines.
const PEER_NAME_BYTES_MAX: usize = 63;

pub(super) fn plan(
    region: String,
    listen: &[String],
    peers: Vec<file_v1::Peer>,
) -> Result<PeerPlan, Fault> {
    if peers.len() > PEERS_MAX {
        return Err(("peer".to_owned(), format!("expected at most {PEERS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    let mut plan = PeerPlan {
        region: short("node.region", region)?,
        listen: each("listen.peers", listen)?,
        peers: Vec::with_capacity(peers.len()),
    };
    for written in peers {
        let peer = peer(written)?;
        let is_new = seen.insert(peer.name.clone()) && seen.insert(peer.id.to_string());
        if !is_new {
            let problem = format!("{} or its id is written twice", peer.name);
            return Err(("peer.name".to_owned(), problem));
        }
        plan.peers.push(peer);
    }
    Ok(plan)
}

pub(super) fn peer(written: file_v1::Peer) -> Result<Peer, Fault> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = written.name;
    let fits = (1..=PEER_NAME_BYTES_MAX).contains(&name.len());
    if !fits || !name.chars().all(is_word) {
        let problem = format!(
            "{name:?}: expected 1 to {PEER_NAME_BYTES_MAX} letters, digits, dots, hyphens and \
             underscores"
        );
        return Err(("peer.name".to_owned(), problem));
    }
    let addresses: Vec<SocketAddr> = each("peer.addresses", &written.addresses)?;
    if addresses.len() > PEER_ADDRESSES_MAX {
        let problem = format!("{name}: expected at most {PEER_ADDRESSES_MAX}");
        return Err(("peer.addresses".to_owned(), problem));
    }
    let nowhere = |address: &&SocketAddr| address.ip().is_unspecified() || address.port() == 0;
    if let Some(address) = addresses.iter().find(nowhere) {
        let problem = format!("{address}: expected an address and a port that can be dialled");
        return Err(("peer.addresses".to_owned(), problem));
    }
    Ok(Peer {
        id: value("peer.id", &written.id)?,
        name,
        region: short("peer.region", written.region)?,
        addresses,
    })
}

fn short(key: &str, region: String) -> Result<String, Fault> {
    if region.len() > REGION_BYTES_MAX {
        let problem = format!("expected at most {REGION_BYTES_MAX} bytes");
        return Err((key.to_owned(), problem));
    }
    Ok(region)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    const ID: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";

    fn parse(text: &str) -> Result<Config, String> {
        let parsed = Config::parse(text, Path::new("k.toml"), Path::new(""));
        parsed.map_err(|error| error.to_string())
    }

    fn peer(name: &str, more: &str) -> String {
        format!("[[peer]]\nname = \"{name}\"\nid = \"{ID}\"\n{more}\n")
    }

    #[test]
    fn a_peer_has_a_name_a_key_and_addresses() {
        let config = parse(&peer("eu-1", "addresses = [\"192.0.2.1:5400\"]")).unwrap();
        assert_eq!(config.peers.peers[0].name, "eu-1");
        assert_eq!(config.peers.peers[0].id.to_string(), ID);
        assert!(config.peers.listen.is_empty(), "nothing listens by itself");
    }

    #[test]
    fn faults_name_their_key() {
        for (text, expected) in [
            ("[[peer]]\nname = \"a\"\nid = \"ff\"".to_owned(), "peer.id"),
            (peer("", ""), "peer.name"),
            (peer("a b", ""), "peer.name"),
            (peer("a", "addresses = [\"eu-1:5400\"]"), "peer.addresses"),
            (peer("a", "addresses = [\"192.0.2.1:0\"]"), "peer.addresses"),
            (peer("a", "addresses = [\"0.0.0.0:1\"]"), "peer.addresses"),
            (peer("a", "relay = \"x\""), "line 4"),
            (peer("a", "") + &peer("a", ""), "written twice"),
            (peer("a", "") + &peer("b", ""), "written twice"),
            ("[listen]\npeers = [\"eu\"]".to_owned(), "listen.peers"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
