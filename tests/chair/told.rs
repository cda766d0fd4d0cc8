//! What a chair tells other nodes, kept to be looked at.

use std::sync::Mutex;
use std::thread;

use kedge::base::keys::PublicKey;
use kedge::replication::pull::Complaint;
use kedge::replication::wire::Request;
use kedge::service::ports::{Asked, Ourselves, PeerFailure, PeerNetwork, PeerStanding};

use super::support::key;
use super::{LOOK_EVERY, PATIENCE};

/// What was told, and to whom; to all where that is nobody.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<(Option<PublicKey>, Request)>>);

impl Told {
    /// Looks again and again until something was told.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        look: impl Fn(Option<&PublicKey>, &Request) -> Option<T>,
    ) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let told = self.0.lock().unwrap();
            if let Some(found) = told
                .iter()
                .find_map(|(to, request)| look(to.as_ref(), request))
            {
                return found;
            }
            drop(told);
            assert!(tokio::time::Instant::now() < end, "{what} was never told");
            thread::park_timeout(LOOK_EVERY);
        }
    }

    /// Looks again and again until something was told so many times.
    pub(crate) fn until_count(
        &self,
        what: &str,
        count: usize,
        fits: impl Fn(Option<&PublicKey>, &Request) -> bool,
    ) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.count(&fits) < count {
            assert!(
                tokio::time::Instant::now() < end,
                "{what} was not told again"
            );
            thread::park_timeout(LOOK_EVERY);
        }
    }

    pub(crate) fn count(&self, fits: impl Fn(Option<&PublicKey>, &Request) -> bool) -> usize {
        let told = self.0.lock().unwrap();
        let told = told.iter();
        told.filter(|(to, request)| fits(to.as_ref(), request))
            .count()
    }

    pub(crate) fn to(&self, peer: &PublicKey) -> usize {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter(|(to, _)| to.as_ref() == Some(peer))
            .count()
    }
}

impl PeerNetwork for Told {
    fn ask(&self, _: PublicKey, _: Request) -> Asked {
        Box::pin(async { Err(PeerFailure::Unknown) })
    }

    fn tell(&self, request: Request) {
        self.0.lock().unwrap().push((None, request));
    }

    fn tell_one(&self, peer: &PublicKey, request: Request) {
        self.0.lock().unwrap().push((Some(*peer), request));
    }

    fn complain(&self, _: &PublicKey, _: &Complaint) {}

    /// Somebody who says nothing: seats vote once they listened to it for a while.
    fn peers(&self) -> Vec<PeerStanding> {
        vec![PeerStanding {
            id: key(99).public(),
            name: "silent".to_owned(),
            region: String::new(),
            addresses: Vec::new(),
            is_connected: true,
            version: Some(2),
            software: String::new(),
            rtt_us: None,
            heard: None,
            answered: 0,
            refused: 0,
            complaints: 0,
            last_error: None,
        }]
    }

    fn ourselves(&self) -> Ourselves {
        Ourselves {
            id: key(200).public(),
            addresses: Vec::new(),
            region: String::new(),
        }
    }
}
