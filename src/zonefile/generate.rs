//! `$GENERATE`: records from a counter and two templates, as BIND has it.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::Includes;
use super::directive::{argument, end};
use super::finding::{Position, What};
use super::reader::{Placed, Reader, Scope, parse_name, shown};
use crate::base::limits::ZONE_GENERATE_RECORDS_MAX;
use crate::namespace::rdata::Rdata;
use crate::namespace::rdata::lexer::Lexer;

const GENERATE: &str = "$GENERATE";
const FORM: &str = "range owner [TTL] [class] type data";
/// BIND keeps counters in 31 bits.
const COUNTER_MAX: i64 = 0x7fff_ffff;
/// No label or string is longer.
const WIDTH_MAX: usize = 255;

impl<I: Includes> Reader<'_, I> {
    /// Reads what follows `$GENERATE` and makes its records.
    pub(super) fn read_generate(
        &mut self,
        lexer: &mut Lexer<'_>,
        scope: &Scope,
        position: Position,
    ) -> Result<(), What> {
        let range = argument(lexer, GENERATE, FORM)?;
        let (counters, step) = parse_range(range).ok_or_else(|| What::Range {
            found: shown(range),
        })?;
        let counters = counters.step_by(step);
        if counters.size_hint().0 > ZONE_GENERATE_RECORDS_MAX {
            return Err(What::GenerateCount);
        }
        let owners = argument(lexer, GENERATE, FORM)?;
        let (ttl, kind) = self.read_ttl_and_type(None, lexer, position)?;
        let data = unquote(argument(lexer, GENERATE, FORM)?);
        end(lexer, GENERATE)?;
        for counter in counters {
            let owner = parse_name(&expand(owners, counter)?, &scope.origin)?;
            if !owner.is_within(self.top) {
                self.findings.warn(position, What::OutOfZone { owner });
                return Ok(());
            }
            let text = expand(&data, counter)?;
            let rdata = Rdata::read(kind, &mut Lexer::new(&text), &scope.origin)?;
            let ttl = self.complete_ttl(ttl, kind, &rdata, position)?;
            self.add(
                &owner,
                Placed {
                    kind,
                    ttl,
                    rdata,
                    position,
                },
            )?;
        }
        Ok(())
    }
}

/// Reads `start-stop` or `start-stop/step`.
fn parse_range(word: &[u8]) -> Option<(RangeInclusive<i64>, usize)> {
    let text = std::str::from_utf8(word).ok()?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|&number: &i64| digits && number <= COUNTER_MAX)
    };
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    let step = usize::try_from(step).ok().filter(|&step| step > 0)?;
    (start <= stop).then_some((start..=stop, step))
}

/// Quotes inside the quoted template start strings of the record's data.
fn unquote(template: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'"', after @ ..]) => {
                out.push(b'"');
                rest = after;
            }
            (b'\\', [next, after @ ..]) => {
                out.extend_from_slice(&[b'\\', *next]);
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Puts the counter where `$` and `${offset,width,base}` stand; `$$` is a dollar sign.
fn expand(template: &[u8], counter: i64) -> Result<Vec<u8>, What> {
    let mut out = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [next, after @ ..]) => {
                out.extend_from_slice(&[b'\\', *next]);
                rest = after;
            }
            (b'$', [b'$', after @ ..]) => {
                out.push(b'$');
                rest = after;
            }
            (b'$', [b'{', after @ ..]) => {
                let written = after
                    .iter()
                    .position(|&byte| byte == b'}')
                    .and_then(|length| {
                        let (modifier, after) = after.split_at_checked(length)?;
                        rest = after.get(1..)?;
                        write_modified(modifier, counter)
                    });
                let written = written.ok_or_else(|| What::Modifier {
                    found: shown(template),
                })?;
                out.extend_from_slice(written.as_bytes());
            }
            (b'$', _) => out.extend_from_slice(counter.to_string().as_bytes()),
            _ => out.push(byte),
        }
    }
    Ok(out)
}

/// Writes the counter as `offset[,width[,base]]` says.
fn write_modified(modifier: &[u8], counter: i64) -> Option<String> {
    let mut parts = std::str::from_utf8(modifier).ok()?.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().unwrap_or("0").parse().ok()?;
    let base = parts.next().unwrap_or("d");
    // A negative number is written in hexadecimal as its 32 bits.
    let value = i32::try_from(counter.checked_add(offset)?).ok()?;
    if parts.next().is_some() || width > WIDTH_MAX {
        return None;
    }
    let mut out = String::new();
    match base {
        "d" => write!(out, "{value:0width$}"),
        "o" => write!(out, "{value:0width$o}"),
        "x" => write!(out, "{value:0width$x}"),
        "X" => write!(out, "{value:0width$X}"),
        "n" => {
            write_nibbles(value, width, &mut out);
            Ok(())
        }
        "N" => {
            write_nibbles(value, width, &mut out);
            out.make_ascii_uppercase();
            Ok(())
        }
        _ => return None,
    }
    .ok()?;
    Some(out)
}

/// Hexadecimal digits from the lowest up, a dot after each but the last: for ip6.arpa. The width
/// counts the dots, as with BIND.
fn write_nibbles(value: i32, width: usize, out: &mut String) {
    let mut rest = value.cast_unsigned();
    let mut width = width;
    loop {
        let _ = write!(out, "{:x}", rest & 15);
        rest >>= 4;
        width = width.saturating_sub(1);
        if rest == 0 && width == 0 {
            return;
        }
        out.push('.');
        width = width.saturating_sub(1);
        if rest == 0 && width == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, counter: i64, expected: &str) {
        let got = expand(template.as_bytes(), counter).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), expected, "{template}");
    }

    #[test]
    fn templates_write_the_counter_as_bind_does() {
        check("h$", 7, "h7");
        check("h${10,3,d}", 6, "h016");
        check("$$ \\$ ${-1} ${0,2,x}", 0, "$ \\$ -1 00");
        check("${-20,3}", 17, "-03");
        check("${0,5,n}", 1, "1.0.0");
        check("${0,4,n}", 1, "1.0.");
        check("${0,3,N}", 26, "A.1");
        check("${0,0,o}", 8, "10");
        assert!(expand(b"${a}", 1).is_err());
        assert!(expand(b"${0", 1).is_err());
        assert!(expand(b"${0,1,q}", 1).is_err());
    }

    #[test]
    fn ranges_count_upwards() {
        assert_eq!(parse_range(b"1-3"), Some((1..=3, 1)));
        assert_eq!(parse_range(b"010-20/5"), Some((10..=20, 5)));
        for bad in [
            &b"3-1"[..],
            b"1-4/0",
            b"1",
            b"-1-3",
            b"1-+3",
            b"1-99999999999",
        ] {
            assert_eq!(parse_range(bad), None);
        }
    }
}
