//! `Lexer`: master-file text to words; quotes, escapes, comments and parentheses are known here only.
//!
//! RFC 1035 section 5.1. Words keep their escapes, because a backslashed dot means something else
//! to a name than to a character string; nothing is copied.

/// One word of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A bare word, escapes kept.
    Word(&'a [u8]),
    /// What stood between quotes, escapes kept.
    Quoted(&'a [u8]),
    /// The end of the entry; stays until [`Lexer::next_entry`].
    End,
}

/// Why text cannot be split into words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// A quote that its line does not close.
    #[error("a quoted string is not closed on its line")]
    OpenQuote,
    /// A parenthesis that the text does not close.
    #[error("the parenthesis opened in line {line} is never closed")]
    OpenParenthesis {
        /// Where it was opened.
        line: u32,
    },
    /// A closing parenthesis too many.
    #[error("a parenthesis is closed that was not opened")]
    StrayParenthesis,
}

/// Splits text into words, entry by entry.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    rest: &'a [u8],
    line: u32,
    depth: u32,
    opened: u32,
}

impl<'a> Lexer<'a> {
    /// Reads from the start of `text`, which is line 1.
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            line: 1,
            depth: 0,
            opened: 0,
        }
    }

    /// The line of the word read last.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Whether the entry starts with white space, which stands for the last owner.
    pub fn is_indented(&self) -> bool {
        matches!(self.rest.first(), Some(b' ' | b'\t'))
    }

    /// The next word of the entry.
    pub fn token(&mut self) -> Result<Token<'a>, BadText> {
        self.scan(false)
    }

    /// The next word, where `key="some value"` is one word (RFC 9460 section 2.1).
    pub fn pair(&mut self) -> Result<Token<'a>, BadText> {
        self.scan(true)
    }

    /// Goes to the next line, leaving out what is left of this entry; `false` at the end.
    pub fn next_entry(&mut self) -> bool {
        // Every call consumes something or answers `End`, so faulty words only pass by.
        while self.token() != Ok(Token::End) {}
        match self.rest {
            [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => {
                self.line = self.line.saturating_add(1);
                self.rest = rest;
            }
            [_, rest @ ..] => self.rest = rest,
            [] => {}
        }
        !self.rest.is_empty()
    }

    fn scan(&mut self, pairs: bool) -> Result<Token<'a>, BadText> {
        loop {
            let Some((&byte, tail)) = self.rest.split_first() else {
                return self.end();
            };
            match byte {
                b'\n' | b'\r' if self.depth == 0 => return Ok(Token::End),
                b'\n' => self.line = self.line.saturating_add(1),
                b' ' | b'\t' | b'\r' => {}
                b';' => {
                    self.skip_comment();
                    continue;
                }
                b'(' => {
                    if self.depth == 0 {
                        self.opened = self.line;
                    }
                    self.depth = self.depth.saturating_add(1);
                }
                b')' => {
                    self.rest = tail;
                    self.depth = self.depth.checked_sub(1).ok_or(BadText::StrayParenthesis)?;
                    continue;
                }
                b'"' => {
                    self.rest = tail;
                    return self.quoted().map(Token::Quoted);
                }
                _ => return self.word(pairs).map(Token::Word),
            }
            self.rest = tail;
        }
    }

    fn end(&mut self) -> Result<Token<'a>, BadText> {
        if self.depth == 0 {
            return Ok(Token::End);
        }
        self.depth = 0;
        Err(BadText::OpenParenthesis { line: self.opened })
    }

    fn skip_comment(&mut self) {
        let end = self.rest.iter().position(|&byte| ends_line(byte));
        self.rest = end.and_then(|at| self.rest.get(at..)).unwrap_or_default();
    }

    /// Reads up to the closing quote and past it.
    fn quoted(&mut self) -> Result<&'a [u8], BadText> {
        let text = self.rest;
        let mut length = 0;
        while let Some((&byte, tail)) = self.rest.split_first() {
            match byte {
                // A bare carriage return is part of the string, as with named.
                b'\n' => return Err(BadText::OpenQuote),
                b'"' => {
                    self.rest = tail;
                    return Ok(text.get(..length).unwrap_or_default());
                }
                b'\\' if tail.first().is_some_and(|&next| !ends_line(next)) => {
                    self.rest = tail.get(1..).unwrap_or_default();
                    length += 2;
                }
                _ => {
                    self.rest = tail;
                    length += 1;
                }
            }
        }
        Err(BadText::OpenQuote)
    }

    fn word(&mut self, pairs: bool) -> Result<&'a [u8], BadText> {
        let text = self.rest;
        let mut last = 0;
        while let Some((&byte, tail)) = self.rest.split_first() {
            match byte {
                b'"' if pairs && last == b'=' => {
                    self.rest = tail;
                    self.quoted()?;
                    break;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'(' | b')' | b'"' => break,
                b'\\' if tail.first().is_some_and(|&next| !ends_line(next)) => {
                    self.rest = tail.get(1..).unwrap_or_default();
                    last = 0;
                }
                _ => {
                    self.rest = tail;
                    last = byte;
                }
            }
        }
        let length = text.len() - self.rest.len();
        Ok(text.get(..length).unwrap_or_default())
    }
}

fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(u32, Vec<String>)> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut entries = Vec::new();
        loop {
            let mut words = Vec::new();
            loop {
                match lexer.token() {
                    Ok(Token::Word(word)) => words.push(String::from_utf8_lossy(word).into()),
                    Ok(Token::Quoted(word)) => {
                        words.push(format!("<{}>", String::from_utf8_lossy(word)));
                    }
                    Ok(Token::End) => break,
                    Err(bad) => words.push(format!("!{bad}")),
                }
            }
            if !words.is_empty() {
                entries.push((lexer.line(), words));
            }
            if !lexer.next_entry() {
                return entries;
            }
        }
    }

    #[test]
    fn entries_span_lines_only_inside_parentheses() {
        let text = "a b;c\r\nd ( e ; (\n f)g\n\n\"x;y\\\"\" h\\ i\n";
        let shown = entries(text);
        assert_eq!(shown[0], (1, vec!["a".into(), "b".into()]));
        assert_eq!(shown[1].0, 3);
        assert_eq!(shown[1].1, ["d", "e", "f", "g"]);
        assert_eq!(shown[2].0, 5);
        assert_eq!(shown[2].1, ["<x;y\\\">", "h\\ i"]);
    }

    #[test]
    fn a_carriage_return_ends_words_but_not_strings() {
        assert_eq!(entries("a\rb \"c\rd\"\r\n")[1].1, ["b", "<c\rd>"]);
        assert_eq!(
            entries("\"a\r\nb")[0].1,
            ["!a quoted string is not closed on its line"]
        );
    }

    #[test]
    fn what_is_not_closed_is_told() {
        assert_eq!(
            entries("a \"b\nc")[0].1,
            ["a", "!a quoted string is not closed on its line"]
        );
        assert_eq!(
            entries("a )b")[0].1,
            ["a", "!a parenthesis is closed that was not opened", "b"]
        );
        assert_eq!(
            entries("\na (b\nc")[0].1,
            [
                "a",
                "b",
                "c",
                "!the parenthesis opened in line 2 is never closed"
            ]
        );
    }

    #[test]
    fn a_pair_keeps_its_quoted_value() {
        let mut lexer = Lexer::new(b"a=\"b c\" d\\=\"e\"");
        assert_eq!(lexer.pair(), Ok(Token::Word(b"a=\"b c\"")));
        assert_eq!(lexer.pair(), Ok(Token::Word(b"d\\=")));
        assert_eq!(lexer.pair(), Ok(Token::Quoted(b"e")));
        let mut lexer = Lexer::new(b"a=\"b c\"");
        assert_eq!(lexer.token(), Ok(Token::Word(b"a=")));
        assert_eq!(lexer.token(), Ok(Token::Quoted(b"b c")));
    }
}
