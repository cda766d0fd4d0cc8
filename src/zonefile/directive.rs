//! `$ORIGIN`, `$TTL` and `$INCLUDE` (RFC 1035 section 5.1, RFC 2308 section 4).

use super::finding::{Position, What};
use super::reader::{Reader, Scope, parse_name, shown};
use super::{BadInclude, Includes};
use crate::base::limits::{ZONE_INCLUDE_DEPTH_MAX, ZONE_INCLUDES_MAX};
use crate::namespace::rdata::lexer::{Lexer, Token};

const ORIGIN: &str = "$ORIGIN";
const TTL: &str = "$TTL";
const INCLUDE: &str = "$INCLUDE";
const GENERATE: &str = "$GENERATE";

impl<I: Includes> Reader<'_, I> {
    /// Reads the rest of the directive that `word` starts.
    pub(super) fn read_directive(
        &mut self,
        word: &[u8],
        lexer: &mut Lexer<'_>,
        scope: &mut Scope,
    ) -> Result<(), What> {
        let position = Position {
            file: scope.file,
            line: lexer.line(),
        };
        if word.eq_ignore_ascii_case(ORIGIN.as_bytes()) {
            let origin = argument(lexer, ORIGIN, "name")?;
            scope.origin = parse_name(origin, &scope.origin)?;
            scope.origin_is_new = scope.owner.is_some();
            return end(lexer, ORIGIN);
        }
        if word.eq_ignore_ascii_case(TTL.as_bytes()) {
            let ttl = argument(lexer, TTL, "time")?;
            self.default_ttl = Some(self.parse_ttl(ttl, position)?);
            return end(lexer, TTL);
        }
        if word.eq_ignore_ascii_case(INCLUDE.as_bytes()) {
            return self.read_include(lexer, scope);
        }
        if word.eq_ignore_ascii_case(GENERATE.as_bytes()) {
            return self.read_generate(lexer, scope, position);
        }
        Err(What::UnknownDirective { found: shown(word) })
    }

    fn read_include(&mut self, lexer: &mut Lexer<'_>, scope: &Scope) -> Result<(), What> {
        let path = argument(lexer, INCLUDE, "file [origin]")?;
        let origin = match lexer.token()? {
            Token::End => scope.origin.clone(),
            Token::Word(word) | Token::Quoted(word) => {
                let origin = parse_name(word, &scope.origin)?;
                end(lexer, INCLUDE)?;
                origin
            }
        };
        if scope.depth >= ZONE_INCLUDE_DEPTH_MAX {
            return Err(What::IncludeDepth);
        }
        self.include_count += 1;
        if self.include_count > ZONE_INCLUDES_MAX {
            return Err(What::IncludeCount);
        }
        let text = std::str::from_utf8(path).map_err(|_| BadInclude::NotFound);
        let from = self.findings.file(scope.file);
        let included = text.and_then(|text| self.includes.open(&from, text));
        let included = included.map_err(|reason| What::Include {
            path: shown(path),
            reason,
        })?;
        let inner = Scope {
            file: self.findings.add_file(&included.name),
            depth: scope.depth + 1,
            origin,
            owner: scope.owner.clone(),
            origin_is_new: false,
        };
        self.read_file(&included.bytes, inner);
        Ok(())
    }
}

/// The next word of a directive, which must have one.
pub(super) fn argument<'a>(
    lexer: &mut Lexer<'a>,
    directive: &'static str,
    form: &'static str,
) -> Result<&'a [u8], What> {
    match lexer.token()? {
        Token::Word(word) | Token::Quoted(word) => Ok(word),
        Token::End => Err(What::DirectiveEnds { directive, form }),
    }
}

/// Checks that nothing follows.
pub(super) fn end(lexer: &mut Lexer<'_>, directive: &'static str) -> Result<(), What> {
    match lexer.token()? {
        Token::End => Ok(()),
        Token::Word(word) | Token::Quoted(word) => Err(What::DirectiveExtra {
            directive,
            found: shown(word),
        }),
    }
}
