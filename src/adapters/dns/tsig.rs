//! TSIG (RFC 8945): who signed a question, and replies signed with the same key.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::base::iana::{Class, OptRcode, Rtype, TsigRcode};
use domain::base::message::Message;
use domain::base::message_builder::{AdditionalBuilder, PushError, StaticCompressor};
use domain::base::name::{Name as WireName, ToName};
use domain::base::{Record, Ttl};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{Algorithm, Key, KeyName, KeyStore, ServerTransaction};
use ring::hmac;

use crate::base::time::Timestamp;
use crate::namespace::name::Name;

/// Owner, type, class, TTL and length of a record, but for the owner's bytes.
const RECORD_BYTES: usize = 10;
/// Time, fudge, sizes, original ID and error of a TSIG record, and the server's time.
const FIELD_BYTES: usize = 22;
/// A shorter secret could be found by trying.
const SECRET_BYTES_MIN: usize = 16;

/// How a key signs. Older algorithms than these are broken or may not be used (RFC 8945 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TsigAlgorithm {
    /// HMAC over SHA-256.
    Sha256,
    /// HMAC over SHA-384.
    Sha384,
    /// HMAC over SHA-512.
    Sha512,
}

impl TsigAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    const fn parts(self) -> (Algorithm, hmac::Algorithm) {
        match self {
            Self::Sha256 => (Algorithm::Sha256, hmac::HMAC_SHA256),
            Self::Sha384 => (Algorithm::Sha384, hmac::HMAC_SHA384),
            Self::Sha512 => (Algorithm::Sha512, hmac::HMAC_SHA512),
        }
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().0.fmt(f)
    }
}

/// A word that is no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected hmac-sha256, hmac-sha384 or hmac-sha512")]
pub struct BadTsigAlgorithm;

impl FromStr for TsigAlgorithm {
    type Err = BadTsigAlgorithm;

    fn from_str(text: &str) -> Result<Self, BadTsigAlgorithm> {
        let named = |algorithm: &Self| algorithm.to_string() == text;
        Self::ALL.into_iter().find(named).ok_or(BadTsigAlgorithm)
    }
}

/// A secret that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTsigKey {
    /// It is too short.
    #[error("a secret has at least {SECRET_BYTES_MIN} bytes")]
    Short,
    /// Its name cannot be that of a key.
    #[error("{0} is no name of a key")]
    Name(Name),
}

/// A key that this node shares with somebody.
struct Shared {
    name: Name,
    key: Key,
    /// For errors, which are signed here.
    hmac: hmac::Key,
}

#[derive(Clone)]
struct Held(Arc<Shared>);

impl AsRef<Key> for Held {
    fn as_ref(&self) -> &Key {
        &self.0.key
    }
}

/// The keys that this node shares, by name.
#[derive(Default)]
pub struct TsigKeys {
    keys: BTreeMap<Name, Held>,
}

/// The keys in force, replaced as a whole by a reload.
pub type TsigKeysInForce = Arc<ArcSwap<TsigKeys>>;

impl fmt::Debug for TsigKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

impl TsigKeys {
    /// Adds a key; it takes the place of one of the same name.
    pub fn add(
        &mut self,
        name: Name,
        algorithm: TsigAlgorithm,
        secret: &[u8],
    ) -> Result<(), BadTsigKey> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(BadTsigKey::Short);
        }
        let (algorithm, hmac) = algorithm.parts();
        let wire = WireName::from_slice(name.as_wire()).ok();
        let wire: Option<KeyName> = wire.and_then(|wire| wire.try_to_name().ok());
        let wire = wire.ok_or_else(|| BadTsigKey::Name(name.clone()))?;
        // Shorter signatures are checked, but then refused as too short for us.
        let least = Some((algorithm.native_len() / 2).max(10));
        let key = Key::new(algorithm, secret, wire, least, None)
            .map_err(|_| BadTsigKey::Name(name.clone()))?;
        let hmac = hmac::Key::new(hmac, secret);
        let held = Held(Arc::new(Shared {
            name: name.clone(),
            key,
            hmac,
        }));
        self.keys.insert(name, held);
        Ok(())
    }
}

impl TsigKeys {
    /// The key that signed a message, if its signature holds.
    pub fn signer(&self, message: &[u8], now: Timestamp) -> Option<Name> {
        match check(self, message, now) {
            Checked::Held(signature) => Some(signature.key().clone()),
            _ => None,
        }
    }
}

/// The keys as `domain` looks for them.
struct Lookup<'k>(&'k TsigKeys);

impl KeyStore for Lookup<'_> {
    type Key = Held;

    fn get_key<N: ToName>(&self, name: &N, algorithm: Algorithm) -> Option<Held> {
        let wire = name.to_vec();
        let name = Name::from_wire(wire.as_slice()).ok()?;
        let held = self.0.keys.get(&name)?;
        (held.0.key.algorithm() == algorithm).then(|| held.clone())
    }
}

/// A question's signature that held.
#[derive(Clone)]
pub(super) struct Signature {
    // Large: most questions have none.
    transaction: Box<ServerTransaction<Held>>,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.key())
    }
}

impl Signature {
    /// The name of the key.
    pub(super) fn key(&self) -> &Name {
        &self.transaction.wrapped_key().0.name
    }
}

/// What is said to a question whose signature did not hold.
pub(super) struct Fault {
    owner: WireName<Vec<u8>>,
    algorithm: WireName<Vec<u8>>,
    time: Time48,
    fudge: u16,
    error: TsigRcode,
    /// The server's time, if the client's is the fault.
    now: Option<Time48>,
    /// The key and the question's signature, if that held: the error is then signed.
    proven: Option<(Held, Vec<u8>)>,
}

/// What became of a question's signature.
pub(super) enum Checked {
    /// There is none.
    Unsigned,
    /// It holds.
    Held(Signature),
    /// It does not: NOTAUTH, and why.
    Fault(Box<Fault>),
    /// It cannot be read: FORMERR.
    Malformed,
}

/// Checks the signature of a message whose last record may be one.
pub(super) fn check(keys: &TsigKeys, query: &[u8], now: Timestamp) -> Checked {
    let Ok(message) = Message::from_slice(query) else {
        return Checked::Malformed;
    };
    let Ok(records) = message.additional() else {
        return Checked::Malformed;
    };
    let Some(last) = records.last() else {
        return Checked::Unsigned;
    };
    let Ok(last) = last else {
        return Checked::Malformed;
    };
    if last.rtype() != Rtype::TSIG {
        return Checked::Unsigned;
    }
    let Ok(Some(record)) = last.to_record::<Tsig<_, _>>() else {
        return Checked::Malformed;
    };
    let tsig = record.data();
    let (now, keys) = (time(now), Lookup(keys));
    let mut fault = Fault {
        owner: record.owner().to_name(),
        algorithm: tsig.algorithm().to_name(),
        time: tsig.time_signed(),
        fudge: tsig.fudge(),
        error: TsigRcode::BADKEY,
        now: None,
        proven: None,
    };
    let mac = tsig.mac_slice().to_vec();
    let algorithm = Algorithm::from_name(tsig.algorithm());
    let Some(held) = algorithm.and_then(|algorithm| keys.get_key(record.owner(), algorithm)) else {
        return Checked::Fault(Box::new(fault));
    };
    let native = held.0.key.native_len();
    if mac.len() > native || mac.len() < held.0.key.min_mac_len() {
        // RFC 8945 section 5.2.2.1: such a length is no truncation that anybody may ask for.
        return Checked::Malformed;
    }
    let Ok(mut message) = Message::from_octets(query.to_vec()) else {
        return Checked::Malformed;
    };
    let found = match ServerTransaction::request(&keys, &mut message, now) {
        Ok(Some(_)) if mac.len() < native => TsigRcode::BADTRUNC,
        Ok(Some(transaction)) => {
            let transaction = Box::new(transaction);
            return Checked::Held(Signature { transaction });
        }
        Ok(None) => return Checked::Malformed,
        Err(error) if error.error() == TsigRcode::BADTIME => TsigRcode::BADTIME,
        // Whatever else it says: the record was read and the key is known.
        Err(_) => TsigRcode::BADSIG,
    };
    fault.error = found;
    if found != TsigRcode::BADSIG {
        fault.now = (found == TsigRcode::BADTIME).then_some(now);
        fault.proven = Some((held, mac));
    }
    Checked::Fault(Box::new(fault))
}

fn time(at: Timestamp) -> Time48 {
    Time48::from_u64(at.as_secs())
}

/// What stands at the end of a reply to a question with a signature.
pub(super) enum Seal {
    /// The reply's own signature.
    Signed(Signature, Timestamp),
    /// Why the question's did not hold.
    Fault(Box<Fault>),
}

type Section = AdditionalBuilder<StaticCompressor<Vec<u8>>>;

impl Seal {
    /// The bytes that it takes at most.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Signed(signature, _) => usize::from(signature.transaction.key().compose_len()),
            Self::Fault(fault) => {
                let mac = fault
                    .proven
                    .as_ref()
                    .map_or(0, |(held, _)| held.0.key.native_len());
                let names = fault.owner.len() + fault.algorithm.len();
                RECORD_BYTES + FIELD_BYTES + names + mac
            }
        }
    }

    /// Adds it as the last record.
    pub(super) fn push(&self, section: &mut Section) -> Result<(), PushError> {
        match self {
            Self::Signed(signature, now) => {
                let transaction = ServerTransaction::clone(&signature.transaction);
                transaction.answer(section, time(*now))
            }
            Self::Fault(fault) => fault.push(section),
        }
    }
}

impl Fault {
    /// The code of a reply that bears it.
    pub(super) const RCODE: OptRcode = OptRcode::NOTAUTH;

    fn push(&self, section: &mut Section) -> Result<(), PushError> {
        let id = section.header().id();
        let other = self
            .now
            .map_or_else(Vec::new, |now| now.into_octets().to_vec());
        let mac = self.proven.as_ref().map_or_else(Vec::new, |(held, asked)| {
            self.mac(held, asked, section.as_slice(), &other)
        });
        let (algorithm, error) = (self.algorithm.clone(), self.error);
        let tsig = Tsig::new(algorithm, self.time, self.fudge, mac, id, error, other);
        let tsig = tsig.map_err(|_| PushError::ShortBuf)?;
        section.push(Record::new(&self.owner, Class::ANY, Ttl::ZERO, tsig))
    }

    /// RFC 8945 section 4.3. Computed here, as `domain` hashes the server's time in eight octets
    /// where the record holds it in six.
    fn mac(&self, held: &Held, asked: &[u8], reply: &[u8], other: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&held.0.hmac);
        context.update(&length(asked));
        context.update(asked);
        context.update(reply);
        context.update(held.0.name.as_wire());
        context.update(&Class::ANY.to_int().to_be_bytes());
        context.update(&[0; 4]);
        context.update(held.0.key.algorithm().to_name().as_slice());
        context.update(&self.time.into_octets());
        context.update(&self.fudge.to_be_bytes());
        context.update(&self.error.to_int().to_be_bytes());
        context.update(&length(other));
        context.update(other);
        context.sign().as_ref().to_vec()
    }
}

fn length(bytes: &[u8]) -> [u8; 2] {
    // Both are no longer than a digest.
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}
