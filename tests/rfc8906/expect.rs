//! `Expect`: what an RFC allows as a reply.

use super::common::message::{AA, AD, CD, Message, RA, RD, TC, Z, rcode_text};

const SOA: u16 = 6;
const BADVERS: u16 = 16;
const DO: u16 = 0x8000;

/// Conditions on a reply; the reserved bits of header and OPT are always demanded to be clear.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expect {
    /// None: there must be no reply.
    rcodes: Vec<u16>,
    aa: Option<bool>,
    answers: Answers,
    opt: bool,
    flags: u16,
}

/// What the answer section must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Answers {
    #[default]
    Whatever,
    None,
    Soa,
}

/// One of these codes.
pub(crate) fn reply(rcodes: &[u16]) -> Expect {
    Expect {
        rcodes: rcodes.to_vec(),
        ..Expect::default()
    }
}

/// An authoritative answer.
pub(crate) fn answer() -> Expect {
    Expect {
        aa: Some(true),
        ..reply(&[0])
    }
}

/// An authoritative answer with the SOA.
pub(crate) fn soa() -> Expect {
    Expect {
        answers: Answers::Soa,
        ..answer()
    }
}

pub(crate) fn badvers() -> Expect {
    Expect {
        aa: Some(false),
        opt: true,
        answers: Answers::None,
        ..reply(&[BADVERS])
    }
}

pub(crate) fn formerr() -> Expect {
    reply(&[1]).without_records()
}

pub(crate) fn silence() -> Expect {
    Expect::default()
}

impl Expect {
    pub(crate) fn without_records(mut self) -> Self {
        self.answers = Answers::None;
        self
    }

    pub(crate) fn with_opt(mut self) -> Self {
        self.opt = true;
        self
    }

    pub(crate) fn with_flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    pub(crate) fn is_silence(&self) -> bool {
        self.rcodes.is_empty()
    }

    pub(crate) fn truncated(self) -> Self {
        self.with_flags(TC)
    }

    /// In words, for the table.
    pub(crate) fn text(&self) -> String {
        if self.is_silence() {
            return "no reply".into();
        }
        let codes: Vec<_> = self.rcodes.iter().map(|code| rcode_text(*code)).collect();
        let mut words = vec![codes.join(" or ")];
        match self.aa {
            Some(true) => words.push("aa".into()),
            Some(false) => words.push("no aa".into()),
            None => {}
        }
        for (flag, word) in [(TC, "tc"), (RD, "rd")] {
            words.extend((self.flags & flag != 0).then(|| word.into()));
        }
        words.extend((self.answers == Answers::Soa).then(|| "SOA".into()));
        words.extend((self.answers == Answers::None).then(|| "no answer".into()));
        words.extend(self.opt.then(|| "OPT version 0".into()));
        words.join(", ")
    }

    /// What a reply lacks; none if it is lawful.
    pub(crate) fn lacks(&self, reply: Option<&[u8]>) -> Option<&'static str> {
        let Some(bytes) = reply else {
            return (!self.is_silence()).then_some("there is no reply");
        };
        if self.is_silence() {
            return Some("there is a reply");
        }
        let Some(message) = Message::read(bytes) else {
            return Some("the reply is malformed");
        };
        let opt = message.opt.as_ref();
        let [answers, ..] = &message.sections;
        let checks = [
            (message.has(0x8000), "QR is not set"),
            (
                self.rcodes.contains(&message.rcode()),
                "the rcode is another",
            ),
            (
                self.aa.is_none_or(|aa| aa == message.has(AA)),
                "AA is wrong",
            ),
            (!message.has(Z), "the reserved header bit is set"),
            (
                message.flags & self.flags == self.flags,
                "a flag is missing",
            ),
            (
                self.answers != Answers::Soa || answers.iter().any(|row| row.kind == SOA),
                "there is no SOA",
            ),
            (
                self.answers != Answers::None || answers.is_empty(),
                "there is an answer",
            ),
            (!self.opt || opt.is_some(), "there is no OPT"),
            (
                opt.is_none_or(|opt| opt.version == 0),
                "the version is not 0",
            ),
            (
                opt.is_none_or(|opt| opt.flags & !DO == 0),
                "a reserved EDNS flag is set",
            ),
            (
                opt.is_none_or(|opt| opt.options.iter().all(|(code, _)| *code != 100)),
                "the unknown option came back",
            ),
        ];
        checks
            .into_iter()
            .find(|(met, _)| !met)
            .map(|(_, what)| what)
    }
}

/// A reply in words, for the table.
pub(crate) fn describe(reply: Option<&[u8]>) -> String {
    let Some(bytes) = reply else {
        return "no reply".into();
    };
    let Some(message) = Message::read(bytes) else {
        return "malformed".into();
    };
    let mut words = vec![rcode_text(message.rcode())];
    let flags = [
        (AA, "aa"),
        (TC, "tc"),
        (RD, "rd"),
        (RA, "ra"),
        (AD, "ad"),
        (CD, "cd"),
        (Z, "z"),
    ];
    let set = flags.iter().filter(|(flag, _)| message.has(*flag));
    words.extend(set.map(|(_, word)| (*word).to_owned()));
    let [answers, ..] = &message.sections;
    if answers.iter().any(|row| row.kind == SOA) && answers.len() == 1 {
        words.push("SOA".into());
    } else if !answers.is_empty() {
        words.push(format!("{} records", answers.len()));
    }
    if let Some(opt) = &message.opt {
        words.push("OPT".into());
        words.extend((opt.flags & DO != 0).then(|| "do".into()));
        let codes: Vec<_> = opt
            .options
            .iter()
            .map(|(code, _)| code.to_string())
            .collect();
        words.extend((!codes.is_empty()).then(|| format!("option {}", codes.join(" "))));
    }
    words.join(", ")
}
