//! Which side answers: every outcome under every order, and what may never leave the node.
//!
//! Each test asks a whole node in this process over the wire format; legacy DNS is a script that
//! remembers what it was asked.

#![allow(
    clippy::allow_attributes,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod chains;
mod orders;
mod rules;

use support::talk::Talk;

/// What a question must come to, as one line; the lines of a reply are joined by ` | `.
fn check(talk: &Talk, what: &str, question: &str, expected: &str) {
    let got = talk.ask(question).join(" | ");
    assert_eq!(got, expected, "{what}: {question}");
}
