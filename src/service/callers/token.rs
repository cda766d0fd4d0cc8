//! `Token`: what a secret that somebody holds is good for, and the text of that secret.

use std::fmt;
use std::str::FromStr;

use constant_time_eq::constant_time_eq_32;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::{Digest, DigestStream};
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::service::permission::{Permission, Right};

/// Names of one token; compared one by one for each call.
pub const TOKEN_SCOPES_MAX: usize = 32;

/// The domain of a secret's digest.
const LABEL: &str = "kedge/token-secret/1";
/// What the text begins with, so that people and scanners of leaked secrets know what they see.
const PREFIX: &str = "kedge_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// What a token is found by; no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId([u8; ID_BYTES]);

/// What its holder has: the identifier and 256 bits. Erased from memory on drop, and shown once.
pub struct TokenText {
    id: TokenId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// Text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected kedge_, 16 hexadecimal digits, _ and 64 hexadecimal digits")]
pub struct BadToken;

/// A token as the node keeps it: not its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is found by.
    pub id: TokenId,
    /// The digest of identifier and secret.
    pub hash: Digest,
    /// What it is good for.
    pub permission: Permission,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What it is for, for people.
    pub note: String,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

impl TokenText {
    /// A token's text from chance.
    pub fn new(id: &[u8; 32], secret: [u8; SECRET_BYTES]) -> Self {
        let mut short = [0; ID_BYTES];
        short.copy_from_slice(id.split_at(ID_BYTES).0);
        Self {
            id: TokenId(short),
            secret: Zeroizing::new(secret),
        }
    }

    /// What it is found by.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The digest that a node keeps of it.
    pub fn hash(&self) -> Digest {
        let mut stream = DigestStream::new(LABEL);
        stream.push(&self.id.0);
        stream.push(self.secret.as_slice());
        stream.digest()
    }

    /// Whether this is the secret behind a digest; it takes as long whichever bytes differ.
    pub fn is_behind(&self, hash: &Digest) -> bool {
        constant_time_eq_32(self.hash().as_bytes(), hash.as_bytes())
    }

    /// The text, for the one who shall hold it.
    pub fn reveal(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(HEXLOWER.encode(self.secret.as_slice()));
        Zeroizing::new(format!("{PREFIX}{}_{}", self.id, secret.as_str()))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({})", self.id)
    }
}

impl FromStr for TokenText {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(BadToken)?;
        let (id, secret) = rest.split_once('_').ok_or(BadToken)?;
        if secret.len() != 2 * SECRET_BYTES {
            return Err(BadToken);
        }
        let bytes = HEXLOWER.decode(secret.as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| BadToken)?);
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        secret.copy_from_slice(&bytes);
        Ok(Self {
            id: id.parse()?,
            secret,
        })
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for TokenId {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        if text.len() != 2 * ID_BYTES {
            return Err(BadToken);
        }
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| BadToken)?;
        bytes.try_into().map(Self).map_err(|_| BadToken)
    }
}

impl Token {
    /// Whether it is good for anything at a time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires
    }
}

impl Canonical for TokenId {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

impl Canonical for Right {
    fn encode(&self, out: &mut Encoder) {
        out.u8(match self {
            Self::Read => 0,
            Self::Propose => 1,
            Self::Vote => 2,
            Self::Govern => 3,
            Self::Announce => 4,
            Self::Prove => 5,
            Self::Operate => 6,
            Self::Admin => 7,
        });
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        let known = Self::ALL.get(usize::from(tag)).copied();
        known.ok_or(DecodeError::Tag { what: "right", tag })
    }
}

impl Canonical for Permission {
    fn encode(&self, out: &mut Encoder) {
        out.list(self.rights());
        out.list(self.scopes());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rights: Vec<Right> = input.list("rights", Right::ALL.len())?;
        let scopes: Vec<Name> = input.list("scopes", TOKEN_SCOPES_MAX)?;
        let permission = Self::new(rights.clone(), scopes.clone());
        if permission.rights() != rights || permission.scopes() != scopes {
            return Err(DecodeError::NotCanonical { what: "permission" });
        }
        Ok(permission)
    }
}

impl Canonical for Token {
    fn encode(&self, out: &mut Encoder) {
        self.id.encode(out);
        self.hash.encode(out);
        self.permission.encode(out);
        self.made.encode(out);
        self.expires.encode(out);
        out.text(&self.note);
        out.option(self.revoked.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TokenId::decode(input)?,
            hash: Digest::decode(input)?,
            permission: Permission::decode(input)?,
            made: Timestamp::decode(input)?,
            expires: Timestamp::decode(input)?,
            note: input.text("note", NOTE_BYTES_MAX)?,
            revoked: input.option()?,
        })
    }
}

impl Form for Token {
    const LABEL: &'static str = "kedge/token";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_and_is_not_shown_by_accident() {
        let text = TokenText::new(&[7; 32], [9; 32]);
        let revealed = text.reveal();
        assert_eq!(revealed.len(), 6 + 16 + 1 + 64);
        let read: TokenText = revealed.parse().unwrap();
        assert_eq!(read.id(), text.id());
        assert!(read.is_behind(&text.hash()));
        assert!(!format!("{read:?}").contains("0909"));
    }

    #[test]
    fn another_secret_or_identifier_is_not_behind_a_digest() {
        let text = TokenText::new(&[7; 32], [9; 32]);
        assert!(!TokenText::new(&[7; 32], [8; 32]).is_behind(&text.hash()));
        assert!(!TokenText::new(&[6; 32], [9; 32]).is_behind(&text.hash()));
    }

    #[test]
    fn text_that_is_no_token_is_refused() {
        let good = TokenText::new(&[7; 32], [0xab; 32]).reveal();
        for bad in [
            String::new(),
            "kedge_".to_owned(),
            good.to_uppercase(),
            good.replace("kedge_", "kedge-"),
            format!("{}0", good.as_str()),
            format!(" {}", good.as_str()),
            good.replace("ab", "AB"),
            good.replacen("0707", "07", 1),
            good.replacen("_0707", "_\u{e9}", 1),
        ] {
            assert_eq!(bad.parse::<TokenText>().err(), Some(BadToken), "{bad}");
        }
    }
}
