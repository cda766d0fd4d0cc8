//! `Guard`: what keeps the node from being used against others, and one client from using it up.

mod cookie;
mod limiter;
mod places;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::base::subscriber::network_of;
use crate::base::time::Timestamp;

use limiter::Limiter;

pub use cookie::{BadCookieSecrets, Cookie, CookieSecrets};
pub use limiter::{Limits, RATE_MAX, Rates};
pub use places::{Places, TakenPlace};

pub(super) use cookie::{Acquaintance, COOKIE_BYTES, Seen};
pub(super) use limiter::Verdict;

/// Between two lines about networks whose answers are limited: whoever is attacked reads one a minute.
const SAY_EVERY_MS: u64 = 60_000;

/// How a node guards itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardPlan {
    /// Whether cookies are given and looked at.
    pub cookies: bool,
    /// Whether a client that sends a cookie over UDP must send one that it was given here.
    pub require_cookies: bool,
    /// How many answers there are over UDP.
    pub limits: Limits,
}

/// A plan, and the secrets of cookies if somebody gave them.
#[derive(Debug, Clone)]
pub struct GuardParts {
    /// The plan.
    pub plan: GuardPlan,
    /// The secrets.
    pub secrets: Option<CookieSecrets>,
}

/// What it did since the start.
#[derive(Debug, Default)]
struct Counts {
    dropped: AtomicU64,
    cut: AtomicU64,
    bad_cookies: AtomicU64,
    crowded_out: AtomicU64,
    said_at_ms: AtomicU64,
}

/// The same, read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardStats {
    /// Answers that were not sent for there were too many to one network.
    pub dropped: u64,
    /// Answers in whose place it was said to ask again over TCP, or with a cookie.
    pub cut: u64,
    /// Questions that were refused for their cookie.
    pub bad_cookies: u64,
    /// Questions that found no place to wait.
    pub crowded_out: u64,
}

/// A plan in force.
#[derive(Debug)]
pub struct Guard {
    plan: GuardPlan,
    secrets: Option<CookieSecrets>,
    limiter: Option<Limiter>,
    counts: Arc<Counts>,
}

/// The plan that is in force at a time.
pub type GuardInForce = Arc<ArcSwap<Guard>>;

impl Guard {
    /// One that lets everything through.
    pub fn off() -> Self {
        Self {
            plan: GuardPlan::default(),
            secrets: None,
            limiter: None,
            counts: Arc::default(),
        }
    }

    /// Carries out a plan. Without secrets that are given, one is made from the seed.
    pub fn new(parts: GuardParts, seed: &[u8; 32], now: Timestamp) -> Self {
        let GuardParts { plan, secrets } = parts;
        let secrets = secrets.unwrap_or_else(|| CookieSecrets::of_seed(seed));
        let limits = &plan.limits;
        let limiter = (limits.rates != Rates::default()).then(|| Limiter::new(limits.clone(), now));
        Self {
            secrets: plan.cookies.then_some(secrets),
            limiter,
            plan,
            counts: Arc::default(),
        }
    }

    /// Carries out another plan in place of this one, and goes on counting. Without secrets that are
    /// given, a new one is made, and cookies of the last one are still believed.
    #[must_use]
    pub fn replaced(&self, parts: GuardParts, seed: &[u8; 32], now: Timestamp) -> Self {
        let GuardParts { plan, secrets } = parts;
        let made = || {
            let made = CookieSecrets::of_seed(seed);
            match &self.secrets {
                Some(before) => made.after(before),
                None => made,
            }
        };
        let secrets = Some(secrets.unwrap_or_else(made));
        Self {
            counts: Arc::clone(&self.counts),
            ..Self::new(GuardParts { plan, secrets }, seed, now)
        }
    }

    /// What is carried out.
    pub const fn plan(&self) -> &GuardPlan {
        &self.plan
    }

    /// What it did since the start.
    pub fn stats(&self) -> GuardStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        GuardStats {
            dropped: read(&self.counts.dropped),
            cut: read(&self.counts.cut),
            bad_cookies: read(&self.counts.bad_cookies),
            crowded_out: read(&self.counts.crowded_out),
        }
    }

    /// Whether answers to an address are counted.
    pub fn limits(&self, address: IpAddr) -> bool {
        let limiter = self.limiter.as_ref();
        limiter.is_some_and(|limiter| !limiter.is_exempt(address))
    }

    pub(super) const fn reads_cookies(&self) -> bool {
        self.secrets.is_some()
    }

    /// Looks at the cookie of a question, if cookies are looked at.
    pub(super) fn look_at(
        &self,
        cookie: Option<&Cookie>,
        from: IpAddr,
        now: Timestamp,
    ) -> Option<Seen> {
        let secrets = self.secrets.as_ref()?;
        Some(secrets.look_at(cookie?, from, now))
    }

    /// Whether a datagram with such a cookie is not answered but told a better one.
    pub(super) const fn turns_away(&self, seen: &Seen) -> bool {
        self.plan.require_cookies && !matches!(seen.acquaintance, Acquaintance::Known)
    }

    /// Counts one that was turned away.
    pub(super) fn turned_away(&self) {
        self.counts.bad_cookies.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a question that found no place to wait.
    pub(super) fn crowded_out(&self) {
        self.counts.crowded_out.fetch_add(1, Ordering::Relaxed);
    }

    /// What becomes of a datagram to a client that proved nothing.
    pub(super) fn judge(&self, reply: &[u8], to: IpAddr, now: Timestamp) -> Verdict {
        let limiter = self.limiter.as_ref();
        let Some(limiter) = limiter.filter(|limiter| !limiter.is_exempt(to)) else {
            return Verdict::Whole;
        };
        let verdict = limiter.judge(reply, to, now);
        let count = match verdict {
            Verdict::Whole => return verdict,
            Verdict::Cut => &self.counts.cut,
            Verdict::Dropped => &self.counts.dropped,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.say(to, now);
        verdict
    }

    /// Says that answers are limited, but not for each of them.
    fn say(&self, to: IpAddr, now: Timestamp) {
        let said_at = self.counts.said_at_ms.load(Ordering::Relaxed);
        let now = now.as_millis();
        if now.abs_diff(said_at) < SAY_EVERY_MS {
            return;
        }
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let said = &self.counts.said_at_ms;
        if said
            .compare_exchange(said_at, now, success, failure)
            .is_ok()
        {
            let GuardStats { dropped, cut, .. } = self.stats();
            let network = network_of(to);
            tracing::warn!(%network, dropped, cut, "answers to a network are limited");
        }
    }
}
