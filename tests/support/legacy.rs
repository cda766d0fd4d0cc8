//! `ScriptedLegacy`: legacy DNS that says what it was told to, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kedge::base::time::Ttl;
use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::Record;
use kedge::namespace::rtype::RecordType;
use kedge::resolution::legacy::{LegacyCode, LegacyFailure, LegacyQuestion, LegacyReply};
use kedge::service::ports::{LegacyAnswered, LegacyDns};

use super::name;

/// A reply or a failure.
pub type Said = Result<LegacyReply, LegacyFailure>;

/// Legacy DNS by script. What no script names does not exist.
#[derive(Debug, Clone, Default)]
pub struct ScriptedLegacy {
    script: Arc<Mutex<BTreeMap<(Name, RecordType), Said>>>,
    asked: Arc<Mutex<Vec<LegacyQuestion>>>,
    broken: Arc<AtomicBool>,
}

impl ScriptedLegacy {
    /// Scripts a reply.
    pub fn say(&self, name: Name, kind: RecordType, said: Said) {
        self.script.lock().unwrap().insert((name, kind), said);
    }

    /// Answers nothing at all any more, or as scripted again.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// What was asked since this was called last.
    pub fn take_asked(&self) -> Vec<LegacyQuestion> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl LegacyDns for ScriptedLegacy {
    async fn ask(
        &self,
        question: &LegacyQuestion,
        _patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        self.asked.lock().unwrap().push(question.clone());
        if self.broken.load(Ordering::SeqCst) {
            return Err(LegacyFailure::Timeout);
        }
        let key = (question.name.clone(), question.kind);
        let said = self.script.lock().unwrap().get(&key).cloned();
        let reply = said.unwrap_or_else(|| Ok(no_such_name()))?;
        Ok(LegacyAnswered {
            reply,
            upstream: "script".to_owned(),
        })
    }
}

/// A reply without records.
pub fn empty(code: LegacyCode, authentic: bool) -> LegacyReply {
    LegacyReply {
        code,
        authentic,
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
    }
}

fn no_such_name() -> LegacyReply {
    let mut reply = empty(LegacyCode::NxDomain, false);
    reply.authorities.push(root_soa());
    reply
}

/// The SOA that every negative reply of the script carries.
pub fn root_soa() -> Record {
    Record {
        owner: Name::root(),
        kind: RecordType::SOA,
        ttl: Ttl::from_secs(300),
        rdata: Rdata::of_soa(&name("a.root."), &name("mail.root."), [1, 2, 3, 4, 300]),
    }
}
