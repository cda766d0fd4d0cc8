//! `Cookie`: what a client shows of earlier talk (RFC 7873), and the secrets that a server's half of it
//! is made with (RFC 9018), alike on every node that has them.

use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

use constant_time_eq::constant_time_eq;
use data_encoding::HEXLOWER_PERMISSIVE;
use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::base::time::Timestamp;

/// The client's half.
const CLIENT_BYTES: usize = 8;
/// The server's half in its standard form: version, three reserved octets, time and hash.
const SERVER_BYTES: usize = 16;
/// What stands before the hash.
const HEAD_BYTES: usize = 8;
/// The value of the option in a reply.
pub(in super::super) const COOKIE_BYTES: usize = CLIENT_BYTES + SERVER_BYTES;
/// A server's half of any form (RFC 7873 section 4).
const SERVER_BYTES_RANGE: std::ops::RangeInclusive<usize> = 8..=32;
/// The one version.
const VERSION: u8 = 1;
/// How old a cookie may be, and how far ahead of this clock (RFC 9018 section 4.3).
const AGE_SECS_MAX: u32 = 3_600;
const AHEAD_SECS_MAX: u32 = 300;
/// An older one is replaced with the next reply.
const FRESH_SECS: u32 = 1_800;
/// A secret of `SipHash`.
const SECRET_BYTES: usize = 16;
/// Secrets of one node: the present one, the next one and some that were.
const SECRETS_MAX: usize = 8;

/// What stands in a COOKIE option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    client: [u8; CLIENT_BYTES],
    server: Server,
}

/// The server's half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Absent,
    Standard([u8; SERVER_BYTES]),
    /// Of a form that is not made here.
    Other,
}

impl Cookie {
    /// Reads the value of the option; none if it has an unlawful length.
    pub fn read(value: &[u8]) -> Option<Self> {
        let (client, server) = value.split_first_chunk::<CLIENT_BYTES>()?;
        let server = match <[u8; SERVER_BYTES]>::try_from(server) {
            Ok(standard) => Server::Standard(standard),
            Err(_) if server.is_empty() => Server::Absent,
            Err(_) if SERVER_BYTES_RANGE.contains(&server.len()) => Server::Other,
            Err(_) => return None,
        };
        Some(Self {
            client: *client,
            server,
        })
    }
}

/// What a cookie says of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Acquaintance {
    /// It has none of this server yet.
    New,
    /// What it was given here came back: it gets what is sent to its address.
    Known,
    /// What it shows was not made here, or is too old.
    Wrong,
}

/// A cookie that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Seen {
    /// What the reply shows.
    pub(in super::super) reply: [u8; COOKIE_BYTES],
    pub(in super::super) acquaintance: Acquaintance,
}

impl Seen {
    pub(in super::super) fn is_known(&self) -> bool {
        self.acquaintance == Acquaintance::Known
    }
}

/// Why a text holds no secrets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadCookieSecrets {
    /// A line is something else.
    #[error("line {line}: expected a secret of 32 hexadecimal digits")]
    Line {
        /// Counted from one.
        line: usize,
    },
    /// There is no line.
    #[error("there is no secret in it")]
    Empty,
    /// There are too many lines.
    #[error("there are more than {SECRETS_MAX} secrets in it")]
    TooMany,
}

type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// The secret that cookies are made with, and others whose cookies are believed.
#[derive(Clone)]
pub struct CookieSecrets {
    present: Secret,
    others: Vec<Secret>,
}

impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecrets")
    }
}

impl CookieSecrets {
    /// A secret that nobody else has.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let mut present = Secret::default();
        present
            .iter_mut()
            .zip(seed)
            .for_each(|(to, from)| *to = *from);
        Self {
            present,
            others: Vec::new(),
        }
    }

    /// Reads secrets of a text, one a line; the first is the one that cookies are made with.
    pub fn parse(text: &str) -> Result<Self, BadCookieSecrets> {
        let mut secrets = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = BadCookieSecrets::Line { line: at + 1 };
            let Ok(bytes) = HEXLOWER_PERMISSIVE
                .decode(line.as_bytes())
                .map(Zeroizing::new)
            else {
                return Err(bad);
            };
            let secret = <[u8; SECRET_BYTES]>::try_from(bytes.as_slice()).map_err(|_| bad)?;
            secrets.push(Zeroizing::new(secret));
        }
        if secrets.len() > SECRETS_MAX {
            return Err(BadCookieSecrets::TooMany);
        }
        let mut secrets = secrets.into_iter();
        let present = secrets.next().ok_or(BadCookieSecrets::Empty)?;
        Ok(Self {
            present,
            others: secrets.collect(),
        })
    }

    /// The same, and the present secret of others is believed too.
    #[must_use]
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.others.push(before.present.clone());
        self.others.truncate(SECRETS_MAX);
        self
    }

    /// Looks at a cookie that came from an address.
    pub(super) fn look_at(&self, cookie: &Cookie, from: IpAddr, now: Timestamp) -> Seen {
        let now = seconds(now);
        let (acquaintance, server) = match cookie.server {
            Server::Absent => (Acquaintance::New, None),
            Server::Other => (Acquaintance::Wrong, None),
            Server::Standard(server) => match self.judge(&server, cookie.client, from, now) {
                Some(keeps) => (Acquaintance::Known, keeps.then_some(server)),
                None => (Acquaintance::Wrong, None),
            },
        };
        let server = server.unwrap_or_else(|| self.made(cookie.client, from, now));
        let mut reply = [0; COOKIE_BYTES];
        let whole = cookie.client.iter().chain(&server);
        reply
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = *from);
        Seen {
            reply,
            acquaintance,
        }
    }

    /// Whether a server's half that holds may be kept by its client; none if it does not hold.
    fn judge(
        &self,
        server: &[u8; SERVER_BYTES],
        client: [u8; CLIENT_BYTES],
        from: IpAddr,
        now: u32,
    ) -> Option<bool> {
        let (head, hash) = server.split_first_chunk::<HEAD_BYTES>()?;
        let [version, reserved @ .., a, b, c, d] = *head;
        // Serial numbers (RFC 1982): both differences are small for times that are near.
        let made_at = u32::from_be_bytes([a, b, c, d]);
        let age = now.wrapping_sub(made_at);
        let is_ahead = made_at.wrapping_sub(now) <= AHEAD_SECS_MAX;
        if version != VERSION || !(age <= AGE_SECS_MAX || is_ahead) {
            return None;
        }
        let holds = |secret: &Secret| constant_time_eq(&hashed(secret, client, *head, from), hash);
        if holds(&self.present) {
            return Some((age <= FRESH_SECS || is_ahead) && reserved == [0; 3]);
        }
        self.others.iter().any(holds).then_some(false)
    }

    fn made(&self, client: [u8; CLIENT_BYTES], from: IpAddr, now: u32) -> [u8; SERVER_BYTES] {
        let [a, b, c, d] = now.to_be_bytes();
        let head = [VERSION, 0, 0, 0, a, b, c, d];
        let hash = hashed(&self.present, client, head, from);
        let mut server = [0; SERVER_BYTES];
        let whole = head.iter().chain(&hash);
        server
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = *from);
        server
    }
}

/// Seconds as cookies count them.
fn seconds(now: Timestamp) -> u32 {
    let secs = now.as_millis() / 1_000;
    u32::try_from(secs & u64::from(u32::MAX)).unwrap_or(0)
}

/// RFC 9018 section 4.4.
fn hashed(
    secret: &[u8; SECRET_BYTES],
    client: [u8; CLIENT_BYTES],
    head: [u8; HEAD_BYTES],
    from: IpAddr,
) -> [u8; 8] {
    let mut state = SipHasher24::new_with_key(secret);
    state.write(&client);
    state.write(&head);
    match from.to_canonical() {
        IpAddr::V4(address) => state.write(&address.octets()),
        IpAddr::V6(address) => state.write(&address.octets()),
    }
    state.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "dd3bdf9344b678b185a6f5cb60fca715";
    const NEW: &str = "445536bcd2513298075a5d379663c962";

    fn seen(secrets: &str, cookie: &str, from: &str, secs: u64) -> (String, Acquaintance) {
        let secrets = CookieSecrets::parse(secrets).unwrap();
        let bytes = HEXLOWER_PERMISSIVE.decode(cookie.as_bytes()).unwrap();
        let cookie = Cookie::read(&bytes).unwrap();
        let now = Timestamp::from_millis(secs * 1_000 + 999);
        let seen = secrets.look_at(&cookie, from.parse().unwrap(), now);
        (HEXLOWER_PERMISSIVE.encode(&seen.reply), seen.acquaintance)
    }

    #[test]
    fn cookies_are_those_of_the_appendix_of_rfc_9018() {
        let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        let client = "198.51.100.100";
        let first = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let second = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        for (cookie, secs, expected, acquaintance) in [
            ("2464c4abcf10c957", 1_559_731_985, first, Acquaintance::New),
            (first, 1_559_731_985 + 1_800, first, Acquaintance::Known),
            (first, 1_559_734_385, second, Acquaintance::Known),
        ] {
            let said = seen(secret, cookie, client, secs);
            assert_eq!(said, (expected.to_owned(), acquaintance), "{cookie} {secs}");
        }
        // Appendix A.3: the reserved octets of somebody else's are part of what is hashed.
        let odd = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let even = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
        let said = seen(secret, odd, "203.0.113.203", 1_559_727_985);
        assert_eq!(said.1, Acquaintance::Known);
        let said = seen(secret, odd, "203.0.113.203", 1_559_734_700);
        assert_eq!(
            said,
            (even.to_owned(), Acquaintance::Wrong),
            "an hour later"
        );
    }

    #[test]
    fn a_cookie_of_the_secret_before_is_believed_and_replaced() {
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8";
        let before = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let after = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        let both = format!("# the present one\n{NEW}\n\n{OLD}\n");
        let said = seen(&both, before, client, 1_559_741_961);
        assert_eq!(said, (after.to_owned(), Acquaintance::Known));
        let said = seen(NEW, before, client, 1_559_741_961);
        assert_eq!(said, (after.to_owned(), Acquaintance::Wrong));
        let one = CookieSecrets::parse(NEW).unwrap();
        let one = one.after(&CookieSecrets::parse(OLD).unwrap());
        let bytes = HEXLOWER_PERMISSIVE.decode(before.as_bytes()).unwrap();
        let now = Timestamp::from_millis(1_559_741_961_000);
        let from = client.parse().unwrap();
        assert!(
            one.look_at(&Cookie::read(&bytes).unwrap(), from, now)
                .is_known()
        );
    }

    #[test]
    fn a_cookie_holds_for_its_client_and_its_time() {
        let (fresh, _) = seen(NEW, "0102030405060708", "192.0.2.1", 1_000_000);
        for (from, secs, expected) in [
            ("192.0.2.1", 1_000_000, Acquaintance::Known),
            ("::ffff:192.0.2.1", 1_000_000, Acquaintance::Known),
            ("192.0.2.2", 1_000_000, Acquaintance::Wrong),
            ("192.0.2.1", 1_003_600, Acquaintance::Known),
            ("192.0.2.1", 1_003_601, Acquaintance::Wrong),
            ("192.0.2.1", 999_700, Acquaintance::Known),
            ("192.0.2.1", 999_699, Acquaintance::Wrong),
        ] {
            assert_eq!(seen(NEW, &fresh, from, secs).1, expected, "{from} {secs}");
        }
        let mut other = fresh;
        other.replace_range(0..2, "ff");
        assert_eq!(
            seen(NEW, &other, "192.0.2.1", 1_000_000).1,
            Acquaintance::Wrong
        );
    }

    #[test]
    fn lengths_that_no_cookie_has_are_refused() {
        for length in 0..=48 {
            let lawful = length == 8 || (16..=40).contains(&length);
            let read = Cookie::read(&vec![7; length]);
            assert_eq!(read.is_some(), lawful, "{length}");
        }
    }

    #[test]
    fn a_file_of_secrets_says_which_line_is_wrong() {
        let parse = |text: &str| CookieSecrets::parse(text).map(drop);
        assert_eq!(
            parse(&format!("{NEW}\nabc")),
            Err(BadCookieSecrets::Line { line: 2 })
        );
        assert_eq!(parse("# none\n"), Err(BadCookieSecrets::Empty));
        let many = format!("{NEW}\n").repeat(9);
        assert_eq!(parse(&many), Err(BadCookieSecrets::TooMany));
        assert!(format!("{:?}", CookieSecrets::parse(NEW).unwrap()).len() < 20);
    }
}
