//! `DeviceFile`: what a device keeps of itself.

use std::net::IpAddr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{DEVICE_SERVER_BYTES_MAX, DEVICE_SERVERS_MAX};
use crate::base::secret::Secret;
use crate::base::text_form::TextForm;
use crate::namespace::scope::ScopeUid;

use super::{DeviceProof, Handle, Nonce, Statement};

/// A device's side of a chain. It holds one value, and goes on to the next only when the node has
/// shown that it did: whenever the device stops, what it holds is still taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFile {
    /// The private scope.
    pub scope: ScopeUid,
    /// The key that recognises the device.
    pub mark: Secret,
    /// Where its chain is.
    pub value: Secret,
    /// Where the node is asked, the first that answers.
    pub servers: Vec<Server>,
}

/// Where a node's calls are answered, as written; the client that calls it reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(pub String);

impl DeviceFile {
    /// What the device presents now.
    pub fn handle(&self) -> Handle {
        Handle::of(&self.value)
    }

    /// The proof for a challenge.
    pub fn prove(&self, nonce: Nonce, entropy: Nonce, address: IpAddr) -> DeviceProof {
        let statement = Statement {
            scope: self.scope,
            handle: self.handle(),
            nonce,
            entropy,
            address: address.to_canonical(),
        };
        DeviceProof::new(statement, &self.value, &self.mark)
    }

    /// The file after an answer; none if the answer is not of a node that went on.
    pub fn after(&self, proof: &DeviceProof, seal: &Digest) -> Option<Self> {
        let statement = &proof.statement;
        statement.is_sealed(&self.value, seal).then(|| Self {
            value: statement.next(&self.value),
            ..self.clone()
        })
    }
}

impl Canonical for Server {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.text("server", DEVICE_SERVER_BYTES_MAX).map(Self)
    }
}

impl Canonical for DeviceFile {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.mark.encode(out);
        self.value.encode(out);
        out.list(&self.servers);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            mark: Secret::decode(input)?,
            value: Secret::decode(input)?,
            servers: input.list("servers", DEVICE_SERVERS_MAX)?,
        })
    }
}

impl Form for DeviceFile {
    const LABEL: &'static str = "kedge/device-file";
}

impl TextForm for DeviceFile {
    const PREFIX: &'static str = "kedge-device-1:";
    /// [`DEVICE_SERVERS_MAX`] servers and the secrets, a third longer in base64.
    const TEXT_BYTES_MAX: usize = 4_096;
}
