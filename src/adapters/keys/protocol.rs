//! What a node and a program that signs for it say to each other: a line asked, a line answered.
//!
//! `keys` is answered by `keys` and public keys in hexadecimal digits; `sign` with a public key and
//! the message in hexadecimal digits by `signature` and 128 of them, or by `refused` and a reason.

use std::io::{self, BufRead, Read as _, Write};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::base::keys::{PublicKey, Signature, Signer};
use crate::base::limits::PROPOSAL_BYTES_MAX;

/// Keys of one program: far more than a node has scopes to sign for.
pub const KEYS_MAX: usize = 4_096;
/// A line that lists every key.
const ANSWER_BYTES_MAX: usize = KEYS_MAX * 65 + 64;
/// A line with the longest message that is ever signed.
const REQUEST_BYTES_MAX: usize = 2 * PROPOSAL_BYTES_MAX + 256;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which keys there are.
    Keys,
    /// A signature.
    Sign {
        /// The key.
        key: PublicKey,
        /// What is signed.
        message: Vec<u8>,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The keys there are.
    Keys(Vec<PublicKey>),
    /// The signature.
    Signature(Signature),
    /// No signature, and why.
    Refused(String),
}

/// Why a line was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The other end is gone.
    #[error("it ended")]
    Ended,
    /// It cannot be read from or written to.
    #[error("it cannot be talked to")]
    Io(#[from] io::Error),
    /// Longer than anything that has a meaning.
    #[error("it sent a line of more than {0} bytes")]
    TooLong(usize),
    /// Not a line of this protocol.
    #[error("it sent a line that is neither of the expected ones: {0:?}")]
    Unexpected(String),
}

impl Request {
    /// Writes it as a line.
    pub fn write(&self, out: &mut impl Write) -> Result<(), ProtocolError> {
        match self {
            Self::Keys => out.write_all(b"keys\n")?,
            Self::Sign { key, message } => {
                writeln!(out, "sign {key} {}", HEXLOWER.encode(message))?;
            }
        }
        Ok(out.flush()?)
    }

    /// Reads one; none at the end.
    pub fn read(input: &mut impl BufRead) -> Result<Option<Self>, ProtocolError> {
        let Some(line) = line(input, REQUEST_BYTES_MAX)? else {
            return Ok(None);
        };
        let request = Self::parse(&line);
        request.map(Some).ok_or_else(|| unexpected(&line))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let request = match (words.next()?, words.next(), words.next()) {
            ("keys", None, None) => Self::Keys,
            ("sign", Some(key), Some(message)) => Self::Sign {
                key: key.parse().ok()?,
                message: HEXLOWER_PERMISSIVE.decode(message.as_bytes()).ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(request)
    }
}

impl Answer {
    /// Writes it as a line.
    pub fn write(&self, out: &mut impl Write) -> Result<(), ProtocolError> {
        match self {
            Self::Keys(keys) => {
                out.write_all(b"keys")?;
                for key in keys {
                    write!(out, " {key}")?;
                }
                out.write_all(b"\n")?;
            }
            Self::Signature(signature) => {
                writeln!(out, "signature {}", HEXLOWER.encode(signature.as_bytes()))?;
            }
            Self::Refused(reason) => writeln!(out, "refused {}", reason.replace('\n', " "))?,
        }
        Ok(out.flush()?)
    }

    /// Reads one.
    pub fn read(input: &mut impl BufRead) -> Result<Self, ProtocolError> {
        let line = line(input, ANSWER_BYTES_MAX)?.ok_or(ProtocolError::Ended)?;
        Self::parse(&line).ok_or_else(|| unexpected(&line))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "keys" => {
                let keys = rest.split(' ').filter(|key| !key.is_empty());
                let keys: Vec<PublicKey> =
                    keys.map(|key| key.parse().ok()).collect::<Option<_>>()?;
                (keys.len() <= KEYS_MAX).then_some(Self::Keys(keys))
            }
            "signature" => {
                let bytes = HEXLOWER_PERMISSIVE.decode(rest.as_bytes()).ok()?;
                let bytes = bytes.try_into().ok()?;
                Some(Self::Signature(Signature::from_bytes(bytes)))
            }
            "refused" => Some(Self::Refused(shortened(rest))),
            _ => None,
        }
    }
}

/// Answers requests with some keys until the other end is gone.
pub fn answer<K: Signer>(
    keys: &[K],
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> Result<(), ProtocolError> {
    while let Some(request) = Request::read(input)? {
        let answer = match request {
            Request::Keys => Answer::Keys(keys.iter().map(Signer::public).collect()),
            Request::Sign { key, message } => match keys.iter().find(|held| held.public() == key) {
                None => Answer::Refused("this key is not held here".to_owned()),
                Some(held) => match held.try_sign(&message) {
                    Ok(signature) => Answer::Signature(signature),
                    Err(error) => Answer::Refused(error.reason),
                },
            },
        };
        answer.write(out)?;
    }
    Ok(())
}

/// A line without its end; none at the end of the input.
fn line(input: &mut impl BufRead, max: usize) -> Result<Option<String>, ProtocolError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    input.take(limit + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        // The input ended in the middle of a line, or the line goes on.
        return Err(if bytes.len() >= max {
            ProtocolError::TooLong(max)
        } else {
            ProtocolError::Ended
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(unexpected(&String::from_utf8_lossy(error.as_bytes()))),
    }
}

fn unexpected(line: &str) -> ProtocolError {
    ProtocolError::Unexpected(shortened(line))
}

/// What a message shows of somebody else's text.
fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 200;
    text.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;

    #[test]
    fn requests_and_answers_come_back_from_their_lines() {
        let key = SecretKey::from_seed(&[1; 32]);
        let requests = [
            Request::Keys,
            Request::Sign {
                key: key.public(),
                message: b"message".to_vec(),
            },
        ];
        for request in requests {
            let mut bytes = Vec::new();
            request.write(&mut bytes).unwrap();
            let again = Request::read(&mut bytes.as_slice()).unwrap();
            assert_eq!(again, Some(request));
        }
        let answers = [
            Answer::Keys(Vec::new()),
            Answer::Keys(vec![key.public(); 2]),
            Answer::Signature(key.sign(b"message")),
            Answer::Refused("no key like that".to_owned()),
        ];
        for answer in answers {
            let mut bytes = Vec::new();
            answer.write(&mut bytes).unwrap();
            assert_eq!(Answer::read(&mut bytes.as_slice()).unwrap(), answer);
        }
    }

    #[test]
    fn other_lines_are_refused_and_bounded() {
        for text in [
            "",
            "keys",
            "signature 00\n",
            "keys x\n",
            "hello\n",
            "\u{0}\n",
        ] {
            assert!(Answer::read(&mut text.as_bytes()).is_err(), "{text:?}");
        }
        for text in ["keys now\n", "sign\n", "sign x 00\n", "sign  \n", "Keys\n"] {
            assert!(Request::read(&mut text.as_bytes()).is_err(), "{text:?}");
        }
        let endless = io::repeat(b'a');
        let mut endless = io::BufReader::new(endless);
        let error = Answer::read(&mut endless).unwrap_err();
        assert!(matches!(error, ProtocolError::TooLong(_)), "{error}");
    }

    #[test]
    fn held_keys_are_signed_with_and_others_are_not() {
        let key = SecretKey::from_seed(&[1; 32]);
        let other = SecretKey::from_seed(&[2; 32]).public();
        let mut asked = Vec::new();
        for key in [key.public(), other] {
            let message = b"message".to_vec();
            Request::Sign { key, message }.write(&mut asked).unwrap();
        }
        let mut told = Vec::new();
        answer(std::slice::from_ref(&key), &mut asked.as_slice(), &mut told).unwrap();
        let mut told = told.as_slice();
        let first = Answer::read(&mut told).unwrap();
        assert_eq!(first, Answer::Signature(key.sign(b"message")));
        let second = Answer::read(&mut told).unwrap();
        assert!(matches!(second, Answer::Refused(_)), "{second:?}");
    }
}
