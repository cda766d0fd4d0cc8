//! The checker itself, checked: each violation is planted and must be found, and what only looks
//! like one must not be.

use std::collections::BTreeMap;

use super::rules::{check_file, unreachable_files};
use super::source::SourceFile;

/// What the checker says to a file whose job line is in order.
fn said(name: &str, code: &str) -> String {
    let file = SourceFile::new(name, &format!("//! Planted.\n{code}"));
    check_file(&file).join("\n")
}

#[track_caller]
fn finds(name: &str, code: &str, words: &str) {
    let said = said(name, code);
    assert!(said.contains(words), "expected {words:?} in {said:?}");
}

#[track_caller]
fn accepts(name: &str, code: &str) {
    assert_eq!(said(name, code), "");
}

const PURE: &str = "src/resolution/planted.rs";

#[test]
fn naming_a_higher_rank_is_found_however_it_is_written() {
    let words = "resolution (rank 4) names service (rank 6)";
    finds(PURE, "use crate::service::ports::Store;", words);
    finds(PURE, "use crate::{base::time::Ttl, service::ports};", words);
    finds(
        PURE,
        "use crate::{\n    base::{time, keys},\n    service,\n};",
        words,
    );
    finds(PURE, "fn f() -> crate::service::X {}", words);
    finds(PURE, "use super::super::service::ports;", words);
    finds(
        "src/resolution/mod.rs",
        "mod tests {\n    use super::super::service;\n}",
        words,
    );
}

#[test]
fn naming_an_equal_rank_is_found() {
    finds(
        "src/zonefile/mod.rs",
        "use crate::governance::policy;",
        "zonefile (rank 2) names governance (rank 2)",
    );
}

#[test]
fn lower_ranks_and_the_module_itself_may_be_named() {
    accepts(
        PURE,
        "use crate::{base::time::Ttl, index::{view, entry as e}};\nuse crate::resolution::answer;\nuse super::zone;",
    );
    accepts("src/resolution/mod.rs", "mod tests {\n    use super::*;\n}");
    accepts("src/main.rs", "use kedge::cli::run;");
}

#[test]
fn comments_and_literals_name_nothing() {
    accepts(
        PURE,
        r##"
/* tokio /* nested */ redb */
/// Like `crate::service`.
fn f<'a>(x: &'a str) -> char {
    let _ = ("crate::service", r#"async "tokio" fn"#, b"println!", '"', '\'');
    'x'
}
"##,
    );
    finds(PURE, "const QUOTE: char = '\"'; use tokio::io;", "tokio");
}

#[test]
fn a_module_without_a_rank_is_found() {
    finds("src/helpers.rs", "", "the module helpers has no rank");
}

#[test]
fn adapters_that_know_each_other_are_found() {
    let words = "adapter dns names adapter storage";
    let name = "src/adapters/dns/udp.rs";
    finds(name, "use crate::adapters::storage::RedbStore;", words);
    finds(name, "use crate::adapters::{dns, storage};", words);
    finds(name, "use super::super::storage;", words);
    accepts(
        name,
        "use super::responder::Reply;\nuse crate::adapters::dns::tcp;",
    );
}

#[test]
fn impurity_is_found_in_pure_modules_only() {
    let impure = [
        "async fn f() {}",
        "fn f() { g().await; }",
        "use tokio::time;",
        "use std::fs;",
        "use std::net::{IpAddr, UdpSocket};",
        "use domain::base::Name;",
        "fn f() { tracing::info!(1); }",
        "fn f() { SystemTime::now(); }",
        "fn f() { std::time::Instant::now(); }",
        "fn f() { println!(); }",
    ];
    for code in impure {
        finds(PURE, code, "in a pure module");
        accepts("src/service/planted.rs", code);
    }
    accepts(PURE, "use std::net::IpAddr;\nfn subdomain::f() {}");
}

#[test]
fn crates_kept_in_few_folders_are_found_elsewhere() {
    finds("src/node/mod.rs", "use redb::Database;", "redb belongs to");
    finds(
        "src/adapters/dns/mod.rs",
        "use hickory_proto::op;",
        "hickory belongs to",
    );
    finds(
        "src/adapters/dns/udp/mod.rs",
        "use noq::Endpoint;",
        "noq belongs to",
    );
    accepts("src/adapters/dns/quic/planted.rs", "use noq::Endpoint;");
    accepts("src/adapters/peers/planted.rs", "use noq::Endpoint;");
    accepts("src/adapters/storage/planted.rs", "use redb::Database;");
    accepts("src/adapters/legacy/planted.rs", "use hickory_proto::op;");
    accepts(
        "src/node/mod.rs",
        "use crate::adapters::storage::RedbStore;",
    );
}

#[test]
fn bad_manners_are_found() {
    let without = SourceFile::new("tests/planted.rs", "fn f() {}\n");
    assert!(check_file(&without).join("").contains("its job"));
    finds("tests/planted.rs", &"\n".repeat(500), "501 lines");
    let note = concat!("TO", "DO");
    finds(
        "tests/planted.rs",
        &format!("// {note}: later"),
        "without an issue",
    );
    accepts("tests/planted.rs", &format!("// {note}(#12): later"));
}

#[test]
fn files_without_a_mod_line_are_found() {
    let files = [
        ("src/lib.rs", "mod a;\nmod b { }"),
        ("src/a/mod.rs", "mod c; // mod d;"),
        ("src/a/c.rs", "mod e;"),
        ("src/a/c/e.rs", ""),
        ("src/a/d.rs", ""),
        ("src/b.rs", ""),
    ];
    let files: BTreeMap<_, _> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), SourceFile::new(name, text)))
        .collect();
    let said = unreachable_files(&files);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("src/a/d.rs") && said[1].starts_with("src/b.rs"));
}
