//! Who may call the admin API from afar: holders of tokens, and clients with certificates.

mod failures;
mod token;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::base::digest::Digest;
use crate::base::identity::Identity;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::time::Timestamp;

use super::permission::Permission;
use super::ports::{Randomness, TokenStore};

use self::failures::Failures;

pub use self::token::{BadToken, TOKEN_SCOPES_MAX, Token, TokenId, TokenText};

/// Tokens at one time, the ended ones that are still shown among them; people make them.
pub const TOKENS_MAX: usize = 1_024;
/// The longest life of a token: who still needs it after a year makes another one.
pub const TOKEN_LIFE_SECS_MAX: u64 = 366 * 86_400;
/// The shortest: less than that is over before it is used.
pub const TOKEN_LIFE_SECS_MIN: u64 = 60;
/// How long a token is still shown after its end.
const SHOWN_AFTER_END_MS: u64 = 30 * 86_400 * 1_000;

/// Permissions by the identity of a certificate.
pub type Clients = BTreeMap<Identity, Permission>;

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenDenied {
    /// No such token, or another secret: nobody is told which.
    #[error("the token is not known here")]
    Unknown,
    /// It ended.
    #[error("token {0} ended at {1}")]
    Expired(TokenId, Timestamp),
    /// It was taken back.
    #[error("token {0} was revoked")]
    Revoked(TokenId),
}

/// Why a token is not made or taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It would be good for nothing.
    #[error("a token needs at least one right")]
    NoRight,
    /// Too many names.
    #[error("a token has at most {TOKEN_SCOPES_MAX} scopes")]
    Scopes,
    /// A note that is too long.
    #[error("a note has at most {NOTE_BYTES_MAX} bytes")]
    Note,
    /// A life that is too short or too long.
    #[error("a token lives {TOKEN_LIFE_SECS_MIN} to {TOKEN_LIFE_SECS_MAX} seconds, not {0}")]
    Life(u64),
    /// The caller has less.
    #[error("{0}")]
    Beyond(&'static str),
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens; revoked and ended ones go after a month")]
    TooMany,
    /// No such token.
    #[error("there is no token {0}")]
    NotThere(TokenId),
    /// The store failed.
    #[error("the tokens could not be written: {0}")]
    Store(String),
}

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// What it is good for.
    pub permission: Permission,
    /// How long it lives.
    pub life_secs: u64,
    /// What it is for.
    pub note: String,
}

/// Everybody who may call from afar.
pub struct Callers {
    store: Arc<dyn TokenStore>,
    chance: Box<dyn Randomness>,
    tokens: RwLock<BTreeMap<TokenId, Token>>,
    /// Held while tokens are written, so that what is written is what is held.
    writing: Mutex<()>,
    clients: ArcSwap<Clients>,
    failures: Failures,
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callers")
    }
}

impl Callers {
    /// Reads the tokens. An error says what went wrong.
    pub fn load(
        store: Arc<dyn TokenStore>,
        chance: impl Randomness,
        clients: Clients,
    ) -> Result<Self, String> {
        let tokens = store.tokens()?.into_iter();
        Ok(Self {
            tokens: RwLock::new(tokens.map(|token| (token.id, token)).collect()),
            store,
            chance: Box::new(chance),
            writing: Mutex::new(()),
            clients: ArcSwap::from_pointee(clients),
            failures: Failures::default(),
        })
    }

    /// Puts other clients in force.
    pub fn replace_clients(&self, clients: Clients) {
        self.clients.store(Arc::new(clients));
    }

    /// What the holder of a text may do now.
    pub fn by_token(&self, text: &TokenText, now: Timestamp) -> Result<Token, TokenDenied> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let found = tokens.get(&text.id());
        // Whether there is such an identifier takes no time to find out either.
        let hash = found.map_or(Digest::ZERO, |token| token.hash);
        let is_behind = text.is_behind(&hash);
        let Some(token) = found.filter(|_| is_behind) else {
            return Err(TokenDenied::Unknown);
        };
        if token.revoked.is_some() {
            return Err(TokenDenied::Revoked(token.id));
        }
        if !token.is_good(now) {
            return Err(TokenDenied::Expired(token.id, token.expires));
        }
        Ok(token.clone())
    }

    /// What a client with a certificate may do now.
    pub fn by_identity(&self, identity: &Identity) -> Option<Permission> {
        self.clients.load().get(identity).cloned()
    }

    /// Notes a call by nobody known. When there are too many, the time until they are forgotten.
    pub fn note_failure(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        self.failures.note(source, now)
    }

    /// Every token, in the order of making.
    pub fn tokens(&self) -> Vec<Token> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut tokens: Vec<Token> = tokens.values().cloned().collect();
        tokens.sort_by_key(|token| (token.made, token.id));
        tokens
    }

    /// Makes a token that is good for no more than its maker is, and for no longer where the maker
    /// ends. It is durable when this returns. Blocks for the disk.
    pub fn make(
        &self,
        wish: TokenWish,
        maker: (&Permission, Option<Timestamp>),
        now: Timestamp,
    ) -> Result<(Token, TokenText), TokenError> {
        let expires = check(&wish, maker, now)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<TokenId> = self
            .tokens()
            .iter()
            .filter(|token| {
                token
                    .revoked
                    .unwrap_or(token.expires)
                    .plus_millis(SHOWN_AFTER_END_MS)
                    < now
            })
            .map(|token| token.id)
            .collect();
        let held = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        if held.len() - over.len() >= TOKENS_MAX {
            return Err(TokenError::TooMany);
        }
        drop(held);
        let text = TokenText::new(&self.chance.seed(), self.chance.seed());
        let token = Token {
            id: text.id(),
            hash: text.hash(),
            permission: wish.permission,
            made: now,
            expires,
            note: wish.note,
            revoked: None,
        };
        self.write(&token, &over)?;
        Ok((token, text))
    }

    /// Takes a token back, for ever. Blocks for the disk.
    pub fn revoke(&self, id: TokenId, now: Timestamp) -> Result<Token, TokenError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut token = tokens.get(&id).cloned().ok_or(TokenError::NotThere(id))?;
        drop(tokens);
        if token.revoked.is_none() {
            token.revoked = Some(now);
            self.write(&token, &[])?;
        }
        Ok(token)
    }

    fn write(&self, token: &Token, over: &[TokenId]) -> Result<(), TokenError> {
        self.store
            .put_token(token, over)
            .map_err(TokenError::Store)?;
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|id, _| !over.contains(id));
        tokens.insert(token.id, token.clone());
        Ok(())
    }
}

/// When a token will end, if it may be.
fn check(
    wish: &TokenWish,
    (maker, end): (&Permission, Option<Timestamp>),
    now: Timestamp,
) -> Result<Timestamp, TokenError> {
    if wish.permission.rights().is_empty() {
        return Err(TokenError::NoRight);
    }
    if wish.permission.scopes().len() > TOKEN_SCOPES_MAX {
        return Err(TokenError::Scopes);
    }
    if wish.note.len() > NOTE_BYTES_MAX {
        return Err(TokenError::Note);
    }
    if !(TOKEN_LIFE_SECS_MIN..=TOKEN_LIFE_SECS_MAX).contains(&wish.life_secs) {
        return Err(TokenError::Life(wish.life_secs));
    }
    if !maker.includes(&wish.permission) {
        let error = "nobody makes a token that may do more than they may themselves";
        return Err(TokenError::Beyond(error));
    }
    let expires = now.plus_millis(wish.life_secs * 1_000);
    if end.is_some_and(|end| expires > end) {
        let error = "no token makes one that outlives it";
        return Err(TokenError::Beyond(error));
    }
    Ok(expires)
}

#[cfg(test)]
mod tests;
