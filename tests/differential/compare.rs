//! `Case`: one question with three answers, and in which parts they differ.

use std::fmt;

use kedge::namespace::rtype::RecordType;

use super::common::message::{AA, AD, Message, Query, RA, Record};
use super::name::Name;
use super::zone::Zone;

/// Records that are printed of those that differ in a section.
const SHOWN_MAX: usize = 4;

/// One of the other servers, by its place among the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Nsd = 1,
    Knot = 2,
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nsd => "nsd",
            Self::Knot => "knot",
        }
    }
}

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Rcode,
    Flags,
    Question,
    Answer,
    Authority,
    Additional,
}

/// A question and its answers: ours, nsd's, knotd's.
#[derive(Debug)]
pub(crate) struct Case<'z> {
    pub(crate) query: Query,
    /// The name asked for, in small letters.
    pub(crate) name: Name,
    pub(crate) replies: Vec<Message>,
    pub(crate) zones: &'z [Zone],
}

impl<'z> Case<'z> {
    pub(crate) fn new(query: Query, mut replies: Vec<Message>, zones: &'z [Zone]) -> Self {
        // The order of records in a section carries no meaning.
        replies
            .iter_mut()
            .flat_map(|reply| &mut reply.sections)
            .for_each(|rows| rows.sort());
        Self {
            name: name_of(&query.name),
            query,
            replies,
            zones,
        }
    }

    pub(crate) fn ours(&self) -> &Message {
        &self.replies[0]
    }

    pub(crate) fn theirs(&self, server: Server) -> &Message {
        &self.replies[server as usize]
    }

    /// The nearest zone of a name, as in messages.
    pub(crate) fn zone_of(&self, name: &str) -> Option<&Zone> {
        let holds = |zone: &&Zone| {
            let origin = zone.origin.small();
            name == origin || name.ends_with(&format!(".{origin}"))
        };
        let zones = self.zones.iter().filter(holds);
        zones.max_by_key(|zone| zone.origin.0.len())
    }

    /// The name asked for and those that the aliases of all answers lead to, in order.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut names = vec![self.name.small()];
        let rows: Vec<_> = self
            .replies
            .iter()
            .flat_map(|reply| &reply.sections[0])
            .collect();
        for _ in 0..rows.len() {
            let is_next = |row: &&&Record| {
                row.kind == RecordType::CNAME.code() && Some(&row.owner) == names.last()
            };
            match rows.iter().find(is_next) {
                Some(row) if !names.contains(&row.data) => names.push(row.data.clone()),
                _ => break,
            }
        }
        names
    }

    /// Records of a section: those only we gave and those only the other gave.
    pub(crate) fn odd(&self, server: Server, part: Part) -> (Vec<&Record>, Vec<&Record>) {
        let section = match part {
            Part::Answer => 0,
            Part::Authority => 1,
            Part::Additional => 2,
            Part::Rcode | Part::Flags | Part::Question => return Default::default(),
        };
        let (ours, theirs) = (
            &self.ours().sections[section],
            &self.theirs(server).sections[section],
        );
        let lacking = |of: &[Record], row: &&Record| !of.contains(row);
        (
            ours.iter().filter(|row| lacking(theirs, row)).collect(),
            theirs.iter().filter(|row| lacking(ours, row)).collect(),
        )
    }
}

fn name_of(mut wire: &[u8]) -> Name {
    let mut labels = Vec::new();
    while let Some((&length, rest)) = wire.split_first() {
        if length == 0 {
            break;
        }
        let (label, rest) = rest.split_at(usize::from(length));
        labels.push(label.to_ascii_lowercase());
        wire = rest;
    }
    Name(labels)
}

/// Every part in which another server's answer is not ours.
pub(crate) fn differences(case: &Case<'_>) -> Vec<(Server, Part)> {
    let mut found = Vec::new();
    for server in [Server::Nsd, Server::Knot] {
        let (ours, theirs) = (case.ours(), case.theirs(server));
        let flags = AA | AD | RA;
        let same = [
            (Part::Rcode, ours.rcode() == theirs.rcode()),
            (Part::Flags, ours.flags & flags == theirs.flags & flags),
            (Part::Question, ours.question == theirs.question),
            (Part::Answer, ours.sections[0] == theirs.sections[0]),
            (Part::Authority, ours.sections[1] == theirs.sections[1]),
            (Part::Additional, ours.sections[2] == theirs.sections[2]),
        ];
        let parts = same.into_iter().filter(|(_, same)| !same);
        found.extend(parts.map(|(part, _)| (server, part)));
    }
    found
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.query.name.escape_ascii();
        let kind = RecordType::new(self.query.kind);
        let Query {
            flags,
            edns,
            dnssec_ok,
            ..
        } = self.query;
        writeln!(
            f,
            "{name} {kind} flags {flags:04x} edns {edns:?} do {dnssec_ok}"
        )?;
        for (server, reply) in ["kedge", "nsd", "knot"].iter().zip(&self.replies) {
            write!(f, "  {server}: {reply}")?;
        }
        for server in [Server::Nsd, Server::Knot] {
            for part in [Part::Answer, Part::Authority, Part::Additional] {
                let (ours, theirs) = self.odd(server, part);
                let name = server.name();
                for row in ours.iter().take(SHOWN_MAX) {
                    writeln!(f, "  {part:?} not of {name}: {row}")?;
                }
                for row in theirs.iter().take(SHOWN_MAX) {
                    writeln!(f, "  {part:?} of {name} only: {row}")?;
                }
            }
        }
        Ok(())
    }
}
