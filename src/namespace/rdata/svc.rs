//! Service parameters of SVCB and HTTPS (RFC 9460): sorted by key, each at most once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::lexer::Token;
use super::read::{Reader, shown};
use super::wire::Cursor;
use super::{BadRdata, text};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// Keys by number (RFC 9460 section 14.3.2, RFC 9461, RFC 9540).
const KEYS: [(&str, u16); 9] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", DOHPATH),
    ("ohttp", OHTTP),
];

/// Why service parameters are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParam {
    /// The bytes end inside a parameter.
    #[error("the bytes end inside a parameter")]
    Short,
    /// Keys on the wire that do not ascend.
    #[error("the keys are not in ascending order")]
    Order,
    /// A word that is no key.
    #[error("{0:?} is no key; write a known key, or key and a number")]
    Key(String),
    /// A key given twice.
    #[error("{} is given twice", key_name(*.0))]
    Twice(u16),
    /// A value that its key does not allow.
    #[error("the value of {} is not {}", key_name(*.0), expected(*.0))]
    Value(u16),
    /// A key that the record declares mandatory and does not have.
    #[error("{} is mandatory and missing", key_name(*.0))]
    MandatoryMissing(u16),
    /// `no-default-alpn` alone says that there is no protocol at all.
    #[error("no-default-alpn needs alpn")]
    NoAlpn,
}

/// Checks parameters on the wire.
pub(super) fn check(bytes: &[u8]) -> Result<(), BadParam> {
    let mut mandatory: &[u8] = &[];
    let mut keys = Vec::new();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let (key, value) = next(&mut cursor).ok_or(BadParam::Short)?;
        match keys.last() {
            Some(&last) if last == key => return Err(BadParam::Twice(key)),
            Some(&last) if last > key => return Err(BadParam::Order),
            _ => keys.push(key),
        }
        if !fits(key, value) {
            return Err(BadParam::Value(key));
        }
        if key == MANDATORY {
            mandatory = value;
        }
    }
    for key in codes(mandatory) {
        if keys.binary_search(&key).is_err() {
            return Err(BadParam::MandatoryMissing(key));
        }
    }
    if keys.contains(&NO_DEFAULT_ALPN) && !keys.contains(&ALPN) {
        return Err(BadParam::NoAlpn);
    }
    Ok(())
}

fn next<'a>(cursor: &mut Cursor<'a>) -> Option<(u16, &'a [u8])> {
    let key = cursor.u16()?;
    let length = cursor.u16()?;
    Some((key, cursor.take(usize::from(length))?))
}

fn codes(value: &[u8]) -> impl Iterator<Item = u16> {
    value
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(u16::from_be_bytes)
}

fn is_list(value: &[u8], size: usize) -> bool {
    !value.is_empty() && value.len().is_multiple_of(size)
}

/// Whether the value has its key's form; unknown keys have any.
fn fits(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => {
            is_list(value, 2)
                && codes(value).is_sorted_by(|a, b| a < b)
                && codes(value).all(|key| key != MANDATORY)
        }
        ALPN => {
            let mut cursor = Cursor::new(value);
            while !cursor.is_empty() {
                if cursor.string().is_none_or(<[u8]>::is_empty) {
                    return false;
                }
            }
            !value.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => is_list(value, 4),
        IPV6HINT => is_list(value, 16),
        ECH => !value.is_empty(),
        DOHPATH => is_dns_template(value),
        _ => true,
    }
}

/// Whether this is a path with a query variable `dns` (RFC 9461 section 5).
fn is_dns_template(value: &[u8]) -> bool {
    let Some((path, rest)) = std::str::from_utf8(value)
        .ok()
        .and_then(|path| path.split_once("{?"))
    else {
        return false;
    };
    let variables = rest.split_once('}').map(|(variables, _)| variables);
    path.starts_with('/')
        && variables.is_some_and(|names| names.split(',').any(|name| name == "dns"))
}

fn expected(key: u16) -> &'static str {
    match key {
        MANDATORY => "a list of other keys, each once",
        ALPN => "a list of protocol names such as h2,h3",
        NO_DEFAULT_ALPN | OHTTP => "absent",
        PORT => "a port number",
        IPV4HINT => "a list of IPv4 addresses",
        IPV6HINT => "a list of IPv6 addresses",
        ECH => "base64",
        DOHPATH => "a path template such as /dns-query{?dns}",
        _ => "at most 65535 octets",
    }
}

fn key_name(key: u16) -> String {
    match KEYS.iter().find(|&&(_, code)| code == key) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("key{key}"),
    }
}

/// Reads a key; the flag says whether it was written by number, which makes its value plain bytes.
fn parse_key(word: &[u8]) -> Option<(u16, bool)> {
    if let Some(&(_, code)) = KEYS.iter().find(|(name, _)| name.as_bytes() == word) {
        return Some((code, false));
    }
    let (head, digits) = word.split_at_checked(3)?;
    // RFC 9460 section 2.1: lower case, without leading zeros.
    if head != b"key" || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let code = text::decimal(digits, u64::from(u16::MAX))?;
    Some((u16::try_from(code).ok()?, true))
}

/// Reads parameters up to the end of the entry and appends them sorted.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Result<(), BadParam>, BadRdata> {
    let mut params = BTreeMap::new();
    loop {
        let word = match reader.lexer.pair()? {
            Token::End => break,
            Token::Word(word) => word,
            Token::Quoted(found) => return Ok(Err(BadParam::Key(shown(found)))),
        };
        match read_param(word) {
            Ok((key, value)) => {
                if params.insert(key, value).is_some() {
                    return Ok(Err(BadParam::Twice(key)));
                }
            }
            Err(bad) => return Ok(Err(bad)),
        }
    }
    for (key, value) in params {
        let Ok(length) = u16::try_from(value.len()) else {
            return Ok(Err(BadParam::Value(key)));
        };
        reader.out.extend_from_slice(&key.to_be_bytes());
        reader.out.extend_from_slice(&length.to_be_bytes());
        reader.out.extend_from_slice(&value);
    }
    Ok(Ok(()))
}

fn read_param(word: &[u8]) -> Result<(u16, Vec<u8>), BadParam> {
    let mut halves = word.splitn(2, |&byte| byte == b'=');
    let name = halves.next().unwrap_or_default();
    let (key, by_number) = parse_key(name).ok_or_else(|| BadParam::Key(shown(name)))?;
    let Some(given) = halves.next() else {
        return Ok((key, Vec::new()));
    };
    let given = given
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(given);
    let bad = || BadParam::Value(key);
    let mut plain = Vec::with_capacity(given.len());
    text::unescape_into(&mut plain, given).ok_or_else(bad)?;
    if by_number {
        return Ok((key, plain));
    }
    Ok((key, read_value(key, &plain).ok_or_else(bad)?))
}

fn read_value(key: u16, plain: &[u8]) -> Option<Vec<u8>> {
    let items = || plain.split(|&byte| byte == b',');
    let word = || std::str::from_utf8(plain).ok();
    let mut value = Vec::with_capacity(plain.len());
    match key {
        MANDATORY => {
            let mut keys = items()
                .map(|name| parse_key(name).map(|(key, _)| key))
                .collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            value.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            for id in split_list(plain)? {
                value.push(u8::try_from(id.len()).ok()?);
                value.extend_from_slice(&id);
            }
        }
        PORT => {
            let port = text::decimal(plain, u64::from(u16::MAX))?;
            value.extend_from_slice(&u16::try_from(port).ok()?.to_be_bytes());
        }
        IPV4HINT => {
            for address in word()?.split(',') {
                value.extend_from_slice(&address.parse::<Ipv4Addr>().ok()?.octets());
            }
        }
        IPV6HINT => {
            for address in word()?.split(',') {
                value.extend_from_slice(&address.parse::<Ipv6Addr>().ok()?.octets());
            }
        }
        ECH => value = text::base64(plain)?,
        _ => value.extend_from_slice(plain),
    }
    Some(value)
}

/// Splits at commas that no backslash protects (RFC 9460 appendix A.1).
fn split_list(plain: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut bytes = plain.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b',' => items.push(Vec::new()),
            b'\\' => match bytes.next() {
                Some(&byte @ (b',' | b'\\')) => items.last_mut()?.push(byte),
                _ => return None,
            },
            _ => items.last_mut()?.push(byte),
        }
    }
    Some(items)
}

/// Writes parameters with a space before each.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    while !cursor.is_empty() {
        let (key, value) = next(cursor)?;
        write!(out, " {}", key_name(key)).ok()?;
        if value.is_empty() {
            continue;
        }
        out.push('=');
        match key {
            MANDATORY => write_list(codes(value).map(key_name), out),
            PORT => write_list(codes(value).map(|port| port.to_string()), out),
            IPV4HINT => write_list(
                value
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|ip| Ipv4Addr::from(*ip).to_string()),
                out,
            ),
            IPV6HINT => write_list(
                value
                    .as_chunks::<16>()
                    .0
                    .iter()
                    .map(|ip| Ipv6Addr::from(*ip).to_string()),
                out,
            ),
            ECH => BASE64.encode_append(value, out),
            ALPN => write_alpn(value, out)?,
            _ => text::write_quoted(value, out),
        }
    }
    Some(())
}

fn write_list(items: impl Iterator<Item = String>, out: &mut String) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
}

/// Commas and backslashes are escaped for the list, then the list for the string.
fn write_alpn(value: &[u8], out: &mut String) -> Option<()> {
    let mut list = Vec::with_capacity(value.len());
    let mut cursor = Cursor::new(value);
    while !cursor.is_empty() {
        for &byte in cursor.string()? {
            if matches!(byte, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(byte);
        }
        if !cursor.is_empty() {
            list.push(b',');
        }
    }
    text::write_quoted(&list, out);
    Some(())
}
