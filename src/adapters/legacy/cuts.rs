//! `Cuts`: the names of the servers of zones, as parents and the zones themselves give them.
//!
//! hickory's recursor asks the servers whose addresses came with a referral, and no others. Where all of
//! those fail, the zone may have more: some without an address in the referral, and some that only its
//! own servers know.

use hickory_resolver::proto::op::{Message, OpCode, Query};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{ResponseCache, TtlConfig};
use tokio::time::Instant;

/// Zones whose servers are remembered; as many as the recursor does.
const ZONES_KEPT_MAX: u64 = 16_384;
/// Servers of one zone that are remembered: what fits into a referral of the usual size.
const SERVERS_MAX: usize = 16;

/// Names of servers, by zone. Cheap to clone.
#[derive(Clone)]
pub(super) struct Cuts {
    /// NS records under the question for them, with their time to live.
    known: ResponseCache,
}

impl Cuts {
    pub(super) fn new() -> Self {
        Self {
            known: ResponseCache::new(ZONES_KEPT_MAX, TtlConfig::default()),
        }
    }

    /// Learns from an answer to a question for NS records. The recursor asks a zone's servers for a
    /// name one label longer, so they may speak of that name alone.
    pub(super) fn learn(&self, response: &Message, query: &Query) {
        if query.query_type() != RecordType::NS || query.name.is_root() {
            return;
        }
        let said = response.answers.iter().chain(&response.authorities);
        let said = said.filter(|row| row.record_type() == RecordType::NS && row.name == query.name);
        let mut said = said.peekable();
        if said.peek().is_none() {
            return;
        }
        let now = Instant::now().into_std();
        let mut known = self.records(&query.name);
        for row in said {
            if known.len() < SERVERS_MAX && known.iter().all(|other| other.data != row.data) {
                known.push(row.clone());
            }
        }
        let mut message = Message::response(0, OpCode::Query);
        message.add_answers(known);
        let query = Query::query(query.name.clone(), RecordType::NS);
        self.known.insert(query, Ok(message), now);
    }

    /// The deepest zone at or above a name of which servers are known, and their names.
    pub(super) fn above(&self, name: &Name) -> Option<(Name, Vec<Name>)> {
        let mut zone = name.clone();
        while !zone.is_root() {
            let servers: Vec<Name> = self.records(&zone).iter().filter_map(server).collect();
            if !servers.is_empty() {
                return Some((zone, servers));
            }
            zone = zone.base_name();
        }
        None
    }

    fn records(&self, zone: &Name) -> Vec<Record> {
        let query = Query::query(zone.clone(), RecordType::NS);
        let known = self.known.get(&query, Instant::now().into_std());
        known
            .and_then(Result::ok)
            .map_or_else(Vec::new, |message| message.answers)
    }
}

fn server(row: &Record) -> Option<Name> {
    match &row.data {
        RData::NS(server) => Some(server.0.to_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::NS;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn ns(zone: &str, server: &str) -> Record {
        Record::from_rdata(name(zone), 60, RData::NS(NS(name(server))))
    }

    fn learn(cuts: &Cuts, asked: &str, rows: Vec<Record>) {
        let mut message = Message::response(0, OpCode::Query);
        message.add_authorities(rows);
        cuts.learn(&message, &Query::query(name(asked), RecordType::NS));
    }

    #[tokio::test]
    async fn servers_of_parent_and_zone_are_put_together_and_nothing_else_is_learnt() {
        let cuts = Cuts::new();
        learn(
            &cuts,
            "a.",
            vec![ns("a.", "x."), ns("b.", "y."), ns(".", "z.")],
        );
        learn(&cuts, "A.", vec![ns("a.", "x."), ns("A.", "w.")]);
        let found = cuts.above(&name("n.m.a.")).unwrap();
        assert_eq!(found, (name("a."), vec![name("x."), name("w.")]));
        assert_eq!(cuts.above(&name("b.")), None);
        let many = (0..99).map(|count| ns("c.", &format!("s{count}.")));
        learn(&cuts, "c.", many.collect());
        assert_eq!(cuts.above(&name("c.")).unwrap().1.len(), SERVERS_MAX);
    }
}
