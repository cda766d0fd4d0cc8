//! `Jars`: cookies of upstreams over UDP (RFC 7873), so that nobody who only guesses ports and numbers
//! can answer in an upstream's name.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::upstream::{Transport, Upstream};

/// The option code.
pub(super) const COOKIE: u16 = 10;
/// The client's half.
const CLIENT_BYTES: usize = 8;
/// The server's half (RFC 7873 section 4).
const SERVER_BYTES: RangeInclusive<usize> = 8..=32;
/// What client's halves are made with: a keyed hash whose key the system's randomness gave.
pub(super) type CookieSecret = RandomState;

/// What a reply says about cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told<'m> {
    /// The value of its option.
    pub(super) cookie: Option<&'m [u8]>,
    /// BADCOOKIE.
    pub(super) wants_another: bool,
    /// FORMERR, as old servers answer to options that they do not know.
    pub(super) is_confused: bool,
}

/// What is to be done with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is the upstream's, as far as cookies say.
    Fine,
    /// The upstream is to be asked again, with what is known now.
    Again,
    /// Somebody else may have sent it.
    Forged,
}

/// What is known of the cookies of one upstream. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jar {
    client: [u8; CLIENT_BYTES],
    server: Option<Box<[u8]>>,
    is_refused: bool,
}

impl Jar {
    fn new(client: [u8; CLIENT_BYTES]) -> Self {
        Self {
            client,
            server: None,
            is_refused: false,
        }
    }

    /// What the upstream is shown; nothing if it cannot read it.
    pub(super) fn shown(&self) -> Option<Vec<u8>> {
        let server = self.server.as_deref().unwrap_or_default();
        (!self.is_refused).then(|| [&self.client, server].concat())
    }

    /// Judges what came over UDP in reply to a question with a cookie.
    pub(super) fn judge(&mut self, told: Told<'_>) -> Judged {
        let Some(cookie) = told.cookie else {
            return self.judge_without(told);
        };
        let Some(server) = cookie.strip_prefix(&self.client) else {
            return Judged::Forged;
        };
        if SERVER_BYTES.contains(&server.len()) {
            self.server = Some(server.into());
        } else if self.server.is_some() {
            // It knew better before.
            return Judged::Forged;
        }
        if told.wants_another {
            Judged::Again
        } else {
            Judged::Fine
        }
    }

    fn judge_without(&mut self, told: Told<'_>) -> Judged {
        // Who gave cookies gives them always (RFC 7873 section 5.3).
        if self.server.is_some() {
            return Judged::Forged;
        }
        if told.is_confused {
            self.is_refused = true;
            return Judged::Again;
        }
        Judged::Fine
    }

    /// Learns from what came over a connection, which nobody else can have sent.
    pub(super) fn learn(&mut self, told: Told<'_>) {
        let server = told
            .cookie
            .and_then(|cookie| cookie.strip_prefix(&self.client));
        let server = server.filter(|server| SERVER_BYTES.contains(&server.len()));
        self.server = server.map(Into::into);
    }
}

/// A jar that the lines to one upstream share.
pub(super) type SharedJar = Arc<Mutex<Jar>>;

/// The jar, which is whole between any two statements.
pub(super) fn open(jar: &SharedJar) -> MutexGuard<'_, Jar> {
    jar.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Jars of the upstreams of a group, by their places; those without UDP have none.
pub(super) fn jars(
    upstreams: &[Upstream],
    secret: Option<&CookieSecret>,
) -> Arc<[Option<SharedJar>]> {
    let jar = |upstream: &Upstream| {
        let secret = secret.filter(|_| upstream.transport == Transport::UdpAndTcp)?;
        let client = client_half(secret, upstream.address);
        Some(Arc::new(Mutex::new(Jar::new(client))))
    };
    upstreams.iter().map(jar).collect()
}

/// Another one for each upstream, so that none can be known by it at two of them.
fn client_half(secret: &CookieSecret, address: SocketAddr) -> [u8; CLIENT_BYTES] {
    secret.hash_one(address).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLIENT: [u8; 8] = *b"ourhalf!";

    fn told(cookie: Option<&[u8]>) -> Told<'_> {
        Told {
            cookie,
            wants_another: false,
            is_confused: false,
        }
    }

    fn whole(server: &[u8]) -> Vec<u8> {
        [&CLIENT, server].concat()
    }

    #[test]
    fn what_the_upstream_gave_is_shown_again() {
        let mut jar = Jar::new(CLIENT);
        assert_eq!(jar.shown().unwrap(), CLIENT);
        assert_eq!(jar.judge(told(Some(&whole(b"serverhalf")))), Judged::Fine);
        assert_eq!(jar.shown().unwrap(), whole(b"serverhalf"));
        let another = whole(b"anotherhalf");
        let bad = Told {
            wants_another: true,
            ..told(Some(&another))
        };
        assert_eq!(jar.judge(bad), Judged::Again);
        assert_eq!(jar.shown().unwrap(), another);
    }

    #[test]
    fn a_reply_without_our_half_or_without_any_after_there_was_one_is_forged() {
        let mut jar = Jar::new(CLIENT);
        assert_eq!(jar.judge(told(Some(b"another!serverhalf"))), Judged::Forged);
        assert_eq!(jar.judge(told(None)), Judged::Fine, "it knows no cookies");
        jar.judge(told(Some(&whole(b"serverhalf"))));
        for forged in [None, Some(&CLIENT[..]), Some(b"x")] {
            assert_eq!(jar.judge(told(forged)), Judged::Forged, "{forged:?}");
        }
        assert_eq!(jar.shown().unwrap(), whole(b"serverhalf"));
        // A connection says whether it still gives any.
        jar.learn(told(None));
        assert_eq!(jar.shown().unwrap(), CLIENT);
        assert_eq!(jar.judge(told(None)), Judged::Fine);
    }

    #[test]
    fn one_that_cannot_read_them_is_shown_none() {
        let mut jar = Jar::new(CLIENT);
        let confused = Told {
            is_confused: true,
            ..told(None)
        };
        assert_eq!(jar.judge(confused), Judged::Again);
        assert_eq!(jar.shown(), None);
    }

    #[test]
    fn halves_differ_by_upstream_and_by_secret() {
        let (one, two) = (CookieSecret::new(), CookieSecret::new());
        let half = |secret: u8, address: &str| {
            let secret = if secret == 1 { &one } else { &two };
            client_half(secret, address.parse().unwrap())
        };
        let first = half(1, "192.0.2.1:53");
        assert_eq!(first, half(1, "192.0.2.1:53"));
        for other in [
            half(2, "192.0.2.1:53"),
            half(1, "192.0.2.2:53"),
            half(1, "192.0.2.1:54"),
        ] {
            assert_ne!(first, other);
        }
    }

    proptest! {
        /// Whatever comes, what is shown stays a lawful cookie that begins with our half.
        #[test]
        fn nothing_that_comes_spoils_what_is_shown(
            replies in proptest::collection::vec(
                (proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)), any::<[bool; 4]>()),
                0..20,
            ),
        ) {
            let mut jar = Jar::new(CLIENT);
            for (bytes, [is_ours, wants_another, is_confused, by_connection]) in replies {
                let bytes = bytes.map(|bytes| if is_ours { whole(&bytes) } else { bytes });
                let told = Told { cookie: bytes.as_deref(), wants_another, is_confused };
                if by_connection {
                    jar.learn(told);
                } else {
                    let before = jar.clone();
                    let judged = jar.judge(told);
                    prop_assert!(judged != Judged::Forged || jar == before);
                }
                if let Some(shown) = jar.shown() {
                    prop_assert!(shown.starts_with(&CLIENT));
                    prop_assert!(shown.len() == 8 || (16..=40).contains(&shown.len()));
                }
            }
        }
    }
}
