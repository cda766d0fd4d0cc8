//! Entries of master files, one after another (RFC 1035 section 5.1).

use super::finding::{Findings, Position, What};
use super::{Includes, check};
use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::rdata::lexer::{Lexer, Token};
use crate::namespace::rdata::{Rdata, period};
use crate::namespace::rtype::RecordType;

/// One record, without its owner, and where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) kind: RecordType,
    pub(super) ttl: Ttl,
    pub(super) rdata: Rdata,
    pub(super) position: Position,
}

/// Records that follow each other and share an owner.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) owner: Name,
    pub(super) records: Vec<Placed>,
}

/// Reads a zone from its files.
pub(super) struct Reader<'r, I> {
    pub(super) top: &'r Name,
    pub(super) includes: &'r I,
    pub(super) findings: &'r mut Findings,
    /// Of `$TTL`, or of an SOA without TTL; it outlives the file that sets it, as with named.
    pub(super) default_ttl: Option<Ttl>,
    pub(super) include_count: usize,
    last_ttl: Option<Ttl>,
    warned_inherited: bool,
    runs: Vec<Run>,
}

/// What holds within one file: it ends with the file (RFC 1035 section 5.1).
pub(super) struct Scope {
    pub(super) file: u32,
    pub(super) depth: usize,
    pub(super) origin: Name,
    pub(super) owner: Option<Name>,
    /// `$ORIGIN` came after the owner.
    pub(super) origin_is_new: bool,
}

impl<'r, I: Includes> Reader<'r, I> {
    /// A reader of the zone `top`.
    pub(super) fn new(top: &'r Name, includes: &'r I, findings: &'r mut Findings) -> Self {
        Self {
            top,
            includes,
            findings,
            default_ttl: None,
            include_count: 0,
            last_ttl: None,
            warned_inherited: false,
            runs: Vec::new(),
        }
    }

    /// Reads the zone whose first file has this content.
    pub(super) fn read_zone(mut self, bytes: &[u8]) -> Vec<Run> {
        let scope = Scope {
            file: 0,
            depth: 0,
            origin: self.top.clone(),
            owner: None,
            origin_is_new: false,
        };
        self.read_file(bytes, scope);
        self.runs
    }

    /// Reads all entries of one file; faulty ones are told and left out.
    pub(super) fn read_file(&mut self, bytes: &[u8], mut scope: Scope) {
        let mut lexer = Lexer::new(bytes);
        loop {
            if let Err(what) = self.read_entry(&mut lexer, &mut scope) {
                let position = Position {
                    file: scope.file,
                    line: lexer.line(),
                };
                self.findings.error(position, what);
            }
            if self.findings.is_full() || !lexer.next_entry() {
                return;
            }
        }
    }

    fn read_entry(&mut self, lexer: &mut Lexer<'_>, scope: &mut Scope) -> Result<(), What> {
        let indented = lexer.is_indented();
        let first = lexer.token()?;
        let position = Position {
            file: scope.file,
            line: lexer.line(),
        };
        match first {
            Token::End => return Ok(()),
            Token::Word(word) if word.starts_with(b"$") && !indented => {
                return self.read_directive(word, lexer, scope);
            }
            Token::Word(word) if indented => {
                self.inherit_owner(scope, position)?;
                return self.read_record(Some(word), lexer, scope, position);
            }
            Token::Quoted(word) if indented => return Err(unknown_type(word)),
            Token::Word(word) | Token::Quoted(word) => {
                let owner = parse_name(word, &scope.origin)?;
                if !owner.is_within(self.top) {
                    let owner = owner.clone();
                    self.findings.warn(position, What::OutOfZone { owner });
                }
                scope.owner = Some(owner);
                scope.origin_is_new = false;
            }
        }
        self.read_record(None, lexer, scope, position)
    }

    fn inherit_owner(&mut self, scope: &mut Scope, position: Position) -> Result<(), What> {
        let owner = scope.owner.as_ref().ok_or(What::NoOwner)?;
        if scope.origin_is_new {
            let owner = owner.clone();
            self.findings
                .warn(position, What::OwnerBeforeOrigin { owner });
            scope.origin_is_new = false;
        }
        Ok(())
    }

    /// Reads TTL, class, type and data; `first` is a word of them that was read already.
    fn read_record(
        &mut self,
        first: Option<&[u8]>,
        lexer: &mut Lexer<'_>,
        scope: &Scope,
        position: Position,
    ) -> Result<(), What> {
        let (ttl, kind) = self.read_ttl_and_type(first, lexer, position)?;
        let rdata = Rdata::read(kind, lexer, &scope.origin)?;
        let owner = scope.owner.as_ref().ok_or(What::NoOwner)?;
        let ttl = self.complete_ttl(ttl, kind, &rdata, position)?;
        self.add(
            owner,
            Placed {
                kind,
                ttl,
                rdata,
                position,
            },
        )
    }

    /// Reads TTL and class, each at most once and in either order, and the type.
    pub(super) fn read_ttl_and_type(
        &mut self,
        first: Option<&[u8]>,
        lexer: &mut Lexer<'_>,
        position: Position,
    ) -> Result<(Option<Ttl>, RecordType), What> {
        let (mut ttl, mut has_class) = (None, false);
        let mut given = first;
        loop {
            let word = match given.take() {
                Some(word) => word,
                None => match lexer.token()? {
                    Token::Word(word) => word,
                    Token::Quoted(word) => return Err(unknown_type(word)),
                    Token::End => return Err(What::NoType),
                },
            };
            if ttl.is_none() && word.first().is_some_and(u8::is_ascii_digit) {
                ttl = Some(self.parse_ttl(word, position)?);
            } else if !has_class && is_class(word)? {
                has_class = true;
            } else {
                return parse_type(word).map(|kind| (ttl, kind));
            }
        }
    }

    /// Reads a TTL with or without units.
    pub(super) fn parse_ttl(&mut self, word: &[u8], position: Position) -> Result<Ttl, What> {
        let secs = period(word).ok_or_else(|| What::BadTtl { found: shown(word) })?;
        if secs > Ttl::MAX.as_secs() {
            self.findings.warn(position, What::TtlTooLong { secs });
        }
        Ok(Ttl::from_secs(secs))
    }

    /// The TTL of a record: its own, `$TTL` (RFC 2308 section 4), the last record's (RFC 1035
    /// section 5.1), or for the SOA its minimum, as with named.
    pub(super) fn complete_ttl(
        &mut self,
        given: Option<Ttl>,
        kind: RecordType,
        rdata: &Rdata,
        position: Position,
    ) -> Result<Ttl, What> {
        if given.is_some() {
            self.last_ttl = given;
        }
        if let Some(ttl) = given.or(self.default_ttl) {
            return Ok(ttl);
        }
        if let Some(ttl) = self.last_ttl {
            if !self.warned_inherited {
                self.warned_inherited = true;
                self.findings.warn(position, What::TtlInherited);
            }
            return Ok(ttl);
        }
        let minimum = rdata
            .as_bytes()
            .last_chunk()
            .filter(|_| kind == RecordType::SOA);
        let minimum = minimum.ok_or(What::NoTtl)?;
        self.findings.warn(position, What::TtlFromSoa);
        let ttl = Ttl::from_secs(u32::from_be_bytes(*minimum));
        self.default_ttl = Some(ttl);
        Ok(ttl)
    }

    /// Keeps a record of the zone; one from outside was told with its owner and is left out.
    pub(super) fn add(&mut self, owner: &Name, record: Placed) -> Result<(), What> {
        if let Some(run) = self.runs.last_mut().filter(|run| run.owner == *owner) {
            check::record(self.top, owner, &record, self.findings)?;
            run.records.push(record);
        } else if owner.is_within(self.top) {
            check::record(self.top, owner, &record, self.findings)?;
            self.runs.push(Run {
                owner: owner.clone(),
                records: vec![record],
            });
        }
        Ok(())
    }
}

/// Reads an owner or origin.
pub(super) fn parse_name(word: &[u8], origin: &Name) -> Result<Name, What> {
    Name::parse(word, Some(origin)).map_err(|reason| What::Name {
        found: shown(word),
        reason,
    })
}

/// Reads a type that a zone may hold.
pub(super) fn parse_type(word: &[u8]) -> Result<RecordType, What> {
    let kind: Option<RecordType> = std::str::from_utf8(word)
        .ok()
        .and_then(|word| word.parse().ok());
    match kind {
        None => Err(unknown_type(word)),
        Some(kind) if kind.is_meta() => Err(What::MetaType(kind)),
        Some(kind) => Ok(kind),
    }
}

/// Whether the word is class IN; an error if it is another class (RFC 3597 section 5).
fn is_class(word: &[u8]) -> Result<bool, What> {
    if word.eq_ignore_ascii_case(b"IN") {
        return Ok(true);
    }
    let others: [&[u8]; 6] = [b"CH", b"CHAOS", b"HS", b"HESIOD", b"NONE", b"ANY"];
    let numbered = match word.split_at_checked(5) {
        Some((head, digits)) if head.eq_ignore_ascii_case(b"CLASS") => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<u16>().ok()),
        _ => None,
    };
    match numbered {
        Some(1) => Ok(true),
        None if !others.iter().any(|other| other.eq_ignore_ascii_case(word)) => Ok(false),
        _ => Err(What::Class { found: shown(word) }),
    }
}

fn unknown_type(word: &[u8]) -> What {
    What::UnknownType { found: shown(word) }
}

/// What a finding shows of a word: the start of it.
pub(super) fn shown(word: &[u8]) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    String::from_utf8_lossy(word)
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect()
}
