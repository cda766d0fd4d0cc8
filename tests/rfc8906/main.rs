//! The manners of RFC 8906: strange messages must be answered as the RFCs say, next to named.
//!
//! `KEDGE_WRITE_DOCS=1 cargo test --test rfc8906` writes `docs/RFC8906.md` anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod expect;

use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;

use cases::{Case, ZONE, cases};
use common::client::Client;
use common::peers::{Kind, Peer, ZoneFile};
use common::{TestNode, must_not_skip};
use expect::describe;

const INTRODUCTION: &str = "\
# Strange questions

How Kedge answers the questions of RFC 8906 section 8, and other messages that a server must not
choke on, next to named 9.18 with the same zone. `tests/rfc8906` sends each message as the bytes it
is and fails if a reply is not what the RFC allows. This page is written by
`KEDGE_WRITE_DOCS=1 cargo test --test rfc8906`.

";

/// A zone with one set that fits no plain datagram.
fn zone_text() -> String {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns hostmaster 1 3600 900 1209600 300\n@ NS ns\n\
         ns A 192.0.2.53\n"
    );
    for row in 0..8 {
        writeln!(text, "@ TXT \"{row} {}\"", "long ".repeat(30)).unwrap();
    }
    text
}

/// The reply to a case; none for silence.
fn put(case: &Case, client: &Client) -> Option<Vec<u8>> {
    if case.tcp {
        client.ask_tcp(&case.message).ok()
    } else if case.expect.is_silence() {
        client.ask_briefly(&case.message)
    } else {
        client.ask(&case.message).ok()
    }
}

fn zone_in(directory: &Path) -> Vec<ZoneFile> {
    std::fs::write(directory.join("conduct.zone"), zone_text()).unwrap();
    vec![ZoneFile {
        origin: format!("{ZONE}."),
        file: "conduct.zone".into(),
    }]
}

fn node_in(directory: TempDir) -> TestNode {
    let config = format!(
        "[demo]\nenabled = false\n[legacy]\nupstreams = []\n[access]\nrecurse = []\n\
         [[zone]]\norigin = \"{ZONE}.\"\nfile = \"conduct.zone\"\n"
    );
    TestNode::start_in(directory, &config)
}

#[test]
fn strange_questions_are_answered_as_the_rfcs_say() {
    let directory = TempDir::new().unwrap();
    zone_in(directory.path());
    let node = node_in(directory);
    let client = Client::new(node.address());
    let mut violations = Vec::new();
    for case in cases() {
        let reply = put(&case, &client);
        if let Some(what) = case.expect.lacks(reply.as_deref()) {
            violations.push(format!(
                "{} (RFC {}): {what}: expected {}, got {}",
                case.name,
                case.rfc,
                case.expect.text(),
                describe(reply.as_deref())
            ));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_table_next_to_named_is_up_to_date() {
    let directory = TempDir::new().unwrap();
    let zones = zone_in(directory.path());
    let Some(named) = Peer::start(Kind::Named, directory.path(), &zones) else {
        println!("skipped: named is not installed");
        assert!(!must_not_skip(), "nothing may be skipped here");
        return;
    };
    let node = node_in(directory);
    let (ours, theirs) = (Client::new(node.address()), Client::new(named.address()));
    let mut table = String::from(
        "| message | RFC | expected | named 9.18 | Kedge | verdict |\n|---|---|---|---|---|---|\n",
    );
    let mut unexplained = Vec::new();
    for case in cases() {
        let (our, their) = (put(&case, &ours), put(&case, &theirs));
        let lacks = case.expect.lacks(our.as_deref());
        let (our, their) = (describe(our.as_deref()), describe(their.as_deref()));
        let verdict = match (lacks, our == their, case.unlike_named) {
            (Some(what), ..) => format!("violates: {what}"),
            (None, true, _) => "as named".into(),
            (None, false, "") => {
                unexplained.push(format!("{}: {our}; named: {their}", case.name));
                "unlike named".into()
            }
            (None, false, why) => format!("lawful: {why}"),
        };
        let (name, rfc, expected) = (case.name, case.rfc, case.expect.text());
        writeln!(
            table,
            "| {name} | {rfc} | {expected} | {their} | {our} | {verdict} |"
        )
        .unwrap();
    }
    let page = format!("{INTRODUCTION}{table}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RFC8906.md");
    if std::env::var_os("KEDGE_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &page).unwrap();
    }
    assert!(
        unexplained.is_empty(),
        "unlike named, unexplained:\n{}",
        unexplained.join("\n")
    );
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differing: Vec<_> = without_named(&page)
        .into_iter()
        .filter(|row| !without_named(&kept).contains(row))
        .collect();
    assert!(
        differing.is_empty(),
        "docs/RFC8906.md is out of date:\n{differing:#?}"
    );
}

/// The rows without the column of named and what is concluded from it: other releases may answer
/// otherwise.
fn without_named(page: &str) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
            [1, 2, 3, 5].map(|column| cells[column].clone()).to_vec()
        })
        .collect()
}
