//! `Responder`: one message in, at most one reply out, over any transport.

mod made;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::base::iana::OptRcode;
use tokio::time::Instant;

use crate::resolution::answer::Answer;
use crate::resolution::question::Question;
use crate::resolution::trail::Trail;
use crate::service::legacy_cache::LegacyCacheStats;
use crate::service::ports::Parts;
use crate::service::query_log::{QueryLine, QueryLog, Why, asked};
use crate::service::resolver::{Begun, Resolver};
use crate::telemetry::answers::{Account, Counts, Dropped, Refusal};
use crate::telemetry::connections::ConnectionCounts;
use crate::telemetry::transport::Transport;

use super::compose::{self, Manner};
use super::decode::{Decoded, Request, decode};
use super::guard::{Acquaintance, Guard, GuardInForce, Seen, Verdict};
use super::kept::least_ttl;
use super::rcode::rcode;
use super::tsig::{self, Checked, Fault, Seal, Signature, TsigKeysInForce};

use made::{Refused, Waiting, sent, why_refused};

pub use made::{Later, Line, Reply};

pub(super) use made::{Made, Noting};

/// The target under which every question is logged.
pub(super) const QUERY_LOG: &str = "kedge::query";

/// Turns messages into replies.
pub struct Responder<P: Parts> {
    resolver: Arc<Resolver<P>>,
    keys: TsigKeysInForce,
    log: QueryLog,
    guard: GuardInForce,
}

impl<P: Parts> std::fmt::Debug for Responder<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

impl<P: Parts> Clone for Responder<P> {
    fn clone(&self) -> Self {
        Self {
            resolver: Arc::clone(&self.resolver),
            keys: Arc::clone(&self.keys),
            log: self.log.clone(),
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<P: Parts> Responder<P> {
    /// Replies from a resolver.
    pub fn new(resolver: Arc<Resolver<P>>) -> Self {
        Self {
            resolver,
            keys: TsigKeysInForce::default(),
            log: QueryLog::off(),
            guard: Arc::new(ArcSwap::from_pointee(Guard::off())),
        }
    }

    /// The same, with keys that questions may be signed with.
    #[must_use]
    pub fn with_keys(self, keys: TsigKeysInForce) -> Self {
        Self { keys, ..self }
    }

    /// The same, with a log of questions.
    #[must_use]
    pub fn with_log(self, log: QueryLog) -> Self {
        Self { log, ..self }
    }

    /// The same, with a guard.
    #[must_use]
    pub fn with_guard(self, guard: GuardInForce) -> Self {
        Self { guard, ..self }
    }

    /// The keys that questions may be signed with.
    pub const fn keys(&self) -> &TsigKeysInForce {
        &self.keys
    }

    /// What guards it.
    pub const fn guard(&self) -> &GuardInForce {
        &self.guard
    }

    /// The log of questions.
    pub(super) const fn query_log(&self) -> &QueryLog {
        &self.log
    }

    /// Answers what can be answered without waiting.
    pub fn begin(&self, query: &[u8], from: SocketAddr, transport: Transport) -> Reply {
        self.counted(query, &Line::plain(from, transport))
    }

    /// The same for whoever a line leads to. Nothing is counted yet, and what may not be kept says
    /// nothing of keeping.
    pub(super) fn begin_on(&self, query: &[u8], line: &Line<'_>, noting: Noting) -> Made {
        let mut made = self.begin_from(query, line, noting);
        let keeping = made.keeping.take();
        made.keeping = keeping.filter(|keeping| keeping.why_never().is_none());
        made
    }

    /// The same, counted, with the reply written into `to`, which stays empty if there is none.
    pub(super) fn answer(
        &self,
        query: &[u8],
        line: &Line<'_>,
        to: &mut Vec<u8>,
    ) -> Option<Box<Later>> {
        match self.counted(query, line) {
            Reply::None => None,
            Reply::Ready(bytes) => {
                to.extend_from_slice(&bytes);
                None
            }
            Reply::Later(later) => Some(later),
        }
    }

    fn counted(&self, query: &[u8], line: &Line<'_>) -> Reply {
        let began = Instant::now();
        let noting = self.noting();
        let made = self.begin_from(query, line, noting);
        let counts = self.counts(line.transport);
        made.count(&counts);
        if let (Some(account), Reply::Ready(reply)) = (made.account, &made.reply) {
            counts.took(account.route, nanos_since(began), 1);
            if noting == Noting::Line {
                let asked = (query, line.from, line.transport);
                self.note(asked, (account, made.why), reply, began);
            }
        }
        made.reply
    }

    fn noting(&self) -> Noting {
        match self.log.rules() {
            Some(rules) if self.log.takes_turn(*rules) => Noting::Line,
            _ => Noting::Nothing,
        }
    }

    /// Hands in a line about an answer that leaves alone.
    fn note(
        &self,
        (query, from, transport): (&[u8], SocketAddr, Transport),
        (account, why): (Account, Option<Arc<Why>>),
        reply: &[u8],
        began: Instant,
    ) {
        self.log.add(vec![QueryLine {
            time: self.resolver.now(),
            client: from.ip(),
            transport,
            asked: asked(query),
            account,
            why,
            is_kept: false,
            ttl: least_ttl(reply),
            bytes: reply.len(),
            nanos: nanos_since(began),
        }]);
    }

    /// Where connections of a transport are counted.
    pub(super) fn connection_counts(&self, transport: Transport) -> Arc<ConnectionCounts> {
        self.resolver.telemetry().connections(transport)
    }

    /// Where anybody counts what came over a transport.
    fn counts(&self, transport: Transport) -> Counts {
        self.resolver.telemetry().together(transport)
    }

    /// Looks at the cookie of a message, then at all else.
    fn begin_from(&self, query: &[u8], line: &Line<'_>, noting: Noting) -> Made {
        let decoded = decode(query);
        let guard = self.guard.load();
        let cookie = decoded.edns().and_then(|edns| edns.cookie);
        let seen = guard.look_at(cookie.as_ref(), line.from.ip(), self.resolver.now());
        let turns_away = |seen: &Seen| line.transport == Transport::Udp && guard.turns_away(seen);
        let is_known = seen.is_some_and(|seen| seen.is_known());
        match self.admit(query, decoded, (line, seen)) {
            Err(refused) => Made {
                is_known,
                ..refused.into()
            },
            Ok((request, None)) if seen.as_ref().is_some_and(turns_away) => {
                guard.turned_away();
                let (code, manner) = (OptRcode::BADCOOKIE, line.manner(None, seen.as_ref()));
                let refused = compose::refusal(query, code, request.edns, &manner);
                Refused::with(refused, Refusal::Cookie, code).into()
            }
            Ok((request, signature)) => Made {
                is_known: is_known || signature.is_some(),
                ..self.look_up(query, (request, signature), (line, seen), noting)
            },
        }
    }

    fn look_up(
        &self,
        query: &[u8],
        (request, signature): (Request, Option<Signature>),
        (line, seen): (&Line<'_>, Option<Seen>),
        noting: Noting,
    ) -> Made {
        let Line {
            from,
            transport,
            certificate,
            idle,
        } = *line;
        let seal = self.seal(signature.as_ref());
        let setup = self.resolver.setup();
        if !setup.access.may_query(from.ip()) {
            let code = OptRcode::REFUSED;
            let manner = line.manner(seal.as_ref(), seen.as_ref());
            let refused = compose::refusal(query, code, request.edns, &manner);
            return Refused::with(refused, Refusal::Access, code).into();
        }
        let may_recurse = setup.may_recurse(from.ip());
        let question = Question {
            name: request.name.clone(),
            kind: request.kind,
            recursion_desired: request.recursion_desired,
            dnssec_ok: request.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: request.checking_disabled,
            caller: Some(from.ip()),
            transport: Some(transport.into()),
            time: Some(self.resolver.now()),
            devices: Vec::new(),
            key: signature.as_ref().map(|signature| signature.key().clone()),
            certificate: certificate.cloned(),
            may_recurse,
        };
        let mut trail = noting.trail();
        match self.resolver.begin(question, &mut trail) {
            Begun::Done(answer) => {
                self.count(&trail, from);
                log(&request, from, &answer);
                let manner = Manner {
                    recursion_available: may_recurse,
                    ..line.manner(seal.as_ref(), seen.as_ref())
                };
                let reply = sent(compose::reply(query, &request, &answer, &manner));
                let is_anybody = signature.is_none() && certificate.is_none();
                Made {
                    reply,
                    keeping: is_anybody.then(|| setup.keeping(&trail, &answer, from.ip())),
                    account: Some(self.account(&trail, &answer)),
                    why: trail.is_on().then(|| Arc::new(Why::of(&trail, &answer))),
                    is_known: false,
                }
            }
            Begun::Pending(pending) => {
                let waiting = Waiting {
                    query: query.to_vec(),
                    request,
                    transport,
                    idle,
                    recursion_available: may_recurse,
                    signature,
                    seen,
                    began: Instant::now(),
                    trail: (noting == Noting::Line).then_some(trail),
                };
                Made::waiting(Later { waiting, pending })
            }
        }
    }

    /// The question of a message and its signature, or the reply to what is none.
    fn admit(
        &self,
        query: &[u8],
        decoded: Decoded,
        (line, seen): (&Line<'_>, Option<Seen>),
    ) -> Result<(Request, Option<Signature>), Refused> {
        let edns = decoded.edns();
        let is_signed = match &decoded {
            Decoded::Drop => return Err(Refused::SILENTLY),
            // What cannot be read has no signature either.
            Decoded::Refuse(code, _) => *code != OptRcode::FORMERR,
            Decoded::CookieAlone(_) => true,
            Decoded::Request(request) => request.is_signed,
        };
        let checked = if is_signed {
            tsig::check(&self.keys.load(), query, self.resolver.now())
        } else {
            Checked::Unsigned
        };
        let refuse = |code, why, seal: Option<&Seal>| {
            let manner = line.manner(seal, seen.as_ref());
            let refused = compose::refusal(query, code, edns, &manner);
            Err(Refused::with(refused, why, code))
        };
        let signature = match (checked, &decoded) {
            (Checked::Unsigned, _) => None,
            (Checked::Held(signature), _) => Some(signature),
            (Checked::Malformed, Decoded::Refuse(code, _)) => {
                return refuse(*code, why_refused(*code), None);
            }
            (Checked::Malformed, _) => {
                return refuse(OptRcode::FORMERR, Refusal::Malformed, None);
            }
            (Checked::Fault(fault), _) => {
                return refuse(Fault::RCODE, Refusal::Signature, Some(&Seal::Fault(fault)));
            }
        };
        match decoded {
            Decoded::Drop => Err(Refused::SILENTLY),
            Decoded::Refuse(code, _) => {
                let seal = self.seal(signature.as_ref());
                refuse(code, why_refused(code), seal.as_ref())
            }
            Decoded::CookieAlone(_) => {
                let seal = self.seal(signature.as_ref());
                let (code, why) = self.code_of_a_cookie(line, seen.as_ref());
                refuse(code, why, seal.as_ref())
            }
            Decoded::Request(request) => Ok((request, signature)),
        }
    }

    /// How a cookie is answered that comes without a question (RFC 7873 section 5.4).
    fn code_of_a_cookie(&self, line: &Line<'_>, seen: Option<&Seen>) -> (OptRcode, Refusal) {
        match seen.map(|seen| seen.acquaintance) {
            None => (OptRcode::FORMERR, Refusal::Malformed),
            Some(_) if !self.resolver.setup().access.may_query(line.from.ip()) => {
                (OptRcode::REFUSED, Refusal::Access)
            }
            Some(Acquaintance::New | Acquaintance::Known) => (OptRcode::NOERROR, Refusal::Cookie),
            Some(Acquaintance::Wrong) => (OptRcode::BADCOOKIE, Refusal::Cookie),
        }
    }

    /// Leaves a reply that waited as it is, or cuts it, or takes it away, as the limits of datagrams to
    /// its client say.
    fn limited(&self, to: &Waiting, from: SocketAddr, reply: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut reply = reply?;
        if to.transport == Transport::Udp && !to.is_known() {
            let guard = self.guard.load();
            let verdict = guard.judge(&reply, from.ip(), self.resolver.now());
            if verdict == Verdict::Dropped {
                self.counts(to.transport).dropped(Dropped::Limit);
            }
            let line = Line::plain(from, to.transport);
            self.cut(&to.query, &line, verdict, &mut reply);
        }
        (!reply.is_empty()).then_some(reply)
    }

    /// Makes of a reply what became of it.
    pub(super) fn cut(&self, query: &[u8], line: &Line<'_>, verdict: Verdict, to: &mut Vec<u8>) {
        if verdict == Verdict::Whole {
            return;
        }
        to.clear();
        if verdict == Verdict::Cut {
            let (guard, now) = (self.guard.load(), self.resolver.now());
            let (edns, from) = (decode(query).edns(), line.from.ip());
            let cookie = edns.and_then(|edns| edns.cookie);
            let seen = guard.look_at(cookie.as_ref(), from, now);
            let manner = Manner {
                recursion_available: self.resolver.setup().may_recurse(from),
                ..line.manner(None, seen.as_ref())
            };
            let cut = compose::in_place(query, edns, &manner);
            to.extend_from_slice(&cut.unwrap_or_default());
        }
    }

    /// What the legacy cache counted, kept answers included.
    pub fn legacy_stats(&self) -> LegacyCacheStats {
        self.resolver.legacy_stats()
    }

    /// What answers.
    pub(super) fn resolver(&self) -> &Resolver<P> {
        &self.resolver
    }

    /// Waits for legacy DNS and answers.
    pub async fn finish(&self, later: Later, from: SocketAddr) -> Option<Vec<u8>> {
        let Later {
            mut waiting,
            pending,
        } = later;
        let mut trail = waiting.trail.take().unwrap_or_default();
        let answer = self.resolver.finish(pending, &mut trail).await;
        self.count(&trail, from);
        log(&waiting.request, from, &answer);
        let seal = self.seal(waiting.signature.as_ref());
        let (query, transport) = (&*waiting.query, waiting.transport);
        let manner = waiting.manner(seal.as_ref());
        let reply = compose::reply(query, &waiting.request, &answer, &manner);
        let (account, counts) = (self.account(&trail, &answer), self.counts(transport));
        counts.made(account);
        counts.took(account.route, nanos_since(waiting.began), 1);
        if let (true, Some(reply)) = (trail.is_on(), &reply) {
            let why = Some(Arc::new(Why::of(&trail, &answer)));
            let asked = (query, from, transport);
            self.note(asked, (account, why), reply, waiting.began);
        }
        self.limited(&waiting, from, reply)
    }

    fn account(&self, trail: &Trail, answer: &Answer) -> Account {
        let code = rcode(answer.outcome).to_int();
        self.resolver.account(trail, answer, code)
    }

    /// Replies to a signed question are signed with its key, at the time of the reply.
    fn seal(&self, signature: Option<&Signature>) -> Option<Seal> {
        let now = self.resolver.now();
        signature.map(|signature| Seal::Signed(signature.clone(), now))
    }

    /// Counts a denial for the audit log.
    fn count(&self, trail: &Trail, from: SocketAddr) {
        if let Some(denial) = trail.denied() {
            let audit = self.resolver.audit();
            audit.denied(denial.scope, denial.verdict, from.ip());
        }
    }

    /// The reply when there is no room to wait: SERVFAIL, so that the client asks elsewhere.
    pub fn overloaded(&self, later: &Later, from: SocketAddr) -> Option<Vec<u8>> {
        self.guard.load().crowded_out();
        let waiting = &later.waiting;
        let seal = self.seal(waiting.signature.as_ref());
        let (code, edns) = (OptRcode::SERVFAIL, waiting.request.edns);
        let account = Account::refused(Refusal::Overload, code.to_int());
        self.counts(waiting.transport).made(account);
        let manner = waiting.manner(seal.as_ref());
        let reply = compose::refusal(&waiting.query, code, edns, &manner);
        if let (Some(_), Some(reply)) = (&waiting.trail, &reply) {
            let why = Some(Arc::new(Why::refused(account.refusal)));
            let asked = (&*waiting.query, from, waiting.transport);
            self.note(asked, (account, why), reply, waiting.began);
        }
        self.limited(waiting, from, reply)
    }
}

/// How long ago something began, in nanoseconds.
pub(super) fn nanos_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn log(request: &Request, from: SocketAddr, answer: &Answer) {
    tracing::debug!(
        target: QUERY_LOG,
        name = %request.name,
        kind = %request.kind,
        %from,
        outcome = %answer.outcome,
        side = %answer.side,
        "answered"
    );
}
