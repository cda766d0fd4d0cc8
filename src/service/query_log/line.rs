//! `QueryLine`: one question with its answer, as JSON.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::telemetry::answers::{Account, RCODES, rcode_place};
use crate::telemetry::transport::Transport;

use super::QueryLogRules;
use super::why::Why;

/// ID, flags and counts.
const HEADER_BYTES: usize = 12;

/// One question with its answer.
#[derive(Debug, Clone)]
pub struct QueryLine {
    /// When it came.
    pub time: Timestamp,
    /// Who asked.
    pub client: IpAddr,
    /// How.
    pub transport: Transport,
    /// The name as it came, and the type; none if they cannot be read.
    pub asked: Option<(Box<[u8]>, u16)>,
    /// Where the answer came from, and its response code.
    pub account: Account,
    /// Why it is what it is.
    pub why: Option<Arc<Why>>,
    /// Whether it was kept, and given again.
    pub is_kept: bool,
    /// The least TTL in it; none without records.
    pub ttl: Option<u32>,
    /// Its octets.
    pub bytes: usize,
    /// How long it took, in nanoseconds.
    pub nanos: u64,
}

/// The name on the wire and the type of the first question of a message, if they can be read.
pub fn asked(query: &[u8]) -> Option<(Box<[u8]>, u16)> {
    let rest = query.get(HEADER_BYTES..)?;
    let (_, tail) = Name::split_from_wire(rest).ok()?;
    let name = rest.get(..rest.len() - tail.len())?;
    let kind = tail.first_chunk::<2>()?;
    Some((name.into(), u16::from_be_bytes(*kind)))
}

/// How a line is written.
#[derive(Serialize)]
struct Written<'l> {
    time: String,
    client: String,
    transport: String,
    /// In presentation format (RFC 1035 section 5.1): what is no printable ASCII is escaped.
    name: Option<String>,
    r#type: Option<String>,
    rcode: &'l str,
    route: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'l str>,
    kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    bytes: usize,
    us: u64,
}

impl QueryLine {
    /// Adds it, with its end, to lines.
    pub(super) fn write(&self, rules: QueryLogRules, to: &mut Vec<u8>) {
        let name = self.asked.as_ref().map(|(wire, kind)| {
            let name = Name::from_wire(wire).map(|name| name.to_string());
            (name.unwrap_or_default(), RecordType::new(*kind).to_string())
        });
        let (name, kind) = name.unzip();
        let why = self.why.as_deref();
        let net = rules.client(self.client);
        let is_whole = net.prefix_len() == net.max_prefix_len();
        let written = Written {
            time: self.time.to_string(),
            client: if is_whole {
                net.addr().to_string()
            } else {
                net.to_string()
            },
            transport: self.transport.to_string(),
            name,
            r#type: kind,
            rcode: RCODES
                .get(rcode_place(self.account.rcode))
                .map_or("", |text| text),
            route: self.account.route.to_string(),
            outcome: why.and_then(|why| Some(why.outcome?.to_string())),
            scope: why.and_then(|why| Some(why.scope.as_ref()?.to_string())),
            why: why
                .map(|why| why.text.as_str())
                .filter(|text| !text.is_empty()),
            kept: self.is_kept,
            ttl: self.ttl,
            bytes: self.bytes,
            us: self.nanos / 1_000,
        };
        // Nothing in it can fail to be written to memory.
        if serde_json::to_writer(&mut *to, &written).is_ok() {
            to.push(b'\n');
        }
    }

    #[cfg(test)]
    pub(super) fn sample() -> Self {
        use crate::telemetry::answers::Route;
        Self {
            time: Timestamp::from_millis(1_795_783_065_000),
            client: [192, 0, 2, 7].into(),
            transport: Transport::Udp,
            asked: Some(((*b"\x03a\"\n\0").into(), 1)),
            account: Account::of(Route::Zone, 3),
            why: None,
            is_kept: true,
            ttl: Some(60),
            bytes: 100,
            nanos: 12_345,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_name_a_line_is_one_line_of_json() {
        let rules = QueryLogRules {
            sample: 1,
            client_bits_v4: 32,
            client_bits_v6: 128,
        };
        let mut bytes = Vec::new();
        QueryLine::sample().write(rules, &mut bytes);
        let unreadable = QueryLine {
            asked: None,
            ..QueryLine::sample()
        };
        unreadable.write(rules, &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text,
            "{\"time\":\"2026-11-27T12:37:45.000Z\",\"client\":\"192.0.2.7\",\"transport\":\"udp\",\
             \"name\":\"a\\\\\\\"\\\\010.\",\"type\":\"A\",\"rcode\":\"NXDOMAIN\",\
             \"route\":\"zone\",\"kept\":true,\"ttl\":60,\"bytes\":100,\"us\":12}\n\
             {\"time\":\"2026-11-27T12:37:45.000Z\",\"client\":\"192.0.2.7\",\"transport\":\"udp\",\
             \"name\":null,\"type\":null,\"rcode\":\"NXDOMAIN\",\
             \"route\":\"zone\",\"kept\":true,\"ttl\":60,\"bytes\":100,\"us\":12}\n"
        );
    }

    #[test]
    fn the_question_of_a_message_is_read_where_it_can_be() {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(asked(&query), None);
        query.extend(b"\x01A\0\0\x1c\0\x01");
        assert_eq!(asked(&query), Some(((*b"\x01A\0").into(), 28)));
        query.truncate(14);
        assert_eq!(asked(&query), None);
    }
}
