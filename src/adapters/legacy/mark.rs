//! The mark: which server a response is of.
//!
//! hickory's pool does not say which of a zone's servers answered. So a response bears the address in
//! a record of a private type, which no server can send, and which goes no further than the recursor.

use std::net::IpAddr;

use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::rdata::NULL;
use hickory_resolver::proto::rr::{RData, Record, RecordType};

/// Of the types for private use (RFC 6895 section 3.1), one that nobody is known to use.
const MARK: RecordType = RecordType::Unknown(65_398);

/// Marks a response with the address of its server.
pub(super) fn mark(message: &mut Message, query: &Query, server: IpAddr) {
    let is_foreign = |row: &Record| row.record_type() != MARK;
    message.answers.retain(is_foreign);
    message.authorities.retain(is_foreign);
    message.additionals.retain(is_foreign);
    // Servers of zones are looked for in another way, and for type ANY each record of the name counts.
    if matches!(query.query_type(), RecordType::NS | RecordType::ANY) {
        return;
    }
    let bytes = match server {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let data = RData::Unknown {
        code: MARK,
        rdata: NULL::with(bytes),
    };
    message.add_authority(Record::from_rdata(query.name.clone(), 0, data));
}

/// Takes the mark off; the server, if there was one.
pub(super) fn unmark(authorities: &mut Vec<Record>) -> Option<IpAddr> {
    let server = authorities.iter().find_map(server_of);
    authorities.retain(|row| row.record_type() != MARK);
    server
}

/// The server that a record names, if it is a mark.
pub(super) fn server_of(row: &Record) -> Option<IpAddr> {
    let RData::Unknown { code: MARK, rdata } = &row.data else {
        return None;
    };
    let bytes = &rdata.anything;
    let v4 = <[u8; 4]>::try_from(&**bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(&**bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::Name;

    #[test]
    fn a_mark_is_read_once_and_cannot_be_forged() {
        let query = Query::query(Name::root(), RecordType::A);
        for server in [IpAddr::from([192, 0, 2, 1]), IpAddr::from([1; 16])] {
            let mut message = Message::response(0, OpCode::Query);
            mark(&mut message, &query, IpAddr::from([192, 0, 2, 9]));
            mark(&mut message, &query, server);
            assert_eq!(message.authorities.len(), 1);
            assert_eq!(unmark(&mut message.authorities), Some(server));
            assert_eq!(unmark(&mut message.authorities), None);
        }
    }
}
