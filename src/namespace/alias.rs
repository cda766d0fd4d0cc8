//! The index's own spelling of a name, broad to narrow: `tld@domain.sub/segment/segment`.
//!
//! `.` and `/` between labels are presentation: both spellings of the same labels are one name.
//! Inside a label they are written with a backslash before them.

use super::name::{BadName, Name, unescape};

/// A verb is a word (RFC 952 letters), as long as a half label.
const VERB_BYTES_MAX: usize = 32;

/// A name as a person may ask for it: with an intent before it and a version behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasRequest {
    /// The intent, such as `view`; none means reading.
    pub verb: Option<String>,
    /// The name.
    pub name: Name,
    /// The version; none means the head.
    pub version: Option<u64>,
}

/// Why text is no alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAlias {
    /// No `@`, or more than one.
    #[error("an alias has one @, behind its top level: tld@domain.sub/segment")]
    At,
    /// A verb of other characters than letters, digits and `-`, or too long.
    #[error("a verb has 1 to {VERB_BYTES_MAX} letters, digits or dashes")]
    Verb,
    /// A version where none is understood.
    #[error("a version or a verb has no place here")]
    Decorated,
    /// A part that is no label.
    #[error(transparent)]
    Name(#[from] BadName),
}

/// Reads `[verb SP | verb:] tld@domain[.sub][/segment][.vN]`.
pub fn parse(text: &str) -> Result<AliasRequest, BadAlias> {
    let text = text.trim();
    let (verb, alias) = split_verb(text)?;
    let (top, rest) = find(alias, b"@")
        .and_then(|at| alias.split_at_checked(at))
        .ok_or(BadAlias::At)?;
    let rest = rest.strip_prefix('@').unwrap_or(rest);
    let mut labels = split_labels(top.as_bytes(), false)?;
    if labels.len() != 1 {
        return Err(BadAlias::At);
    }
    let (path, version) = split_version(rest);
    labels.extend(split_labels(path.as_bytes(), true)?);
    let name = Name::from_labels(labels.iter().rev().map(Vec::as_slice))?;
    Ok(AliasRequest {
        verb,
        name,
        version,
    })
}

/// Reads a name in either spelling; decorations are refused.
pub fn parse_either(text: &str) -> Result<Name, BadAlias> {
    if find(text, b"@").is_none() || text == "@" {
        return Ok(Name::parse_typed(text)?);
    }
    let request = parse(text)?;
    if request.verb.is_some() || request.version.is_some() {
        return Err(BadAlias::Decorated);
    }
    Ok(request.name)
}

/// Reads a name in either spelling, with the version that an alias may end with; a verb is refused.
pub fn parse_versioned(text: &str) -> Result<(Name, Option<u64>), BadAlias> {
    if find(text, b"@").is_none() || text == "@" {
        return Ok((Name::parse_typed(text)?, None));
    }
    let request = parse(text)?;
    if request.verb.is_some() {
        return Err(BadAlias::Decorated);
    }
    Ok((request.name, request.version))
}

/// The alias of a name; none for names with fewer than two labels, which have no domain.
pub fn of_name(name: &Name) -> Option<String> {
    let mut labels = name.labels_down();
    let (top, domain) = (labels.next()?, labels.next()?);
    let mut text = String::new();
    write_label(&mut text, top);
    text.push('@');
    write_label(&mut text, domain);
    for label in labels {
        text.push('/');
        write_label(&mut text, label);
    }
    Some(text)
}

/// Where the first of these characters stands that no backslash is before.
fn find(text: &str, wanted: &[u8]) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if wanted.contains(&byte) {
            return Some(at);
        }
    }
    None
}

fn split_verb(text: &str) -> Result<(Option<String>, &str), BadAlias> {
    let end = find(text, b"@").unwrap_or(text.len());
    let Some(at) = find(text, b" :").filter(|at| *at < end) else {
        return Ok((None, text));
    };
    let (verb, rest) = text.split_at_checked(at).ok_or(BadAlias::Verb)?;
    let is_word = verb
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if verb.is_empty() || verb.len() > VERB_BYTES_MAX || !is_word {
        return Err(BadAlias::Verb);
    }
    Ok((
        Some(verb.to_ascii_lowercase()),
        rest.trim_start_matches([' ', ':']),
    ))
}

/// Takes a final `.v` and digits off.
fn split_version(text: &str) -> (&str, Option<u64>) {
    let Some((path, digits)) = text.rsplit_once(".v") else {
        return (text, None);
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(version) if is_number && !path.ends_with('\\') => (path, Some(version)),
        _ => (text, None),
    }
}

fn split_labels(text: &[u8], many: bool) -> Result<Vec<Vec<u8>>, BadAlias> {
    let mut labels = vec![Vec::new()];
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let byte = match byte {
            b'.' | b'/' if many => {
                labels.push(Vec::new());
                continue;
            }
            // Before the @ stands one label.
            b'@' | b'.' | b'/' => return Err(BadAlias::At),
            b'\\' => {
                let (byte, tail) = unescape(rest).ok_or(BadName::Escape)?;
                rest = tail;
                byte
            }
            0x21..=0x7e => byte,
            _ => return Err(BadName::NotAscii.into()),
        };
        if let Some(label) = labels.last_mut() {
            label.push(byte);
        }
    }
    if labels.iter().any(Vec::is_empty) {
        return Err(BadName::EmptyLabel.into());
    }
    Ok(labels)
}

fn write_label(text: &mut String, label: &[u8]) {
    for &byte in label {
        match byte {
            b'.' | b'/' | b'@' | b'\\' | b':' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            0x21..=0x7e => text.push(char::from(byte)),
            _ => text.extend([
                '\\',
                digit(byte / 100),
                digit(byte / 10 % 10),
                digit(byte % 10),
            ]),
        }
    }
}

fn digit(value: u8) -> char {
    char::from(b'0' + value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn an_alias_is_the_name_from_the_other_side() {
        for (alias, dns) in [
            ("org@wikipedia", "wikipedia.org."),
            (
                "org@wikipedia.en/articles/x",
                "x.articles.en.wikipedia.org.",
            ),
            ("internal@mesh.eu.api", "api.eu.mesh.internal."),
            ("internal@mesh/eu/api", "api.eu.mesh.internal."),
            ("user@a/b\\.c", "b\\.c.a.user."),
        ] {
            assert_eq!(parse_either(alias).unwrap(), name(dns), "{alias}");
        }
        assert_eq!(
            parse_either("api.eu.mesh.internal").unwrap(),
            name("api.eu.mesh.internal.")
        );
    }

    #[test]
    fn marks_inside_labels_are_no_marks() {
        for (alias, dns) in [
            ("\\@@\\/", "/.\\@."),
            ("a\\:b@c", "c.a:b."),
            ("view:a\\:b@c", "c.a:b."),
            ("a\\@b@c\\@d", "c\\@d.a\\@b."),
        ] {
            assert_eq!(parse(alias).unwrap().name, name(dns), "{alias}");
        }
        assert_eq!(parse_either("a\\@b.c").unwrap(), name("a\\@b.c."));
        assert_eq!(of_name(&name("/.\\@.")).unwrap(), "\\@@\\/");
    }

    #[test]
    fn verbs_and_versions_are_read_in_both_spellings() {
        for text in [
            "view user@elizabeth/resume.v3",
            "view:user@elizabeth/resume.v3",
        ] {
            let request = parse(text).unwrap();
            assert_eq!(request.verb.as_deref(), Some("view"));
            assert_eq!(request.version, Some(3));
            assert_eq!(request.name, name("resume.elizabeth.user."));
        }
        assert_eq!(parse("user@a/b.vx").unwrap().version, None);
        let resume = name("resume.elizabeth.user.");
        for (text, expected) in [
            ("user@elizabeth/resume.v3", Ok((resume.clone(), Some(3)))),
            ("user@elizabeth/resume", Ok((resume.clone(), None))),
            ("resume.elizabeth.user", Ok((resume, None))),
            ("resume.v3", Ok((name("resume.v3."), None))),
            ("view:user@elizabeth/resume.v3", Err(BadAlias::Decorated)),
        ] {
            assert_eq!(parse_versioned(text), expected, "{text}");
        }
        let refused = parse_either("user@elizabeth/resume.v3");
        assert_eq!(refused, Err(BadAlias::Decorated));
    }

    #[test]
    fn what_is_no_alias_is_refused() {
        for text in [
            "a@b@c", "@b", "a@", "a@b//c", "a@b.", "v!:a@b", "a.b@c", "a@b/ü",
        ] {
            assert!(parse_either(text).is_err(), "{text}");
        }
        assert_eq!(parse_either("view:a@b"), Err(BadAlias::Decorated));
    }

    proptest! {
        #[test]
        fn a_name_comes_back_through_its_alias(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..8), 2..6)
        ) {
            let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
            let alias = of_name(&name).unwrap();
            let back = parse(&alias);
            // A last label that looks like a version is written so that it is none.
            prop_assert_eq!(back.map(|request| request.name), Ok(name), "{}", alias);
        }
    }
}
