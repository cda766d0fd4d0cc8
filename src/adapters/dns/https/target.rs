//! `Target`: what the query of a URI asks: a message in base64url (RFC 8484 section 4.1), or a name
//! and a type in words.

use data_encoding::BASE64URL_NOPAD;

use crate::base::limits::UDP_PAYLOAD_MAX;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;

/// RD and AD: who asks in words wants the names resolved, and sees AD in the reply.
const FLAGS: u16 = 0x0120;
/// CD.
const CHECKING_DISABLED: u16 = 0x0010;
/// DO, in the extended flags of OPT.
const DNSSEC_OK: u16 = 0x8000;
/// The class of everything that is served.
const IN: u16 = 1;
/// The type of OPT.
const OPT: u16 = 41;

/// A question in a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A message, which is not read here.
    Message(Vec<u8>),
    /// A question in words, as a message. The reply is wanted as JSON.
    Words(Vec<u8>),
}

/// Why a query asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Neither the one nor the other is there.
    #[error("expected ?dns= with a message, or ?name= with a name")]
    Missing,
    /// A parameter is there twice, or a message and words are.
    #[error("expected each parameter once, and either dns or name")]
    Twice,
    /// The message is in another form, or empty.
    #[error("dns: expected a message in base64url without padding")]
    Message,
    /// It is none.
    #[error("name: expected a domain name, at most 255 octets")]
    Name,
    /// It is none.
    #[error("type: expected a record type, such as AAAA or 28")]
    Kind,
    /// Neither on nor off.
    #[error("cd, do: expected 1, true, 0 or false")]
    Switch,
}

/// The parameters that mean something; all others are passed over.
#[derive(Default)]
struct Parameters<'q> {
    dns: Option<&'q str>,
    name: Option<&'q str>,
    kind: Option<&'q str>,
    checking_disabled: Option<&'q str>,
    dnssec_ok: Option<&'q str>,
}

impl Target {
    /// Reads the query of a URI, which is what follows its question mark.
    pub fn read(query: &str) -> Result<Self, BadTarget> {
        let parameters = Parameters::read(query)?;
        match (parameters.dns, parameters.name) {
            (Some(_), Some(_)) => Err(BadTarget::Twice),
            (None, None) => Err(BadTarget::Missing),
            (Some(text), None) => message(text).map(Self::Message),
            (None, Some(name)) => parameters.message(name).map(Self::Words),
        }
    }
}

fn message(text: &str) -> Result<Vec<u8>, BadTarget> {
    let decoded = BASE64URL_NOPAD.decode(text.as_bytes());
    let message = decoded.map_err(|_| BadTarget::Message)?;
    if message.is_empty() {
        return Err(BadTarget::Message);
    }
    Ok(message)
}

impl<'q> Parameters<'q> {
    fn read(query: &'q str) -> Result<Self, BadTarget> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match key {
                "dns" => &mut found.dns,
                "name" => &mut found.name,
                "type" => &mut found.kind,
                "cd" => &mut found.checking_disabled,
                "do" => &mut found.dnssec_ok,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(BadTarget::Twice);
            }
        }
        Ok(found)
    }

    fn message(&self, name: &str) -> Result<Vec<u8>, BadTarget> {
        let name = unescaped(name).ok_or(BadTarget::Name)?;
        let name = Name::parse(&name, Some(&Name::root())).map_err(|_| BadTarget::Name)?;
        let kind = kind(self.kind.unwrap_or("A")).ok_or(BadTarget::Kind)?;
        let flag = |is_on, flag| if is_on { flag } else { 0 };
        let flags = FLAGS | flag(switch(self.checking_disabled)?, CHECKING_DISABLED);
        let extended = flag(switch(self.dnssec_ok)?, DNSSEC_OK);
        let payload = u16::try_from(UDP_PAYLOAD_MAX).unwrap_or(u16::MAX);
        let mut message = Vec::with_capacity(64);
        let mut add = |number: u16| message.extend_from_slice(&number.to_be_bytes());
        // The ID is 0, as that of all messages here should be (RFC 8484 section 4.1).
        [0, flags, 1, 0, 0, 1].into_iter().for_each(&mut add);
        message.extend_from_slice(name.as_wire());
        let mut add = |number: u16| message.extend_from_slice(&number.to_be_bytes());
        [kind.code(), IN].into_iter().for_each(&mut add);
        message.push(0);
        let mut add = |number: u16| message.extend_from_slice(&number.to_be_bytes());
        [OPT, payload, 0, extended, 0]
            .into_iter()
            .for_each(&mut add);
        Ok(message)
    }
}

/// A record type by its number or its mnemonic.
fn kind(text: &str) -> Option<RecordType> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(RecordType::new);
    }
    text.parse().ok()
}

fn switch(value: Option<&str>) -> Result<bool, BadTarget> {
    match value {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(BadTarget::Switch),
    }
}

/// The octets of a value in which some are written as `%` and two digits (RFC 3986 section 2.1).
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?;
        octets.extend(decoded);
        rest = tail;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::decode::{Decoded, decode};
    use super::*;

    fn words(query: &str) -> String {
        match Target::read(query) {
            Ok(Target::Words(message)) => match decode(&message) {
                Decoded::Request(request) => format!(
                    "{} {} cd={} do={}",
                    request.name,
                    request.kind,
                    request.checking_disabled,
                    request.edns.unwrap().dnssec_ok
                ),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_question_in_words_is_the_message_that_it_stands_for() {
        for (query, expected) in [
            ("name=example.com", "example.com. A cd=false do=false"),
            (
                "name=Example.COM.&type=28",
                "example.com. AAAA cd=false do=false",
            ),
            (
                "type=type65&do=1&name=a&cd=true&ct=x",
                "a. HTTPS cd=true do=true",
            ),
            ("name=%2e&type=ns", ". NS cd=false do=false"),
            ("name=a%5C.b.c", "a\\.b.c. A cd=false do=false"),
            ("name=a&do=false&cd=0", "a. A cd=false do=false"),
            ("name=", "Err(Name)"),
            ("name=a..b", "Err(Name)"),
            ("name=a%2", "Err(Name)"),
            ("name=a%zz", "Err(Name)"),
            ("name=%c3%a4", "Err(Name)"),
            ("name=a&type=", "Err(Kind)"),
            ("name=a&type=65536", "Err(Kind)"),
            ("name=a&type=nope", "Err(Kind)"),
            ("name=a&do", "Err(Switch)"),
            ("name=a&cd=2", "Err(Switch)"),
            ("name=a&name=b", "Err(Twice)"),
            ("name=a&dns=AAAA", "Err(Twice)"),
            ("type=A", "Err(Missing)"),
            ("", "Err(Missing)"),
        ] {
            assert_eq!(words(query), expected, "{query}");
        }
    }

    #[test]
    fn a_message_has_one_spelling() {
        // The example of RFC 8484 section 4.1.1.
        let query = "dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let Ok(Target::Message(message)) = Target::read(query) else {
            panic!("no message");
        };
        assert!(matches!(decode(&message), Decoded::Request(_)));
        for text in ["", "AAA=", "AA==", "AB", "A", "A+/A", "AA AA", "%41AAA"] {
            let read = Target::read(&format!("dns={text}"));
            assert_eq!(read, Err(BadTarget::Message), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_comes_through(message in proptest::collection::vec(any::<u8>(), 1..2_000)) {
            let query = format!("ct&dns={}&x=y", BASE64URL_NOPAD.encode(&message));
            prop_assert_eq!(Target::read(&query), Ok(Target::Message(message)));
        }

        #[test]
        fn any_name_is_asked_as_it_was_written(text in "[a-z0-9-]{1,20}(\\.[a-z0-9-]{1,20}){0,4}") {
            prop_assert_eq!(words(&format!("name={text}")), format!("{text}. A cd=false do=false"));
        }
    }
}
