//! Every help page, word for word.
//!
//! `KEDGE_REWRITE=1 cargo test --test cli help` writes the pages anew.

use std::path::Path;

use super::node::{program, run};

/// Every command.
const COMMANDS: &[&str] = &[
    "",
    "serve",
    "init",
    "check",
    "config",
    "config default",
    "explain",
    "name",
    "name put",
    "name get",
    "name rename",
    "name move",
    "name retire",
    "name undo",
    "name tag",
    "name history",
    "name diff",
    "name import",
    "scope",
    "scope new",
    "scope offer",
    "scope invite",
    "scope list",
    "scope show",
    "scope policy",
    "propose",
    "pending",
    "approve",
    "reject",
    "withdraw",
    "anchor",
    "anchor list",
    "anchor add",
    "anchor remove",
    "anchor weigh",
    "anchor rotate",
    "anchor accept",
    "grant",
    "grant list",
    "grant add",
    "grant revoke",
    "lease",
    "lease announce",
    "lease list",
    "lease drain",
    "lease resume",
    "lease end",
    "trust",
    "device",
    "device enrol",
    "device list",
    "device revoke",
    "device renew",
    "device prove",
    "join",
    "mirror",
    "move",
    "move list",
    "move admit",
    "move refuse",
    "move bring",
    "move cancel",
    "node",
    "node id",
    "nodes",
    "key",
    "key new",
    "key show",
    "key encrypt",
    "key decrypt",
    "key serve",
    "scope recovery",
    "scope recovery show",
    "scope recovery delay",
    "scope recovery offer",
    "scope recovery announce",
    "scope recovery confirm",
    "scope recovery abandon",
    "scope export",
    "scope import",
    "log",
    "prove",
    "verify",
    "cache",
    "cache show",
    "cache flush",
    "cache dump",
    "cache load",
    "audit",
    "audit verify",
    "zone",
    "zone list",
    "zone check",
    "token",
    "token new",
    "token list",
    "token revoke",
    "token whoami",
    "api",
    "doctor",
    "status",
    "reload",
];

fn page(command: &str) -> String {
    let mut program = program(Path::new("."));
    program.args(command.split_whitespace()).arg("--help");
    let ran = run(&mut program);
    assert_eq!(ran.err, "", "{command}");
    ran.good().to_owned()
}

#[test]
fn every_help_page_is_as_it_was() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help");
    let mut faults = Vec::new();
    for command in COMMANDS {
        let file = format!("kedge {command}").trim().replace(' ', "-");
        let path = golden.join(file).with_extension("txt");
        let got = page(command);
        if std::env::var_os("KEDGE_REWRITE").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        if got != wanted {
            faults.push(format!("kedge {command}: {got}\n-- is not --\n{wanted}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// No command is missing above: what a page lists has a page.
#[test]
fn every_command_that_a_page_lists_has_a_golden_page() {
    for command in COMMANDS {
        let text = page(command);
        let Some((_, listed)) = text.split_once("Commands:\n") else {
            continue;
        };
        for line in listed.lines().take_while(|line| !line.is_empty()) {
            let word = line.split_whitespace().next().unwrap();
            let full = format!("{command} {word}").trim().to_owned();
            assert!(
                word == "help" || COMMANDS.contains(&full.as_str()),
                "{full}"
            );
        }
    }
}

#[test]
fn a_help_page_starts_with_an_order_and_no_full_stop() {
    for command in COMMANDS.iter().filter(|command| !command.is_empty()) {
        let text = page(command);
        let first = text.lines().next().unwrap();
        assert!(
            first.chars().next().unwrap().is_uppercase(),
            "{command}: {first}"
        );
        assert!(!first.ends_with('.'), "{command}: {first}");
    }
}
