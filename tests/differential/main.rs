//! The same zones and the same questions put to this server and to two others; every difference
//! is either explained by a rule with its RFC or a failure.
//!
//! `KEDGE_DIFFERENTIAL_QUESTIONS` sets how many questions are asked, `KEDGE_DIFFERENTIAL_SEED`
//! which, and `KEDGE_DIFFERENTIAL_ZONES` a directory that keeps the last zone files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a test fails by panicking and prints what it compared"
)]

#[path = "../common/mod.rs"]
mod common;

mod compare;
mod explained;
mod name;
mod question;
mod rdata;
mod zone;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;

use common::client::Client;
use common::message::{Message, Query, TC};
use common::peers::{Kind, Peer, ZoneFile};
use common::{Chance, TestNode, must_not_skip};
use compare::{Case, Part, differences};
use explained::EXPLAINED;
use zone::Zone;

/// Enough to see every kind of name a few times, in seconds.
const QUESTIONS: usize = 3_000;
/// Questions about one set of zones, and how many zones that is.
const QUESTIONS_PER_WORLD: usize = 1_500;
const ZONES_PER_WORLD: usize = 6;
/// Failures that are printed in full.
const SHOWN_MAX: usize = 12;
/// Above this a server may have left out what another still found room for.
const ROOMY: usize = 1_000;

/// What a run came to.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    equal: usize,
    explained: BTreeMap<(&'static str, &'static str), usize>,
    failures: usize,
    shown: String,
}

fn number_from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn three_servers_answer_alike() {
    let questions = number_from_environment("KEDGE_DIFFERENTIAL_QUESTIONS", QUESTIONS);
    let seed = number_from_environment("KEDGE_DIFFERENTIAL_SEED", 1);
    println!("seed {seed}, {questions} questions");
    let mut tally = Tally::default();
    for round in 0..questions.div_ceil(QUESTIONS_PER_WORLD) {
        let mut chance = Chance::new(u64::try_from(seed + round).unwrap());
        let before = tally.failures;
        let count = QUESTIONS_PER_WORLD.min(questions - tally.asked);
        if !compare_world(&mut chance, count, &mut tally) {
            return;
        }
        if tally.failures > before {
            writeln!(tally.shown, "^ zones of seed {}\n", seed + round).unwrap();
        }
        if tally.failures >= SHOWN_MAX {
            break;
        }
    }
    println!(
        "{} of {} questions answered alike",
        tally.equal, tally.asked
    );
    for ((id, peer), count) in &tally.explained {
        let rule = EXPLAINED.iter().find(|rule| rule.id == *id).unwrap();
        println!("{count:>6}  {peer:<5}  {id}: {} ({})", rule.why, rule.rfc);
    }
    assert!(
        tally.failures == 0,
        "{} unexplained differences:\n{}",
        tally.failures,
        tally.shown
    );
}

/// Asks about one set of zones; false if the other servers are not installed.
fn compare_world(chance: &mut Chance, count: usize, tally: &mut Tally) -> bool {
    let zones = zone::world(chance, ZONES_PER_WORLD);
    let directory = TempDir::new().unwrap();
    let files = write_zones(&zones, &directory);
    let peers: Vec<_> = [Kind::Nsd, Kind::Knot]
        .iter()
        .filter_map(|kind| Peer::start(*kind, directory.path(), &files))
        .collect();
    if peers.len() < 2 {
        println!("skipped: nsd and knotd are not both installed");
        assert!(!must_not_skip(), "nothing may be skipped here");
        return false;
    }
    let mut config =
        String::from("[demo]\nenabled = false\n[legacy]\nupstreams = []\n[access]\nrecurse = []\n");
    for ZoneFile { origin, file } in &files {
        writeln!(config, "[[zone]]\norigin = {origin:?}\nfile = {file:?}").unwrap();
    }
    let node = TestNode::start_in(directory, &config);
    let clients: Vec<_> = [node.address(), peers[0].address(), peers[1].address()]
        .into_iter()
        .map(Client::new)
        .collect();
    for id in (0..u16::MAX).take(count) {
        let query = question::question(&zones, id, chance);
        let case = ask(&clients, query, &zones);
        judge(&case, tally);
    }
    true
}

fn write_zones(zones: &[Zone], directory: &TempDir) -> Vec<ZoneFile> {
    let mut files = Vec::new();
    for (index, zone) in zones.iter().enumerate() {
        // The case of an origin carries no meaning; small letters keep every program content.
        let origin = zone.origin.small();
        let file = format!("{index}.zone");
        std::fs::write(directory.path().join(&file), &zone.text).unwrap();
        if let Some(kept) = std::env::var_os("KEDGE_DIFFERENTIAL_ZONES") {
            std::fs::create_dir_all(&kept).unwrap();
            std::fs::write(Path::new(&kept).join(&file), &zone.text).unwrap();
        }
        files.push(ZoneFile { origin, file });
    }
    files
}

/// Puts a question to every server, over TCP too when somebody ran out of room.
fn ask<'z>(clients: &[Client], query: Query, zones: &'z [Zone]) -> Case<'z> {
    let bytes = query.to_bytes();
    for client in clients {
        client.send(&bytes);
    }
    let read =
        |bytes: Vec<u8>| Message::read(&bytes).unwrap_or_else(|| panic!("{query:?}: {bytes:?}"));
    let mut replies: Vec<_> = clients
        .iter()
        .map(|client| {
            read(
                client
                    .receive(&bytes)
                    .unwrap_or_else(|e| panic!("{query:?}: {e}")),
            )
        })
        .collect();
    let room = if query.edns.is_some() { ROOMY } else { 400 };
    if replies
        .iter()
        .any(|reply| reply.has(TC) || reply.length > room)
    {
        replies = clients
            .iter()
            .map(|client| {
                read(
                    client
                        .ask_tcp(&bytes)
                        .unwrap_or_else(|e| panic!("{query:?}: {e}")),
                )
            })
            .collect();
    }
    Case::new(query, replies, zones)
}

fn judge(case: &Case<'_>, tally: &mut Tally) {
    tally.asked += 1;
    let mut unexplained: Vec<(&str, Part)> = Vec::new();
    let mut differs = false;
    for (peer, part) in differences(case) {
        differs = true;
        match EXPLAINED
            .iter()
            .find(|rule| (rule.matches)(case, peer, part))
        {
            Some(rule) => *tally.explained.entry((rule.id, peer.name())).or_default() += 1,
            None => unexplained.push((peer.name(), part)),
        }
    }
    tally.equal += usize::from(!differs);
    if !unexplained.is_empty() {
        tally.failures += 1;
        if tally.failures <= SHOWN_MAX {
            writeln!(tally.shown, "{case}  differs in {unexplained:?}\n").unwrap();
        }
    }
}
