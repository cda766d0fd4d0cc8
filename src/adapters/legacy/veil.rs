//! The veil: how aliases are kept from hickory's recursor.
//!
//! The recursor follows a CNAME by itself. It would ask for names that a rule keeps on this node,
//! and it forgets the CNAME when what lies behind it is absent. So an alias reaches it as a record
//! of a private type, and gets its own type back on the way out; the chain is followed by whoever
//! asked, name by name.

use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, NULL};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinEncodable;

/// Stands for CNAME. Of the types for private use (RFC 6895 section 3.1), one that nobody is known
/// to use; a question for this very type gets no veil.
const VEILED: RecordType = RecordType::Unknown(65_399);

/// Reduces a response to the alias of the name that was asked for, and veils it. Other responses
/// stay as they are.
pub(super) fn veil(message: &mut Message, query: &Query) {
    let kind = query.query_type();
    message.answers.retain(|row| row.record_type() != VEILED);
    if matches!(kind, RecordType::CNAME | RecordType::ANY) || kind == VEILED {
        return;
    }
    let is_own = |row: &Record| row.name == query.name;
    let has = |kind| {
        let mut answers = message.answers.iter();
        answers.any(|row| is_own(row) && row.record_type() == kind)
    };
    if !has(RecordType::CNAME) || has(kind) {
        return;
    }
    message.answers.retain(|row| {
        let kind = covered(row).map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
        match kind {
            RecordType::CNAME => is_own(row),
            // The alias was made from it (RFC 6672 section 3.1).
            RecordType::DNAME => row.name.zone_of(&query.name) && !is_own(row),
            _ => false,
        }
    });
    let labels = query.name.num_labels();
    let is_expanded = message.answers.iter().filter_map(covered).any(|sig| {
        sig.input().type_covered == RecordType::CNAME && sig.input().num_labels < labels
    });
    // What else the response says is about the name that the alias leads to, but for the proof
    // that no closer name than the wildcard exists.
    message
        .authorities
        .retain(|row| is_expanded && is_proof(row));
    message.additionals.clear();
    message.metadata.response_code = ResponseCode::NoError;
    for row in &mut message.answers {
        if let RData::CNAME(CNAME(target)) = &row.data
            && let Ok(bytes) = target.to_bytes()
        {
            row.data = RData::Unknown {
                code: VEILED,
                rdata: NULL::with(bytes),
            };
        }
    }
}

/// Gives aliases their type back.
pub(super) fn unveil(records: &mut [Record], query: &Query) {
    use hickory_resolver::proto::serialize::binary::BinDecodable;
    if query.query_type() == VEILED {
        return;
    }
    for row in records {
        if let RData::Unknown {
            code: VEILED,
            rdata,
        } = &row.data
            && let Ok(target) = Name::from_bytes(&rdata.anything)
        {
            row.data = RData::CNAME(CNAME(target));
        }
    }
}

/// The signature that a record is, if it is one.
pub(super) fn covered(row: &Record) -> Option<&RRSIG> {
    match &row.data {
        RData::DNSSEC(DNSSECRData::RRSIG(sig)) => Some(sig),
        _ => None,
    }
}

/// Whether a record belongs to a proof of absence.
pub(super) fn is_proof(row: &Record) -> bool {
    let kind = covered(row).map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
    matches!(kind, RecordType::NSEC | RecordType::NSEC3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::rdata::A;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn alias(from: &str, to: &str) -> Record {
        Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))))
    }

    fn address(owner: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::A(A::new(192, 0, 2, 1)))
    }

    fn response(answers: Vec<Record>) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        message.metadata.response_code = ResponseCode::NXDomain;
        message.add_answers(answers);
        message
    }

    #[test]
    fn a_chain_is_cut_after_its_first_alias_which_comes_back_whole() {
        let query = Query::query(name("a.example."), RecordType::A);
        let mut message = response(vec![
            alias("a.example.", "b.example."),
            alias("b.example.", "c.example."),
            address("c.example."),
        ]);
        veil(&mut message, &query);
        assert_eq!(message.answers.len(), 1);
        assert_eq!(message.answers[0].record_type(), VEILED);
        // What lies behind the alias is somebody else's question.
        assert_eq!(message.response_code, ResponseCode::NoError);
        unveil(&mut message.answers, &query);
        assert_eq!(message.answers, [alias("a.example.", "b.example.")]);
    }

    #[test]
    fn what_is_no_alias_of_the_name_stays() {
        for (kind, answers) in [
            (RecordType::A, vec![address("a.example.")]),
            (RecordType::CNAME, vec![alias("a.example.", "b.example.")]),
            (RecordType::ANY, vec![alias("a.example.", "b.example.")]),
            (RecordType::A, vec![alias("x.example.", "b.example.")]),
        ] {
            let query = Query::query(name("a.example."), kind);
            let mut message = response(answers.clone());
            veil(&mut message, &query);
            assert_eq!(message.answers, answers, "{kind}");
        }
    }

    #[test]
    fn a_server_cannot_send_a_veiled_record() {
        let query = Query::query(name("a.example."), RecordType::A);
        let mut forged = alias("a.example.", "b.example.");
        forged.data = RData::Unknown {
            code: VEILED,
            rdata: NULL::with(b"\x01b\x07example\0".to_vec()),
        };
        let mut message = response(vec![forged]);
        veil(&mut message, &query);
        assert!(message.answers.is_empty());
    }
}
