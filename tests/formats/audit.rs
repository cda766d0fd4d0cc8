//! The lines of an audit log, fixed for ever by `tests/golden/audit.jsonl`.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use kedge::base::time::Timestamp;
use kedge::service::audit::{Auditor, Event, Walk};
use kedge::service::ports::{AuditFile, AuditFound, Clock};

use crate::here;

#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_123)
    }
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl AuditFile for Memory {
    fn open(&mut self) -> io::Result<AuditFound> {
        Ok(AuditFound {
            head: None,
            dropped_bytes: 0,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn byte_count(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().len()).unwrap()
    }

    fn rotate(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn call_from_afar() -> Event {
    let text = ToOwned::to_owned;
    Event::Call {
        method: text("GET"),
        path: text("/v1/scopes"),
        uid: None,
        pid: None,
        token: Some(text("0707070707070707")),
        identity: Some(text("uri:spiffe://mesh/ci")),
        from: Some(text("192.0.2.1")),
        status: 200,
        error: None,
    }
}

fn events() -> Vec<Event> {
    let text = ToOwned::to_owned;
    vec![
        Event::Start {
            version: text("0.1.0"),
        },
        Event::Call {
            method: text("PUT"),
            path: text("/v1/names/a.mesh.internal"),
            uid: Some(0),
            pid: Some(4711),
            token: None,
            identity: None,
            from: None,
            status: 409,
            error: Some(text("a \"quoted\" reason\n")),
        },
        call_from_afar(),
        Event::Token {
            token: text("0707070707070707"),
            deed: text("made"),
            rights: text("read propose"),
            scopes: text("eu.mesh.internal."),
            expires: text("2026-12-24T00:00:00.000Z"),
        },
        Event::Strangers {
            source: text("192.0.2.0/24"),
            count: 7,
        },
        Event::Committed {
            scope: text("00"),
            height: 7,
            block: text("11"),
            changes: 2,
        },
        Event::Refused {
            reason: text("a is taken"),
            count: 3,
        },
        Event::Denied {
            scope: text("00"),
            verdict: text("hide"),
            source: text("10.0.0.0/24"),
            count: 9,
        },
        Event::Consulted {
            suffix: text("eu.mesh.internal."),
            answered: true,
            count: 4,
        },
        Event::Uncounted { count: 1 },
        Event::Recovered { bytes: 15 },
        Event::Gap {
            lost: 5,
            because: text("the disk is full"),
        },
        Event::Reload { error: None },
        Event::Device {
            scope: text("00"),
            device: text("0123456789"),
            what: text("enrolled"),
        },
        Event::Stop,
    ]
}

#[test]
fn audit_lines_have_the_bytes_they_always_had() {
    let memory = Memory::default();
    let (audit, auditor) = Auditor::new(memory.clone(), Still, u64::MAX);
    let writing = std::thread::spawn(move || auditor.run());
    for event in events() {
        audit.note(event);
    }
    audit.close();
    writing.join().unwrap();
    let bytes = memory.0.lock().unwrap().clone();
    let golden = here("tests/golden/audit.jsonl");
    if std::env::var_os("KEDGE_GOLDEN").is_some() && !golden.exists() {
        fs::write(&golden, &bytes).unwrap();
        fs::create_dir_all(here("fuzz/seeds/audit")).unwrap();
        fs::write(here("fuzz/seeds/audit/log"), &bytes).unwrap();
    }
    let written = fs::read(&golden).unwrap_or_default();
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        String::from_utf8_lossy(&written)
    );
    // By the text of docs/FORMATS.md, with nothing of the program but BLAKE3.
    let mut chain = [0; 32];
    let mut walk = Walk::default();
    for line in written.split(|byte| *byte == b'\n') {
        let Some(rest) = line.strip_suffix(b"\"}") else {
            assert!(line.is_empty());
            continue;
        };
        let (opened, digits) = rest.split_at(rest.len() - 64);
        let opened = opened.strip_suffix(b",\"chain\":\"").unwrap();
        let input = [chain.as_slice(), opened].concat();
        chain = blake3::derive_key("kedge/audit/1", &input);
        let digits = String::from_utf8_lossy(digits);
        assert_eq!(digits, data_encoding::HEXLOWER.encode(&chain));
        walk.line(line).unwrap();
    }
    assert_eq!(walk.head().unwrap().batches, 2);
}
