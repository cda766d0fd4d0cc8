//! The chain, and an auditor over a file in memory that fails when told to.

use std::io;
use std::sync::Mutex;

use super::*;
use crate::service::ports::{AuditFile, AuditFound, Clock};

#[derive(Debug, Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }
}

/// Files in memory; clones are the same.
#[derive(Debug, Clone, Default)]
struct Files(Arc<Mutex<Vec<Vec<u8>>>>, Arc<Mutex<bool>>);

impl Files {
    fn fail(&self, fails: bool) {
        *self.1.lock().unwrap() = fails;
    }

    fn check(&self) -> io::Result<()> {
        if *self.1.lock().unwrap() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let files = self.0.lock().unwrap();
        let lines = files
            .iter()
            .flat_map(|file| file.split(|byte| *byte == b'\n'));
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(<[u8]>::to_vec).collect()
    }

    fn text(&self) -> String {
        let files = self.0.lock().unwrap();
        String::from_utf8(files.concat()).unwrap()
    }
}

impl AuditFile for Files {
    fn open(&mut self) -> io::Result<AuditFound> {
        self.check()?;
        let mut files = self.0.lock().unwrap();
        if files.is_empty() {
            files.push(Vec::new());
        }
        let last = files.last_mut().unwrap();
        let found = last_whole(last);
        let whole = found.map_or(0, |(_, end)| end);
        let dropped_bytes = u64::try_from(last.len() - whole).unwrap();
        last.truncate(whole);
        Ok(AuditFound {
            head: found.map(|(head, _)| head),
            dropped_bytes,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.lock().unwrap().last_mut().unwrap().extend(bytes);
        Ok(())
    }

    fn byte_count(&self) -> u64 {
        let files = self.0.lock().unwrap();
        files
            .last()
            .map_or(0, |file| u64::try_from(file.len()).unwrap())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().push(Vec::new());
        Ok(())
    }
}

fn refused(reason: &str) -> Event {
    Event::Refused {
        reason: reason.to_owned(),
        count: 1,
    }
}

fn follow(lines: &[Vec<u8>]) -> Result<Walk, (usize, Broken)> {
    let mut walk = Walk::default();
    for (number, line) in lines.iter().enumerate() {
        walk.line(line).map_err(|broken| (number, broken))?;
    }
    Ok(walk)
}

/// A log of some batches, and the thread that wrote it at its end.
fn log(files: &Files, rotate_bytes: u64, reasons: &[&str]) -> Audit {
    let (audit, auditor) = Auditor::new(files.clone(), Still, rotate_bytes);
    let thread = std::thread::spawn(move || auditor.run());
    for reason in reasons {
        audit.note(refused(reason));
        audit.flush();
    }
    audit.close();
    thread.join().unwrap();
    audit
}

#[test]
fn every_edited_removed_and_swapped_record_is_named() {
    let files = Files::default();
    log(&files, u64::MAX, &["one", "two", "three"]);
    let lines = files.lines();
    let walk = follow(&lines).unwrap();
    let head = walk.head().unwrap();
    assert_eq!((head.batches, walk.records_open()), (4, 0));
    assert_eq!(head.records, u64::try_from(lines.len()).unwrap());
    for at in 0..lines.len() {
        for byte in 0..lines[at].len() {
            let mut edited = lines.clone();
            edited[at][byte] ^= 1;
            let (broken, why) = follow(&edited).unwrap_err();
            assert_eq!(broken, at, "byte {byte}: {why}");
        }
        let mut removed = lines.clone();
        removed.remove(at);
        if at + 1 < lines.len() {
            assert_eq!(follow(&removed).unwrap_err().0, at);
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            assert_eq!(follow(&swapped).unwrap_err().0, at);
        } else {
            // The end of a log is known by a head that was noted elsewhere only.
            assert_ne!(follow(&removed).unwrap().head(), Some(head));
        }
    }
}

#[test]
fn what_could_not_be_written_is_a_gap_in_a_chain_that_holds() {
    let files = Files::default();
    let (audit, auditor) = Auditor::new(files.clone(), Still, u64::MAX);
    let thread = std::thread::spawn(move || auditor.run());
    audit.note(refused("before"));
    audit.flush();
    files.fail(true);
    for _ in 0..3 {
        audit.note(refused("lost"));
        audit.flush();
    }
    let state = audit.state().unwrap();
    assert!(state.failing.is_some());
    assert_eq!((state.lost, state.head.unwrap().batches), (3, 2));
    files.fail(false);
    audit.note(refused("after"));
    audit.close();
    thread.join().unwrap();
    let state = audit.state().unwrap();
    assert_eq!((state.failing.clone(), state.lost), (None, 3));
    let text = files.text();
    assert!(text.contains("\"kind\":\"gap\",\"lost\":3"), "{text}");
    assert!(text.contains("after") && !text.contains("reason\":\"lost"));
    assert_eq!(follow(&files.lines()).unwrap().head(), state.head);
}

#[test]
fn a_log_that_could_not_be_opened_begins_with_its_gap() {
    let files = Files::default();
    files.fail(true);
    let (audit, auditor) = Auditor::new(files.clone(), Still, u64::MAX);
    let thread = std::thread::spawn(move || auditor.run());
    audit.note(refused("lost"));
    audit.flush();
    assert_eq!(audit.state().unwrap().head, None);
    files.fail(false);
    audit.close();
    thread.join().unwrap();
    let text = files.text();
    assert!(text.contains("\"kind\":\"gap\",\"lost\":1"), "{text}");
    follow(&files.lines()).unwrap();
}

#[test]
fn the_chain_goes_on_over_files_and_restarts() {
    let files = Files::default();
    let reasons = ["a", "b", "c", "d"];
    log(&files, 600, &reasons);
    let again = log(&files, 600, &reasons);
    assert!(files.0.lock().unwrap().len() > 2);
    let all = follow(&files.lines()).unwrap().head().unwrap();
    assert!(all.batches >= 9, "{all:?}");
    assert_eq!(again.state().unwrap().head, Some(all));
    // Without the oldest file the rest still holds, and says where it begins.
    files.0.lock().unwrap().remove(0);
    let rest = follow(&files.lines()).unwrap();
    assert_eq!(rest.head(), Some(all));
    assert!(rest.batches_before() > 0);
}

#[test]
fn half_a_batch_is_dropped_and_the_drop_is_recorded() {
    let files = Files::default();
    log(&files, u64::MAX, &["whole"]);
    files.0.lock().unwrap()[0].extend_from_slice(b"{\"seq\":5,\"time\"");
    log(&files, u64::MAX, &["later"]);
    let text = files.text();
    assert!(
        text.contains("\"kind\":\"recovered\",\"bytes\":15"),
        "{text}"
    );
    follow(&files.lines()).unwrap();
}

#[test]
fn events_beyond_the_queue_are_lost_and_counted() {
    let files = Files::default();
    let (audit, auditor) = Auditor::new(files.clone(), Still, u64::MAX);
    for _ in 0..WAITING_MAX + 7 {
        audit.note(refused("flood"));
    }
    let thread = std::thread::spawn(move || auditor.run());
    audit.close();
    thread.join().unwrap();
    assert_eq!(audit.state().unwrap().lost, 7);
    assert!(files.text().contains("\"lost\":7,\"because\":\"too many"));
    let head = follow(&files.lines()).unwrap().head().unwrap();
    assert!(head.records > u64::try_from(WAITING_MAX).unwrap());
}

#[test]
fn texts_of_callers_are_cut() {
    let long = "é".repeat(1_000);
    let cut = bounded(long);
    assert!(cut.len() <= 515 && cut.ends_with("..."), "{}", cut.len());
    assert_eq!(bounded("short".to_owned()), "short");
}
