//! A reply in words: the JSON form that public resolvers made known.

use domain::base::iana::{OptionCode, Rtype};
use domain::base::message::{Message, RecordSection};
use domain::base::name::ToName;
use domain::base::opt::UnknownOptData;
use domain::base::rdata::{ComposeRecordData as _, UnknownRecordData};
use domain::base::record::ParsedRecord;
use domain::rdata::AllRecordData;
use serde::Serialize;

use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::rtype::RecordType;

/// The option code of extended errors (RFC 8914).
const EXTENDED_ERROR_CODE: u16 = 15;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    status: u16,
    #[serde(rename = "TC")]
    truncated: bool,
    #[serde(rename = "RD")]
    recursion_desired: bool,
    #[serde(rename = "RA")]
    recursion_available: bool,
    #[serde(rename = "AD")]
    authentic: bool,
    #[serde(rename = "CD")]
    checking_disabled: bool,
    question: Vec<Question>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answer: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authority: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    additional: Vec<Row>,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Debug, Serialize)]
struct Question {
    name: String,
    #[serde(rename = "type")]
    kind: u16,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    #[serde(rename = "type")]
    kind: u16,
    #[serde(rename = "TTL")]
    ttl: u32,
    data: String,
}

/// The reply as JSON; none for bytes that are no reply.
pub(super) fn in_words(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_slice(reply).ok()?;
    let header = message.header();
    let (questions, answers, authorities, additionals) = message.sections().ok()?;
    let mut question = Vec::new();
    for asked in questions {
        let asked = asked.ok()?;
        question.push(Question {
            name: named(asked.qname())?.to_string(),
            kind: asked.qtype().to_int(),
        });
    }
    let reply = Reply {
        status: message.opt_rcode().to_int(),
        truncated: header.tc(),
        recursion_desired: header.rd(),
        recursion_available: header.ra(),
        authentic: header.ad(),
        checking_disabled: header.cd(),
        question,
        answer: rows(answers)?,
        authority: rows(authorities)?,
        additional: rows(additionals)?,
        comment: comment(message),
    };
    serde_json::to_vec(&reply).ok()
}

fn named(name: impl ToName) -> Option<Name> {
    let wire = name.to_vec();
    Name::from_wire(wire.as_slice()).ok()
}

fn rows(section: RecordSection<'_, [u8]>) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    for record in section {
        let record = record.ok()?;
        // They belong to the exchange, not to the answer.
        if matches!(record.rtype(), Rtype::OPT | Rtype::TSIG) {
            continue;
        }
        rows.push(row(record)?);
    }
    Some(rows)
}

fn row(record: ParsedRecord<'_, [u8]>) -> Option<Row> {
    let kind = RecordType::new(record.rtype().to_int());
    let (name, ttl) = (named(record.owner())?.to_string(), record.ttl().as_secs());
    let mut plain = Vec::new();
    match record.rtype() {
        // The types whose names are compressed (RFC 3597 section 4).
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::MX | Rtype::SOA => {
            let record = record.into_any_record::<AllRecordData<_, _>>().ok()?;
            record.data().compose_rdata(&mut plain).ok()?;
        }
        _ => {
            let record = record.into_record::<UnknownRecordData<_>>().ok()??;
            record.data().compose_rdata(&mut plain).ok()?;
        }
    }
    Some(Row {
        name,
        kind: kind.code(),
        ttl,
        data: Rdata::from_wire(kind, &plain).ok()?.to_text(kind),
    })
}

/// The extended errors, each as a line.
fn comment(message: &Message<[u8]>) -> String {
    let Some(opt) = message.opt() else {
        return String::new();
    };
    let options = opt.opt().iter::<UnknownOptData<_>>();
    let errors = options.filter_map(|option| {
        let option = option.ok()?;
        if option.code() != OptionCode::from_int(EXTENDED_ERROR_CODE) {
            return None;
        }
        let (code, text) = option.data().split_first_chunk()?;
        let text = String::from_utf8_lossy(text);
        let line = format!("extended error {}: {text}", u16::from_be_bytes(*code));
        Some(line.trim_end_matches([':', ' ']).to_owned())
    });
    errors.collect::<Vec<_>>().join("; ")
}
