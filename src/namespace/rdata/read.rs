//! Text to wire: `Reader` reads one field after another from the shared lexer.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use data_encoding::{BASE32HEX_NOPAD, HEXLOWER_PERMISSIVE};

use crate::base::limits::RDATA_BYTES_MAX;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;

use super::lexer::{Lexer, Token};
use super::schema::{ALGORITHMS, CERT_TYPES, Field, Shape};
use super::{BadRdata, bitmap, hosts, loc, prefixes, svc, text, wire};

/// Reads the fields of one record; `out` holds their wire form.
pub(super) struct Reader<'r, 'a> {
    pub(super) lexer: &'r mut Lexer<'a>,
    pub(super) origin: &'r Name,
    pub(super) out: Vec<u8>,
    kind: RecordType,
    field: Field,
}

impl<'r, 'a> Reader<'r, 'a> {
    /// Reads a record of the type from where `lexer` stands.
    pub(super) fn new(kind: RecordType, lexer: &'r mut Lexer<'a>, origin: &'r Name) -> Self {
        let field = Field {
            name: "generic data",
            shape: Shape::Hex,
        };
        Self {
            lexer,
            origin,
            out: Vec::with_capacity(64),
            kind,
            field,
        }
    }

    /// Reads all fields and nothing after them.
    pub(super) fn read_all(mut self, fields: &[Field]) -> Result<Vec<u8>, BadRdata> {
        for &field in fields {
            self.field = field;
            self.read(field.shape)?;
        }
        match self.lexer.token()? {
            Token::End => Ok(self.out),
            Token::Word(found) | Token::Quoted(found) => Err(BadRdata::Extra {
                kind: self.kind,
                found: shown(found),
            }),
        }
    }

    /// Reads what follows `\#`: a length and hexadecimal digits (RFC 3597 section 5).
    pub(super) fn read_generic(mut self) -> Result<Vec<u8>, BadRdata> {
        let word = self.word()?;
        let length = text::decimal(word, u64::from(u16::MAX));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| self.bad(word))?;
        let digits = self.joined()?;
        let bytes = HEXLOWER_PERMISSIVE
            .decode(&digits)
            .map_err(|_| self.bad(&digits))?;
        if bytes.len() != length {
            return Err(BadRdata::GenericLength {
                stated: length,
                found: bytes.len(),
            });
        }
        Ok(bytes)
    }

    fn read(&mut self, shape: Shape) -> Result<(), BadRdata> {
        match shape {
            Shape::U8 => self.number::<1>(u64::from(u8::MAX)),
            Shape::U16 => self.number::<2>(u64::from(u16::MAX)),
            Shape::U32 => self.number::<4>(u64::from(u32::MAX)),
            Shape::Period => self.with_word(|word| text::period(word).map(u32::to_be_bytes)),
            Shape::Time => self.with_word(|word| text::time(word).map(u32::to_be_bytes)),
            Shape::Algorithm => {
                self.with_word(|word| mnemonic(word, ALGORITHMS, 255).map(|[_, low]| [low]))
            }
            Shape::CertType => self.with_word(|word| mnemonic(word, CERT_TYPES, u16::MAX)),
            Shape::Type => self
                .with_word(|word| parsed(word).map(|kind: RecordType| kind.code().to_be_bytes())),
            Shape::Ip4 => self.with_word(|word| parsed(word).map(|ip: Ipv4Addr| ip.octets())),
            Shape::Ip6 => self.with_word(|word| parsed(word).map(|ip: Ipv6Addr| ip.octets())),
            Shape::Name | Shape::NameAsIs => self.name(),
            Shape::Text => {
                let text = self.string()?;
                self.push_string(text)
            }
            Shape::TextOrNone => match self.more()? {
                Some(text) => self.push_string(text),
                None => Ok(()),
            },
            Shape::Texts => self.texts(),
            Shape::TextRest => {
                let text = self.string()?;
                text::unescape_into(&mut self.out, text).ok_or_else(|| self.bad(text))
            }
            Shape::Tag => {
                let tag = self.string()?;
                if !wire::is_tag(tag) {
                    return Err(self.bad(tag));
                }
                self.push_string(tag)
            }
            Shape::Hex | Shape::Base64 | Shape::Base64OrNone => self.encoded(shape),
            Shape::Salt | Shape::Hash32 => self.counted(shape),
            Shape::Types | Shape::TypesOrNone => self.types(shape),
            Shape::Eui48 => self.with_word(|word| octets::<6>(word, b'-', 2)),
            Shape::Eui64 => self.with_word(|word| octets::<8>(word, b'-', 2)),
            Shape::Locator64 => self.with_word(|word| octets::<8>(word, b':', 4)),
            Shape::Params => {
                let kind = self.kind;
                svc::read(self)?.map_err(|reason| BadRdata::Param { kind, reason })
            }
            Shape::Location => loc::read(self),
            Shape::Prefixes => prefixes::read(self),
            Shape::Gateway => hosts::read_gateway(self),
            Shape::HostIdentity => hosts::read_identity(self),
        }
    }

    /// The next word or string, if the entry goes on.
    pub(super) fn more(&mut self) -> Result<Option<&'a [u8]>, BadRdata> {
        match self.lexer.token()? {
            Token::End => Ok(None),
            Token::Word(text) | Token::Quoted(text) => Ok(Some(text)),
        }
    }

    /// The next word or string.
    fn string(&mut self) -> Result<&'a [u8], BadRdata> {
        self.more()?.ok_or_else(|| self.missing())
    }

    /// The next word; quotes are for strings only.
    pub(super) fn word(&mut self) -> Result<&'a [u8], BadRdata> {
        match self.lexer.token()? {
            Token::Word(text) => Ok(text),
            Token::Quoted(text) => Err(self.bad(text)),
            Token::End => Err(self.missing()),
        }
    }

    /// The error of an entry that ends before the field.
    pub(super) fn missing(&self) -> BadRdata {
        BadRdata::Missing {
            kind: self.kind,
            field: self.field.name,
            expected: self.field.shape.expected(),
        }
    }

    /// The error of a word that is no such field.
    pub(super) fn bad(&self, found: &[u8]) -> BadRdata {
        BadRdata::Field {
            kind: self.kind,
            field: self.field.name,
            expected: self.field.shape.expected(),
            found: shown(found),
        }
    }

    /// Appends what `convert` makes of the next word.
    pub(super) fn with_word<const N: usize>(
        &mut self,
        convert: impl FnOnce(&[u8]) -> Option<[u8; N]>,
    ) -> Result<(), BadRdata> {
        let word = self.word()?;
        let bytes = convert(word).ok_or_else(|| self.bad(word))?;
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    /// Appends a decimal number of `N` octets.
    pub(super) fn number<const N: usize>(&mut self, max: u64) -> Result<(), BadRdata> {
        self.with_word(|word| {
            let bytes = text::decimal(word, max)?.to_be_bytes();
            bytes.last_chunk::<N>().copied()
        })
    }

    /// Appends a name.
    pub(super) fn name(&mut self) -> Result<(), BadRdata> {
        let word = self.word()?;
        self.push_name(word)
    }

    /// Appends a name read already.
    pub(super) fn push_name(&mut self, word: &[u8]) -> Result<(), BadRdata> {
        text::push_name(&mut self.out, word, self.origin).map_err(|reason| BadRdata::Name {
            kind: self.kind,
            field: self.field.name,
            found: shown(word),
            reason,
        })
    }

    fn push_string(&mut self, text: &[u8]) -> Result<(), BadRdata> {
        text::push_string(&mut self.out, text).ok_or_else(|| self.bad(text))
    }

    fn texts(&mut self) -> Result<(), BadRdata> {
        let mut next = Some(self.string()?);
        while let Some(text) = next {
            self.push_string(text)?;
            if self.out.len() > RDATA_BYTES_MAX {
                return Err(BadRdata::TooLong { kind: self.kind });
            }
            next = self.more()?;
        }
        Ok(())
    }

    /// The words up to the end of the entry, run together.
    fn joined(&mut self) -> Result<Vec<u8>, BadRdata> {
        let mut all = Vec::new();
        loop {
            match self.lexer.token()? {
                Token::Word(word) => all.extend_from_slice(word),
                Token::Quoted(text) => return Err(self.bad(text)),
                Token::End => return Ok(all),
            }
        }
    }

    fn encoded(&mut self, shape: Shape) -> Result<(), BadRdata> {
        let digits = self.joined()?;
        if digits.is_empty() && shape != Shape::Base64OrNone {
            return Err(self.missing());
        }
        let bytes = match shape {
            Shape::Hex => HEXLOWER_PERMISSIVE.decode(&digits).ok(),
            _ => text::base64(&digits),
        };
        let bytes = bytes.ok_or_else(|| self.bad(&digits))?;
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn counted(&mut self, shape: Shape) -> Result<(), BadRdata> {
        let word = self.word()?;
        let bytes = match shape {
            Shape::Salt if word == b"-" => Ok(Vec::new()),
            Shape::Salt => HEXLOWER_PERMISSIVE.decode(word),
            _ => BASE32HEX_NOPAD.decode(&word.to_ascii_uppercase()),
        };
        let bytes = bytes.map_err(|_| self.bad(word))?;
        let length = u8::try_from(bytes.len()).map_err(|_| self.bad(word))?;
        self.out.push(length);
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn types(&mut self, shape: Shape) -> Result<(), BadRdata> {
        let mut types = BTreeSet::new();
        while let Some(word) = self.more()? {
            types.insert(parsed::<RecordType>(word).ok_or_else(|| self.bad(word))?);
        }
        if types.is_empty() && shape == Shape::Types {
            return Err(self.missing());
        }
        bitmap::push(&mut self.out, &types);
        Ok(())
    }
}

/// What an error shows of a word: the start of it.
pub(super) fn shown(found: &[u8]) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    let mut chars = String::from_utf8_lossy(found)
        .chars()
        .collect::<Vec<char>>();
    if chars.len() > SHOWN_CHARS_MAX {
        chars.truncate(SHOWN_CHARS_MAX);
        chars.extend(['.', '.', '.']);
    }
    chars.into_iter().collect()
}

fn parsed<T: FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn mnemonic(word: &[u8], table: &[(&str, u16)], max: u16) -> Option<[u8; 2]> {
    let named = table
        .iter()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
    let code = match named {
        Some(&(_, code)) => code,
        None => u16::try_from(text::decimal(word, u64::from(max))?).ok()?,
    };
    Some(code.to_be_bytes())
}

/// Octets in groups of exactly `digits` hexadecimal digits (RFC 7043; RFC 6742 pads likewise here).
fn octets<const N: usize>(word: &[u8], separator: u8, digits: usize) -> Option<[u8; N]> {
    let mut bytes = Vec::with_capacity(N);
    for group in word.split(|&byte| byte == separator) {
        let mut padded = vec![b'0'; digits.saturating_sub(group.len())];
        // RFC 6742 section 2.1.2 writes locators like IPv6 groups, so leading zeros may be absent.
        if group.is_empty() || (digits == 2 && group.len() != 2) {
            return None;
        }
        padded.extend_from_slice(group);
        if padded.len() != digits {
            return None;
        }
        bytes.extend(HEXLOWER_PERMISSIVE.decode(&padded).ok()?);
    }
    bytes.try_into().ok()
}
