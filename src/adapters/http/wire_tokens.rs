//! Bodies of calls about callers and their tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    /// What it is good for: `read`, `propose`, `vote`, `govern`, `announce`, `prove`, `operate`,
    /// `admin`.
    pub rights: Vec<String>,
    /// The names at and below which it is; everywhere if none is given.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How long it lives, in seconds.
    pub lifetime: u64,
    /// What it is for.
    #[serde(default)]
    pub note: String,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// What it is found by.
    pub id: String,
    /// `good`, `ended` or `revoked`.
    pub state: String,
    /// What it is good for.
    pub rights: Vec<String>,
    /// The names at and below which it is; none for everywhere.
    pub scopes: Vec<String>,
    /// When it was made.
    pub made: String,
    /// When it ends.
    pub expires: String,
    /// When it was revoked.
    pub revoked: Option<String>,
    /// What it is for.
    pub note: String,
}

/// A token that was made.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewTokenView {
    /// What its holder sends; shown this once.
    pub secret: String,
    /// What is kept of it.
    pub token: TokenView,
}

impl std::fmt::Debug for NewTokenView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewTokenView").field(&self.token).finish()
    }
}

/// Who calls, as the node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// `owner`, `token` or `certificate`.
    pub by: String,
    /// The token's identifier, or the certificate's identity.
    pub id: Option<String>,
    /// What the caller may do.
    pub rights: Vec<String>,
    /// The names at and below which; none for everywhere.
    pub scopes: Vec<String>,
    /// When that ends.
    pub expires: Option<String>,
}
