//! Bodies of the calls about devices.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device asks for a challenge.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeBody {
    /// The UID of its private scope.
    pub scope: String,
    /// Its present handle, 64 hexadecimal digits.
    pub handle: String,
    /// Where it is; only over the admin socket, where the connection does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// A challenge.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeView {
    /// 64 hexadecimal digits.
    pub nonce: String,
    /// Where the device is, as the node sees it.
    pub address: IpAddr,
    /// Until when a proof may use it.
    pub until: String,
}

/// A device proves itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofBody {
    /// The text of the proof.
    pub proof: String,
}

/// A proof was accepted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProofView {
    /// By which the device knows that the node went on, 64 hexadecimal digits.
    pub seal: String,
    /// The address that counts.
    pub address: IpAddr,
    /// Until when it counts.
    pub until: String,
}

/// A device is enrolled.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// What people call it.
    #[serde(default)]
    pub note: String,
    /// Where it asks the node.
    #[serde(default)]
    pub servers: Vec<String>,
}

/// A device gets another chain.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewBody {
    /// Where it asks the node.
    #[serde(default)]
    pub servers: Vec<String>,
}

/// What a device shall keep, for the device alone.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct EnrolledView {
    /// What the table calls the device.
    pub id: String,
    /// The text of the device's file; secret.
    pub file: String,
}

impl std::fmt::Debug for EnrolledView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EnrolledView({})", self.id)
    }
}

/// A device that was revoked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RevokedView {
    /// What the table calls it.
    pub id: String,
}

/// A device as its table shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// What the table calls it.
    pub id: String,
    /// What people call it.
    pub note: String,
    /// `live`, `broken` or `revoked`.
    pub state: String,
    /// When it was enrolled.
    pub enrolled: String,
    /// When it proved itself last, or since when it cannot any more.
    pub since: Option<String>,
    /// How often it did, with the present chain.
    pub proofs: u64,
    /// Until when it counts somewhere.
    pub present_until: Option<String>,
}
