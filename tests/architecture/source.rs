//! `SourceFile`: a Rust file as the rules see it: code without comments and literals, the module
//! it is, and the paths it names.

/// Generics, grouped imports and inline modules nest; real code stays far below.
const NESTING_MAX: usize = 16;

/// One file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// The path from the repository's root, with `/`.
    pub(crate) name: String,
    /// What is written.
    pub(crate) text: String,
    /// The same length and lines, comments and literals blanked.
    pub(crate) code: String,
}

impl SourceFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            code: blank(text),
        }
    }

    /// The path of the module below the crate's root: `src/a/b.rs` and `src/a/b/mod.rs` are a, b.
    /// None for files outside `src`, empty for the roots.
    pub(crate) fn module(&self) -> Option<Vec<&str>> {
        let inside = self.name.strip_prefix("src/")?.strip_suffix(".rs")?;
        if matches!(inside, "lib" | "main") {
            return Some(Vec::new());
        }
        let inside = inside.strip_suffix("/mod").unwrap_or(inside);
        Some(inside.split('/').collect())
    }

    /// The modules declared in files of their own.
    pub(crate) fn declared(&self) -> Vec<String> {
        let mut found = Vec::new();
        for at in words(&self.code, "mod") {
            let rest = self.code.get(at + 3..).unwrap_or_default().trim_start();
            let (name, rest) = ident(rest);
            if !name.is_empty() && rest.trim_start().starts_with(';') {
                found.push(name.to_owned());
            }
        }
        found
    }

    /// Every path that begins at `crate`, `kedge`, or climbs with `super`, as segments from the
    /// crate's root, with its line.
    pub(crate) fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let module = self.module().unwrap_or_default();
        let mut found = Vec::new();
        for root in ["crate", "kedge"] {
            for at in words(&self.code, root) {
                let rest = self.code.get(at + root.len()..).unwrap_or_default();
                if let Some(rest) = rest.strip_prefix("::") {
                    self.spread(at, &[], rest, &mut found);
                }
            }
        }
        for at in words(&self.code, "super") {
            // The climb is read from its first step.
            if self.code.get(..at).is_some_and(|s| s.ends_with("::")) {
                continue;
            }
            let mut rest = self.code.get(at..).unwrap_or_default();
            let mut steps = 0;
            while let Some(next) = rest.strip_prefix("super::") {
                rest = next;
                steps += 1;
            }
            let mut here: Vec<_> = module.iter().map(|part| (*part).to_owned()).collect();
            here.extend(self.inline_modules(at));
            here.truncate(here.len().saturating_sub(steps));
            self.spread(at, &here, rest, &mut found);
        }
        found
    }

    fn spread(
        &self,
        at: usize,
        base: &[String],
        rest: &str,
        found: &mut Vec<(usize, Vec<String>)>,
    ) {
        let line = self.line(at);
        let mut paths = Vec::new();
        use_tree(rest, base.to_vec(), 0, &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }

    /// The line of a byte.
    pub(crate) fn line(&self, at: usize) -> usize {
        let before = self.code.get(..at).unwrap_or_default();
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    /// The `mod x {` blocks that are open at a byte.
    fn inline_modules(&self, at: usize) -> Vec<String> {
        let before = self.code.get(..at).unwrap_or_default();
        let mut open: Vec<Option<String>> = Vec::new();
        for (place, byte) in before.bytes().enumerate() {
            match byte {
                b'{' => {
                    let head = before.get(..place).unwrap_or_default().trim_end();
                    let mut words = head.rsplit(char::is_whitespace);
                    let (name, word) = (words.next(), words.next());
                    let module = (word == Some("mod")).then_some(name).flatten();
                    open.push(module.map(ToOwned::to_owned));
                }
                b'}' => drop(open.pop()),
                _ => {}
            }
        }
        open.into_iter().flatten().collect()
    }
}

/// Where a word stands as a whole word.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| at.checked_sub(1).is_none_or(|at| !is_part(bytes.get(at))))
        .filter(|at| !is_part(bytes.get(at + word.len())))
        .collect()
}

fn ident(text: &str) -> (&str, &str) {
    let text = text.strip_prefix("r#").unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Follows `a::b`, `a::{b, c::d}` and collects whole paths; returns what stands behind.
fn use_tree<'t>(
    text: &'t str,
    mut path: Vec<String>,
    depth: usize,
    found: &mut Vec<Vec<String>>,
) -> &'t str {
    assert!(depth < NESTING_MAX, "imports nest too deep near {text:.40}");
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            return group(inner, &path, depth, found);
        }
        let (name, behind) = ident(rest);
        if name.is_empty() {
            break;
        }
        path.push(name.to_owned());
        rest = behind;
        match rest.strip_prefix("::") {
            Some(next) => rest = next,
            None => break,
        }
    }
    found.push(path);
    rest
}

fn group<'t>(
    text: &'t str,
    path: &[String],
    depth: usize,
    found: &mut Vec<Vec<String>>,
) -> &'t str {
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        rest = use_tree(rest, path.to_vec(), depth + 1, found);
        // Skips `as other`, `*` and the comma.
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        rest = rest.get(end..).unwrap_or_default();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// Blanks comments, strings and characters; lines stay where they were.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(rest.get(1..).unwrap_or_default(), '"'),
            'r' if !after_word || code.ends_with('b') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        let (gone, left) = rest.split_at(skipped);
        code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = left;
        if skipped == 0 {
            code.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, pair) in bytes.windows(2).enumerate() {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 2;
        }
    }
    text.len()
}

/// The length of the rest of a literal, its closing mark included.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let body = text.get(1..).unwrap_or_default();
    let hashes = body.len() - body.trim_start_matches('#').len();
    if !body.get(hashes..).is_some_and(|s| s.starts_with('"')) {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let open = 1 + hashes + 1;
    let inside = text.get(open..).unwrap_or_default();
    inside
        .find(&close)
        .map_or(text.len(), |at| open + at + close.len())
}

/// A character, told from a lifetime by its closing mark.
fn character(text: &str) -> usize {
    let body = text.get(1..).unwrap_or_default();
    let mut chars = body.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => 1 + quoted(body, '\''),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}
