//! One side asked for one name: the index, a zone file, a built-in zone, or legacy DNS.

use crate::base::limits::HANDOVERS_MAX;
use crate::base::time::Ttl;
use crate::index::place::apex_of;
use crate::index::view::IndexView;
use crate::namespace::action_name;
use crate::namespace::instance_name::is_about_instances;
use crate::namespace::name::Name;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;
use crate::namespace::version_name::is_about_versions;
use crate::resolution::answer::{Answer, Outcome, Side, ede};
use crate::resolution::designation::is_of_resolver;
use crate::resolution::directory::Directory;
use crate::resolution::fallback::Order;
use crate::resolution::legacy::LegacyQuestion;
use crate::resolution::lookup::{Found, addresses, cname, lookup};
use crate::resolution::special;
use crate::resolution::trail::{Trail, TrailStep};
use crate::resolution::zone::{Zone, negative_soa};

use super::heeding::Heeded;
use super::{Half, Plan, Realm, Resolution, Seeking, Step, Waiting, join};

/// TTL of the CNAME that stands for a mapped suffix: as short as other redirects.
const MAPPED_TTL: Ttl = Ttl::from_secs(60);

/// What one side came to.
pub(super) enum Verdict {
    /// The end, or the end of this side.
    Answer(Box<Answer>),
    /// The chain goes on at another name.
    Chain(Answer, Name),
}

impl Verdict {
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.outcome == Outcome::Unreachable)
    }

    /// Forbids every cache to keep it.
    pub(super) fn make_fresh(&mut self) {
        let answer = match self {
            Self::Answer(answer) => answer.as_mut(),
            Self::Chain(answer, _) => answer,
        };
        let sections = [
            &mut answer.answers,
            &mut answer.authorities,
            &mut answer.additionals,
        ];
        for record in sections.into_iter().flatten() {
            record.ttl = Ttl::ZERO;
        }
    }

    /// Whether a record of the answer may not be kept at all.
    fn has_no_time(&self) -> bool {
        let answer = match self {
            Self::Answer(answer) => answer,
            Self::Chain(answer, _) => answer,
        };
        answer.answers.iter().any(|record| record.ttl == Ttl::ZERO)
    }
}

impl Resolution {
    /// Asks the next side of the plan.
    pub(super) fn next_side<V: IndexView>(
        mut self,
        realm: &Realm<'_, V>,
        mut plan: Plan,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let Some(half) = plan.rest.pop() else {
            return Ok(self.give_up(plan));
        };
        let Some(name) = self.name_for(half, &plan) else {
            trail.note(|| TrailStep::Kept {
                reason: "the mapped name would be too long",
            });
            return self.next_side(realm, plan, trail);
        };
        if let Some(reason) = self.barred(realm, half, &name, &plan) {
            trail.note(|| TrailStep::Kept { reason });
            return self.next_side(realm, plan, trail);
        }
        if half == Half::Legacy && plan.fallen.is_none() && plan.rule.order == Order::LegacyFirst {
            match self.heed_scopes(realm, &plan, trail)? {
                Heeded::Free => {}
                Heeded::Kept(verdict) => {
                    plan.rest.clear();
                    let name = self.name.clone();
                    return self.settle(realm, plan, &name, verdict, trail);
                }
                Heeded::Lacks(lack) => {
                    plan.lacked = Some(lack.clone());
                    plan.rest.push(half);
                    let seeking = Seeking::new(self, plan, None);
                    return Ok(Step::AskPeers(lack, Box::new(seeking)));
                }
            }
        }
        if self.repeats(half, &name) {
            trail.note(|| TrailStep::Kept {
                reason: "this was asked before: a loop",
            });
            return Ok(self.give_up(plan));
        }
        if let Some(fallen) = &plan.fallen {
            self.handovers += 1;
            let because = fallen.outcome;
            let to = if half == Half::Governed {
                Side::Governed
            } else {
                Side::Legacy
            };
            trail.note(|| TrailStep::FallBack {
                because,
                to,
                name: name.clone(),
            });
        }
        match half {
            Half::Governed => self.ask_index(realm, plan, &name, trail),
            Half::Legacy => self.ask_legacy(realm, plan, name, trail),
        }
    }

    /// The name under which a side knows the present name.
    fn name_for(&self, half: Half, plan: &Plan) -> Option<Name> {
        if plan.governed_suffix == (half == Half::Governed) {
            Some(self.name.clone())
        } else {
            plan.rule.mapped(&self.name).ok()
        }
    }

    /// Why the rule forbids this side; nothing has left the node yet.
    fn barred<V>(
        &self,
        realm: &Realm<'_, V>,
        half: Half,
        name: &Name,
        plan: &Plan,
    ) -> Option<&'static str> {
        let limit = plan.rule.handovers_max.min(HANDOVERS_MAX);
        if plan.fallen.is_some() && self.handovers >= limit {
            return Some("the rule's max-depth of hand-overs is reached");
        }
        let crosses = plan.governed_suffix && half == Half::Legacy;
        if half == Half::Legacy && plan.withheld {
            return Some("the scopes of the name withhold this type from this caller");
        }
        if crosses && !plan.rule.is_eligible(name, true) {
            return Some("the legacy name is in no eligible zone");
        }
        if crosses && plan.rule.eligible_zones.is_empty() && apex_of(realm.apexes, name).is_some() {
            return Some("the mapped name is governed itself and no eligible zone names it");
        }
        None
    }

    /// No side is left: the first side's negative answer stands.
    fn give_up(self, plan: Plan) -> Step {
        let answer = plan.fallen.unwrap_or_else(|| {
            let answer = Answer::empty(Outcome::Failed, Side::Legacy);
            Box::new(answer.with_error(ede::OTHER, "no side could be asked for this name"))
        });
        self.finish(*answer)
    }

    pub(super) fn ask_index<V: IndexView>(
        mut self,
        realm: &Realm<'_, V>,
        mut plan: Plan,
        name: &Name,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let Some(apex) = apex_of(realm.apexes, name) else {
            // A rule that maps to no apex of this node has nothing on this side.
            let answer = Answer::empty(Outcome::Absent, Side::Governed);
            return self.settle(realm, plan, name, Verdict::Answer(Box::new(answer)), trail);
        };
        let tree = self.tree(realm, apex, name);
        let found = lookup(&tree, name, self.question.kind, trail)?;
        plan.withheld |= tree.withholds(self.question.kind);
        let must_be_fresh = tree.must_be_fresh();
        let lack = tree.lack();
        let mut verdict = self.said(&tree, (Side::Governed, name), found, trail)?;
        trail.keeping_mut().join(&tree.keeping());
        if must_be_fresh {
            verdict.make_fresh();
            let why = "a verb that does more than read is never answered from a cache";
            trail.keeping_mut().never(why);
        } else if verdict.has_no_time() {
            trail.keeping_mut().never("a TTL in it is zero");
        }
        let counted = tree.counted();
        drop(tree);
        self.counted = counted;
        if let Some(lack) = lack
            && verdict.is_unreachable()
            && self.may_ask_peers(realm, &plan, &lack)
        {
            plan.lacked = Some(lack.clone());
            let seeking = Seeking::new(self, plan, Some(name.clone()));
            return Ok(Step::AskPeers(lack, Box::new(seeking)));
        }
        self.settle(realm, plan, name, verdict, trail)
    }

    fn ask_legacy<V: IndexView>(
        mut self,
        realm: &Realm<'_, V>,
        plan: Plan,
        name: Name,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let own = special::of_resolver(&name, self.question.kind, realm.designated);
        // Only a zone of its own speaks for the resolver, none from far above.
        let zone = zone_of(realm, &name, self.question.kind)
            .filter(|zone| own.is_none() || is_of_resolver(zone.origin()));
        if let Some(zone) = zone {
            let verdict = match self.look_up(zone, Side::Zone, &name, trail) {
                Ok(verdict) => verdict,
                Err(never) => match never {},
            };
            return self.settle(realm, plan, &name, verdict, trail);
        }
        let routed = realm
            .routes
            .iter()
            .any(|route| !route.is_root() && name.is_within(route));
        let built_in = || special::built_in(&name, self.question.kind).filter(|_| !routed);
        if let Some(answer) = own.or_else(built_in) {
            return self.settle(realm, plan, &name, Verdict::Answer(Box::new(answer)), trail);
        }
        if !self.question.recursion_desired || !self.question.may_recurse {
            // What the index said first is the whole truth for a client that gets no recursion.
            return Ok(match plan.fallen {
                Some(fallen) => self.finish(*fallen),
                None => self.not_ours(),
            });
        }
        self.validated_only |= plan.rule.require_dnssec;
        let question = LegacyQuestion {
            name,
            kind: self.question.kind,
            dnssec_ok: self.question.dnssec_ok,
            // The upstream must validate what policy wants validated, whatever the client wants.
            checking_disabled: self.question.checking_disabled && !self.validated_only,
        };
        Ok(Step::AskLegacy(
            question.clone(),
            Box::new(Waiting::new(self, plan, question)),
        ))
    }

    fn look_up<D: Directory>(
        &self,
        directory: &D,
        side: Side,
        name: &Name,
        trail: &mut Trail,
    ) -> Result<Verdict, D::Error> {
        let found = lookup(directory, name, self.question.kind, trail)?;
        self.said(directory, (side, name), found, trail)
    }

    /// What a side found, as an answer or as the next name.
    pub(super) fn said<D: Directory>(
        &self,
        directory: &D,
        (side, name): (Side, &Name),
        found: Found,
        trail: &mut Trail,
    ) -> Result<Verdict, D::Error> {
        let kind = self.question.kind;
        trail.keeping_mut().stands_still();
        let word = found.word();
        trail.note(|| TrailStep::Lookup {
            side,
            name: name.clone(),
            kind,
            found: word,
        });
        let mut answer = Answer {
            authoritative: true,
            errors: trail.take_told(),
            ..Answer::empty(Outcome::Found, side)
        };
        match found {
            Found::Answer(records) => {
                answer.additionals = additionals(directory, &records)?;
                answer.answers = records;
            }
            Found::Chain {
                records,
                target,
                by,
            } => {
                trail.note(|| TrailStep::Chain {
                    from: name.clone(),
                    to: target.clone(),
                    by,
                });
                answer.answers = records;
                return Ok(Verdict::Chain(answer, target));
            }
            Found::Referral { authorities, glue } => {
                answer.authoritative = false;
                answer.authorities = authorities;
                // RFC 4035 section 3.1: nothing of DNSSEC for a client that did not ask for it.
                if !self.question.dnssec_ok {
                    answer.authorities.retain(|row| row.kind != RecordType::DS);
                }
                answer.additionals = glue;
            }
            Found::TooLong(dname) => {
                answer.outcome = Outcome::TooLong;
                answer.answers.push(dname);
            }
            Found::NoData => negative(&mut answer, Outcome::NoData, directory)?,
            Found::Absent => negative(&mut answer, Outcome::Absent, directory)?,
            Found::Retired => negative(&mut answer, Outcome::Retired, directory)?,
            Found::Hidden => negative(&mut answer, Outcome::Hidden, directory)?,
            Found::Refused(told) => {
                return Ok(failed(Outcome::Refused, side, ede::PROHIBITED, &told));
            }
            Found::Unreachable => {
                let text = "no node that holds this scope could be asked";
                let code = ede::NO_REACHABLE_AUTHORITY;
                return Ok(failed(Outcome::Unreachable, side, code, text));
            }
        }
        Ok(Verdict::Answer(Box::new(answer)))
    }

    /// Takes what a side said: the answer, the next name of the chain, or the other side's turn.
    pub(super) fn settle<V: IndexView>(
        mut self,
        realm: &Realm<'_, V>,
        mut plan: Plan,
        name: &Name,
        verdict: Verdict,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let (answer, target) = match verdict {
            Verdict::Answer(answer) => (answer, None),
            Verdict::Chain(answer, target) => (Box::new(answer), Some(target)),
        };
        if target.is_none() && moves_on(&answer, &plan) {
            if answer.side == Side::Governed
                && (is_about_versions(name)
                    || action_name::is_about_actions(name)
                    || is_about_instances(name))
            {
                trail.note(|| TrailStep::Kept {
                    reason: "only the index knows versions, verbs and instances",
                });
                return Ok(self.finish(*plan.fallen.unwrap_or(answer)));
            }
            // The first side's word stands unless the other side has a better one.
            plan.fallen.get_or_insert(answer);
            return self.next_side(realm, plan, trail);
        }
        // A hidden name ends as an absent one does, so that nobody can tell them apart.
        if let Some(fallen) = plan.fallen.take()
            && matches!(
                answer.outcome,
                Outcome::Absent | Outcome::Hidden | Outcome::Unreachable
            )
        {
            return Ok(self.finish(*fallen));
        }
        self.authentic &= answer.side == Side::Legacy && answer.authentic;
        if *name != self.name {
            trail.keeping_mut().stands_still();
            let alias = cname(&self.name, MAPPED_TTL, name);
            self.answers.push(alias);
            self.authoritative.get_or_insert(true);
            self.authentic = false;
        }
        // RFC 1035 section 4.1.1: AA speaks of the first owner name.
        self.authoritative.get_or_insert(answer.authoritative);
        match target {
            Some(target) => {
                join(&mut self.answers, answer.answers);
                join(&mut self.proofs, answer.authorities);
                self.errors.extend(answer.errors);
                self.follow(realm, target, trail)
            }
            None => Ok(self.finish(*answer)),
        }
    }
}

fn negative<D: Directory>(
    answer: &mut Answer,
    outcome: Outcome,
    directory: &D,
) -> Result<(), D::Error> {
    answer.outcome = outcome;
    answer.authorities.push(negative_soa(&directory.soa()?));
    Ok(())
}

fn failed(outcome: Outcome, side: Side, code: u16, text: &str) -> Verdict {
    Verdict::Answer(Box::new(
        Answer::empty(outcome, side).with_error(code, text),
    ))
}

/// Whether the rule hands this outcome to the other side.
fn moves_on(answer: &Answer, plan: &Plan) -> bool {
    let listed = match answer.outcome {
        Outcome::Absent => plan.rule.fall_through.absent,
        Outcome::Unreachable | Outcome::LegacyFailed => plan.rule.fall_through.unreachable,
        _ => false,
    };
    listed && !plan.rest.is_empty()
}

/// The zone that speaks for a name: the one closest above it, but for DS of a zone's own name the
/// zone above that one, if it is here (RFC 4035 section 3.1.4.1).
fn zone_of<'r, V>(realm: &Realm<'r, V>, name: &Name, kind: RecordType) -> Option<&'r Zone> {
    let zone_above = |from: Option<Name>| {
        std::iter::successors(from, Name::parent)
            .find_map(|candidate| realm.zones.get(&candidate))
            .map(AsRef::as_ref)
    };
    let closest = zone_above(Some(name.clone()))?;
    if kind == RecordType::DS && closest.origin() == name {
        return zone_above(name.parent()).or(Some(closest));
    }
    Some(closest)
}

/// Addresses of the names that the answer points to (RFC 1035 section 3.3, RFC 2782).
fn additionals<D: Directory>(directory: &D, records: &[Record]) -> Result<Vec<Record>, D::Error> {
    let Some(first) = records.first() else {
        return Ok(Vec::new());
    };
    if !matches!(
        first.kind,
        RecordType::NS | RecordType::MX | RecordType::SRV | RecordType::SVCB | RecordType::HTTPS
    ) {
        return Ok(Vec::new());
    }
    let rdatas = records.iter().map(|record| &record.rdata);
    addresses(directory, first.kind, rdatas, false)
}
