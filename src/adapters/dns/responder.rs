//! `Responder`: one message in, at most one reply out, over any transport.

use std::net::SocketAddr;
use std::sync::Arc;

use domain::base::iana::OptRcode;
use tokio::time::Instant;

use crate::base::identity::Identity;
use crate::governance::predicate;
use crate::resolution::answer::Answer;
use crate::resolution::question::Question;
use crate::resolution::trail::Trail;
use crate::service::legacy_cache::LegacyCacheStats;
use crate::service::ports::Parts;
use crate::service::query_log::{QueryLine, QueryLog, Why, asked};
use crate::service::resolver::{Begun, Pending, Resolver};
use crate::telemetry::answers::{Account, Counts, Refusal};
use crate::telemetry::connections::ConnectionCounts;

use super::compose::{self, Manner};
use super::decode::{Decoded, Request, decode};
use super::kept::least_ttl;
use super::made::{Made, Noting, Refused, sent, why_refused};
use super::rcode::rcode;
use super::tsig::{self, Checked, Fault, Seal, Signature, TsigKeysInForce};

/// The target under which every question is logged.
pub(super) const QUERY_LOG: &str = "kedge::query";

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each way.
    Udp,
    /// A stream; no answer is too long.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl From<Transport> for predicate::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

/// What a message came to.
#[derive(Debug)]
pub enum Reply {
    /// Nothing is sent.
    None,
    /// These bytes are sent.
    Ready(Vec<u8>),
    /// Legacy DNS has to be asked first.
    Later(Box<Later>),
}

/// A reply that waits for legacy DNS.
#[derive(Debug)]
pub struct Later {
    query: Vec<u8>,
    request: Request,
    transport: Transport,
    idle: Option<u16>,
    recursion_available: bool,
    signature: Option<Signature>,
    pending: Pending,
    began: Instant,
    /// Its way so far, if a line is to be written.
    trail: Option<Trail>,
}

/// Where a message came from and how.
#[derive(Debug, Clone, Copy)]
pub struct Line<'c> {
    /// The client's address.
    pub from: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Who the client is by its certificate.
    pub certificate: Option<&'c Identity>,
    /// How long the connection may be idle, in units of 100 ms; none for a datagram.
    pub idle: Option<u16>,
}

impl Line<'_> {
    /// That of a client who is known by its address alone.
    pub const fn plain(from: SocketAddr, transport: Transport) -> Self {
        Self {
            from,
            transport,
            certificate: None,
            idle: None,
        }
    }

    /// How what is said over it looks, before anything is known of the question.
    const fn manner<'s>(&self, seal: Option<&'s Seal>) -> Manner<'s> {
        Manner {
            recursion_available: false,
            transport: self.transport,
            idle: self.idle,
            seal,
        }
    }
}

/// Turns messages into replies.
pub struct Responder<P: Parts> {
    resolver: Arc<Resolver<P>>,
    keys: TsigKeysInForce,
    log: QueryLog,
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
            transport: transport.into(),
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
        self.resolver.telemetry().connections(transport.into())
    }

    /// Where anybody counts what came over a transport.
    fn counts(&self, transport: Transport) -> Counts {
        self.resolver.telemetry().together(transport.into())
    }

    fn begin_from(&self, query: &[u8], line: &Line<'_>, noting: Noting) -> Made {
        let Line {
            from,
            transport,
            certificate,
            idle,
        } = *line;
        let (request, signature) = match self.admit(query, line) {
            Ok(admitted) => admitted,
            Err(refused) => return refused.into(),
        };
        let seal = self.seal(signature.as_ref());
        let setup = self.resolver.setup();
        if !setup.access.may_query(from.ip()) {
            let code = OptRcode::REFUSED;
            let manner = line.manner(seal.as_ref());
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
                    ..line.manner(seal.as_ref())
                };
                let reply = sent(compose::reply(query, &request, &answer, &manner));
                let is_anybody = signature.is_none() && certificate.is_none();
                Made {
                    reply,
                    keeping: is_anybody.then(|| setup.keeping(&trail, &answer, from.ip())),
                    account: Some(self.account(&trail, &answer)),
                    why: trail.is_on().then(|| Arc::new(Why::of(&trail, &answer))),
                }
            }
            Begun::Pending(pending) => {
                let later = Later {
                    query: query.to_vec(),
                    request,
                    transport,
                    idle,
                    recursion_available: may_recurse,
                    signature,
                    pending,
                    began: Instant::now(),
                    trail: (noting == Noting::Line).then_some(trail),
                };
                Made::waiting(later)
            }
        }
    }

    /// The question of a message and its signature, or the reply to what is none.
    fn admit(
        &self,
        query: &[u8],
        line: &Line<'_>,
    ) -> Result<(Request, Option<Signature>), Refused> {
        let decoded = decode(query);
        let (edns, is_signed) = match &decoded {
            Decoded::Drop => return Err(Refused::SILENTLY),
            // What cannot be read has no signature either.
            Decoded::Refuse(code, edns) => (*edns, *code != OptRcode::FORMERR),
            Decoded::Request(request) => (request.edns, request.is_signed),
        };
        let checked = if is_signed {
            tsig::check(&self.keys.load(), query, self.resolver.now())
        } else {
            Checked::Unsigned
        };
        let refuse = |code, why, seal: Option<&Seal>| {
            let refused = compose::refusal(query, code, edns, &line.manner(seal));
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
            Decoded::Request(request) => Ok((request, signature)),
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
            query,
            request,
            transport,
            idle,
            recursion_available,
            signature,
            pending,
            began,
            trail,
        } = later;
        let mut trail = trail.unwrap_or_default();
        let answer = self.resolver.finish(pending, &mut trail).await;
        self.count(&trail, from);
        log(&request, from, &answer);
        let seal = self.seal(signature.as_ref());
        let manner = Manner {
            recursion_available,
            transport,
            idle,
            seal: seal.as_ref(),
        };
        let reply = compose::reply(&query, &request, &answer, &manner);
        let (account, counts) = (self.account(&trail, &answer), self.counts(transport));
        counts.made(account);
        counts.took(account.route, nanos_since(began), 1);
        if let (true, Some(reply)) = (trail.is_on(), &reply) {
            let why = Some(Arc::new(Why::of(&trail, &answer)));
            self.note((&query, from, transport), (account, why), reply, began);
        }
        reply
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
        let seal = self.seal(later.signature.as_ref());
        let (code, edns) = (OptRcode::SERVFAIL, later.request.edns);
        let account = Account::refused(Refusal::Overload, code.to_int());
        self.counts(later.transport).made(account);
        let manner = Manner {
            recursion_available: later.recursion_available,
            transport: later.transport,
            idle: later.idle,
            seal: seal.as_ref(),
        };
        let reply = compose::refusal(&later.query, code, edns, &manner);
        if let (Some(_), Some(reply)) = (&later.trail, &reply) {
            let why = Some(Arc::new(Why::refused(account.refusal)));
            let asked = (&*later.query, from, later.transport);
            self.note(asked, (account, why), reply, later.began);
        }
        reply
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
