//! Scripts: a world is built and asked by lines of text.
//!
//! A line is a command, an indented line belongs to the command above it, `#` starts a comment.
//!
//! ```text
//! APEX name | SCOPE name | ELSEWHERE name        founds; ELSEWHERE is held by no node here
//! PUT name type data | data                      one record set
//! REMOVE name type | RETIRE name | RESERVE name
//! RENAME from to [subtree] | MOVE from to
//! POLICY scope [PREFIX=allow|refuse|hide …]      without rules everybody may ask
//! ZONE origin + indented text | DROP-ZONE origin
//! RULE suffix order [on=absent,unreachable] [map=name] [eligible=name,name] [dnssec] [depth=n] [audit]
//! NO-RULE suffix | ROUTE suffix
//! UPSTREAM name type -> NOERROR|NXDOMAIN|TIMEOUT|SERVFAIL [ad] + indented records
//! BREAK-LEGACY | MEND-LEGACY | PASS-TIME 30s|2h|3d
//! LET word = uid name                            $word stands for it from then on
//! REFUSE command                                 which must be refused; EXPECT gives the reason
//! QUERY name [type] [from=address] [rd=0] [do] [cd]
//! EXPECT code flags + indented lines             what the last QUERY or REFUSE came to
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kedge::base::time::Ttl;
use kedge::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use kedge::governance::op::Op;
use kedge::governance::policy::Policy;
use kedge::index::place::{find, held_apexes};
use kedge::index::view::IndexView as _;
use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::Record;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::uid::Uid;
use kedge::resolution::fallback::{Order, Rule};
use kedge::resolution::legacy::{LegacyCode, LegacyFailure};
use kedge::service::ports::Store;

use super::legacy::{Said, empty, root_soa};
use super::wire::Ask;
use super::{MemoryStore, World, name};

/// A world and the words that a script gave.
pub struct Talk<S: Store = MemoryStore> {
    pub world: World<S>,
    words: BTreeMap<String, String>,
}

impl<S: Store + Default> Default for Talk<S> {
    fn default() -> Self {
        Self {
            world: World::default(),
            words: BTreeMap::new(),
        }
    }
}

/// A command with the lines that belong to it.
pub struct Command<'t> {
    line: usize,
    pub head: &'t str,
    pub body: Vec<&'t str>,
}

/// What a whole script came to.
#[derive(Debug, Default)]
pub struct Ran {
    /// What was expected and did not come, by line.
    pub faults: Vec<String>,
    /// The script with what really came.
    pub rewritten: String,
}

impl Talk {
    /// A world built by a script without questions.
    pub fn with(script: &str) -> Self {
        let mut talk = Self::default();
        talk.then(script);
        talk
    }
}

impl<S: Store + Default> Talk<S> {
    /// Goes on with a script without questions.
    pub fn then(&mut self, script: &str) -> &mut Self {
        for command in commands(script) {
            self.carry_out(&command);
        }
        self
    }

    /// Carries out a command that is no question.
    pub fn carry_out(&mut self, command: &Command<'_>) {
        let came = self.obey(command);
        assert!(came.is_none(), "a script for `then` asks: {}", command.head);
    }

    /// Asks `name [type] [from=address] [rd=0] [do] [cd]`.
    pub fn ask(&self, question: &str) -> Vec<String> {
        self.world.ask(&question_of(&self.spoken(question)))
    }

    /// Runs a script with its expectations.
    pub fn run(&mut self, script: &str) -> Ran {
        let mut ran = Ran::default();
        let mut came: Option<Vec<String>> = None;
        let mut shown_until = 0;
        let lines: Vec<&str> = script.lines().collect();
        for command in commands(script) {
            let first = command.line - 1;
            for line in &lines[shown_until..first] {
                writeln!(ran.rewritten, "{line}").unwrap();
            }
            shown_until = first;
            if let Some(head) = command.head.strip_prefix("EXPECT") {
                shown_until += 1 + command.body.len();
                let got = came.take().expect("EXPECT follows QUERY or REFUSE");
                let got: Vec<String> = got.iter().map(|line| self.in_words(line)).collect();
                let mut wanted = vec![head.trim().to_owned()];
                wanted.extend(command.body.iter().map(|line| line.trim().to_owned()));
                if wanted != got {
                    let (wanted, got) = (wanted.join("\n    "), got.join("\n    "));
                    let line = command.line;
                    let fault =
                        format!("line {line}: expected\n    {wanted}\n  but got\n    {got}");
                    ran.faults.push(fault);
                }
                writeln!(ran.rewritten, "EXPECT {}", got.join("\n  ")).unwrap();
            } else {
                came = self.obey(&command);
            }
        }
        for line in &lines[shown_until..] {
            writeln!(ran.rewritten, "{line}").unwrap();
        }
        ran
    }

    /// A line with its words put in.
    pub fn spoken(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (word, meaning) in &self.words {
            line = line.replace(&format!("${word}"), meaning);
        }
        line
    }

    /// A line with what words stand for put into words.
    fn in_words(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (word, meaning) in &self.words {
            line = line.replace(meaning, &format!("${word}"));
        }
        line
    }

    /// Carries a command out; what a question or a refusal came to is given back.
    fn obey(&mut self, command: &Command<'_>) -> Option<Vec<String>> {
        let head = self.spoken(command.head);
        let (verb, rest) = head.split_once(' ').unwrap_or((&head, ""));
        match verb {
            "QUERY" => return Some(self.world.ask(&question_of(rest))),
            "REFUSE" => {
                let done = self.change(rest).expect("REFUSE takes a change");
                return Some(vec![done.expect_err("the change was not refused")]);
            }
            _ => {}
        }
        if let Some(done) = self.change(&head) {
            done.unwrap_or_else(|error| panic!("line {}: {head}: {error}", command.line));
            return None;
        }
        self.arrange(verb, rest, &command.body);
        None
    }

    /// A change of the index; none if the line is something else.
    fn change(&self, line: &str) -> Option<Result<(), String>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let world = &self.world;
        Some(match words.as_slice() {
            ["APEX", apex] => {
                world.found_apex(&name(apex));
                Ok(())
            }
            ["SCOPE", scope] => world.found_scope(&name(scope)),
            ["ELSEWHERE", scope] => world.delegate_elsewhere(&name(scope)),
            ["PUT", owner, kind, ..] => {
                let kind: RecordType = kind.parse().unwrap();
                let data = line.splitn(4, ' ').nth(3).expect("data");
                let records: Vec<&str> = data.split('|').map(str::trim).collect();
                world.put(&name(owner), kind, &records)
            }
            ["REMOVE", owner, kind] => world.remove(&name(owner), kind.parse().unwrap()),
            ["RETIRE", owner] => world.retire(&name(owner)),
            ["RENAME", from, to] => world.rename(&name(from), &name(to), false),
            ["RENAME", from, to, "subtree"] => world.rename(&name(from), &name(to), true),
            ["MOVE", from, to] => world.relocate(&name(from), &name(to)),
            ["RESERVE", owner] => self.reserve(&name(owner)),
            ["POLICY", scope, rules @ ..] => {
                let policy = Policy {
                    access: access(rules),
                    ..Policy::default()
                };
                world.set_policy(&name(scope), policy)
            }
            _ => return None,
        })
    }

    fn reserve(&self, owner: &Name) -> Result<(), String> {
        let snapshot = self.world.store.latest();
        let apexes = held_apexes(snapshot.as_ref()).unwrap();
        let place = find(snapshot.as_ref(), &apexes, owner).unwrap();
        let op = Op::Reserve {
            path: place.path,
            uid: Uid::from_bytes([1; 16]),
            from: place.scope.uid,
        };
        self.world.submit(owner, op)
    }

    /// Arranges what is around the index.
    fn arrange(&mut self, verb: &str, rest: &str, body: &[&str]) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (verb, words.as_slice()) {
            ("ZONE", [origin]) => {
                let lines = body
                    .iter()
                    .map(|line| line.strip_prefix("  ").unwrap_or(line));
                let text = lines.collect::<Vec<_>>().join("\n") + "\n";
                self.world.add_zone(&name(origin), &text);
            }
            ("DROP-ZONE", [origin]) => {
                self.world.zones.remove(&name(origin));
            }
            ("RULE", [suffix, order, settings @ ..]) => {
                let new = rule(suffix, order, settings);
                self.world.rules.retain(|old| old.suffix != new.suffix);
                self.world.rules.push(new);
            }
            ("NO-RULE", [suffix]) => {
                let suffix = name(suffix);
                self.world.rules.retain(|rule| rule.suffix != suffix);
            }
            ("ROUTE", [suffix]) => self.world.routes.push(name(suffix)),
            ("UPSTREAM", [owner, kind, "->", code, flags @ ..]) => {
                let said = said(code, flags, body);
                self.world
                    .legacy
                    .say(name(owner), kind.parse().unwrap(), said);
            }
            ("BREAK-LEGACY", []) => self.world.legacy.set_broken(true),
            ("MEND-LEGACY", []) => self.world.legacy.set_broken(false),
            ("PASS-TIME", [span]) => self.world.clock.pass_secs(secs(span)),
            ("LET", [word, "=", "uid", owner]) => {
                let head = self.world.head(&name(owner)).expect("a bound entry");
                self.words.insert((*word).to_owned(), head.uid.to_string());
            }
            _ => panic!("no such command: {verb} {rest}"),
        }
        self.world.reload();
    }
}

/// The commands of a script, each with the lines that belong to it.
pub fn commands(script: &str) -> Vec<Command<'_>> {
    let mut commands: Vec<Command<'_>> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match commands.last_mut() {
            Some(above) if line.starts_with(' ') => above.body.push(line),
            _ => commands.push(Command {
                line: index + 1,
                head: line.trim_end(),
                body: Vec::new(),
            }),
        }
    }
    commands
}

/// A question as `QUERY` writes it.
pub fn question_of(text: &str) -> Ask {
    let mut words = text.split_whitespace();
    let mut ask = Ask {
        name: name(words.next().expect("a name")),
        kind: RecordType::A,
        from: [127, 0, 0, 1].into(),
        recursion_desired: true,
        dnssec_ok: false,
        checking_disabled: false,
    };
    for word in words {
        match (word, word.split_once('=')) {
            ("rd=0", _) => ask.recursion_desired = false,
            ("do", _) => ask.dnssec_ok = true,
            ("cd", _) => ask.checking_disabled = true,
            (_, Some(("from", address))) => ask.from = address.parse().unwrap(),
            (kind, _) => ask.kind = kind.parse().unwrap(),
        }
    }
    ask
}

/// Tests in order, each `TEST=verdict` with `+` for the space in it, or `PREFIX=verdict`; what none
/// matches is refused.
fn access(rules: &[&str]) -> AccessGraph {
    let node = |(index, text): (usize, &&str)| {
        let (test, verdict) = text.split_once('=').expect("TEST=verdict");
        let test = match test.split_once('+') {
            Some((word, rest)) => format!("{word} {}", rest.replace('+', " ")),
            None => format!("source {test}"),
        };
        AccessNode {
            name: String::new(),
            test: test.parse().unwrap(),
            then: Next::Verdict(verdict.parse().unwrap()),
            otherwise: if index + 1 < rules.len() {
                Next::Node(u16::try_from(index + 1).unwrap())
            } else {
                Next::Verdict(Verdict::Refuse)
            },
        }
    };
    AccessGraph::new(rules.iter().enumerate().map(node).collect()).unwrap()
}

/// A rule as `RULE` writes it.
pub fn rule(suffix: &str, order: &str, settings: &[&str]) -> Rule {
    let order = match order {
        "governed-only" => Order::GovernedOnly,
        "governed-first" => Order::GovernedFirst,
        "legacy-first" => Order::LegacyFirst,
        "legacy-only" => Order::LegacyOnly,
        other => panic!("no order: {other}"),
    };
    let mut rule = Rule::plain(name(suffix), order);
    for setting in settings {
        match (*setting, setting.split_once('=')) {
            ("dnssec", _) => rule.require_dnssec = true,
            ("audit", _) => rule.audit = true,
            (_, Some(("on", outcomes))) => {
                rule.fall_through.absent = outcomes.contains("absent");
                rule.fall_through.unreachable = outcomes.contains("unreachable");
            }
            (_, Some(("map", to))) => rule.map_to = Some(name(to)),
            (_, Some(("eligible", zones))) => {
                rule.eligible_zones = zones.split(',').map(name).collect();
            }
            (_, Some(("depth", count))) => rule.handovers_max = count.parse().unwrap(),
            _ => panic!("no setting of a rule: {setting}"),
        }
    }
    rule
}

fn said(code: &str, flags: &[&str], body: &[&str]) -> Said {
    let code = match code {
        "NOERROR" => LegacyCode::NoError,
        "NXDOMAIN" => LegacyCode::NxDomain,
        "TIMEOUT" => return Err(LegacyFailure::Timeout),
        "NONE" => return Err(LegacyFailure::NoUpstream),
        rcode => {
            return Err(LegacyFailure::Code {
                upstream: "script".to_owned(),
                rcode: rcode.to_owned(),
            });
        }
    };
    let mut reply = empty(code, flags.contains(&"ad"));
    reply.answers = body.iter().map(|line| record(line)).collect();
    if reply.answers.is_empty() || code == LegacyCode::NxDomain {
        reply.authorities.push(root_soa());
    }
    Ok(reply)
}

/// `owner ttl type data`.
fn record(line: &str) -> Record {
    let mut parts = line.trim().splitn(4, ' ');
    let mut part = || parts.next().expect("owner ttl type data");
    let (owner, ttl) = (name(part()), part().parse().unwrap());
    let kind: RecordType = part().parse().unwrap();
    Record {
        owner,
        kind,
        ttl: Ttl::from_secs(ttl),
        rdata: Rdata::parse(kind, part(), &Name::root()).unwrap(),
    }
}

fn secs(span: &str) -> u64 {
    let (count, unit) = span.split_at(span.len() - 1);
    let count: u64 = count.parse().unwrap();
    match unit {
        "s" => count,
        "m" => count * 60,
        "h" => count * 3_600,
        "d" => count * 86_400,
        _ => panic!("no span of time: {span}"),
    }
}
