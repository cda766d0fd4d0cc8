//! Tokens over a store in memory.

use super::*;
use crate::namespace::name::Name;
use crate::service::permission::Right;

#[derive(Default)]
struct Memory {
    tokens: Mutex<BTreeMap<TokenId, Token>>,
    fails: std::sync::atomic::AtomicBool,
}

impl TokenStore for Memory {
    fn tokens(&self) -> Result<Vec<Token>, String> {
        Ok(self.tokens.lock().unwrap().values().cloned().collect())
    }

    fn put_token(&self, token: &Token, over: &[TokenId]) -> Result<(), String> {
        if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
            return Err("the disk is full".to_owned());
        }
        let mut tokens = self.tokens.lock().unwrap();
        tokens.retain(|id, _| !over.contains(id));
        tokens.insert(token.id, token.clone());
        Ok(())
    }
}

/// Another seed each time.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl Randomness for Counting {
    fn seed(&self) -> [u8; 32] {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&count.to_be_bytes());
        seed
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const DAY: u64 = 86_400;

fn callers(store: &Arc<Memory>) -> Callers {
    let store: Arc<dyn TokenStore> = Arc::<Memory>::clone(store);
    Callers::load(store, Counting::default(), Clients::new()).unwrap()
}

fn wish(rights: &[Right], scopes: &[&str], life_secs: u64) -> TokenWish {
    let scopes: Vec<Name> = scopes.iter().map(|name| name.parse().unwrap()).collect();
    TokenWish {
        permission: Permission::new(rights.to_vec(), scopes),
        life_secs,
        note: String::new(),
    }
}

#[test]
fn a_token_is_good_until_it_ends_or_is_revoked_and_after_a_restart() {
    let store = Arc::new(Memory::default());
    let held = callers(&store);
    let whole = (&Permission::whole(), None);
    let (token, text) = held
        .make(
            wish(&[Right::Read], &["eu.mesh.internal."], DAY),
            whole,
            NOW,
        )
        .unwrap();
    assert_eq!(held.by_token(&text, NOW).unwrap(), token);
    let again = callers(&store);
    assert_eq!(
        again.by_token(&text, NOW).unwrap().permission,
        token.permission
    );
    let end = NOW.plus_millis(DAY * 1_000);
    assert_eq!(
        again.by_token(&text, end),
        Err(TokenDenied::Expired(token.id, end))
    );
    again.revoke(token.id, NOW).unwrap();
    assert_eq!(
        again.by_token(&text, NOW),
        Err(TokenDenied::Revoked(token.id))
    );
    assert_eq!(
        callers(&store).by_token(&text, NOW),
        Err(TokenDenied::Revoked(token.id))
    );
}

#[test]
fn a_wrong_secret_is_as_unknown_as_a_wrong_identifier() {
    let held = callers(&Arc::new(Memory::default()));
    let whole = (&Permission::whole(), None);
    let (token, _) = held
        .make(wish(&[Right::Read], &[], DAY), whole, NOW)
        .unwrap();
    let guess = format!("kedge_{}_{}", token.id, "00".repeat(32));
    let other = format!("kedge_{}_{}", "ff".repeat(8), "00".repeat(32));
    for text in [guess, other] {
        let denied = held.by_token(&text.parse().unwrap(), NOW);
        assert_eq!(denied, Err(TokenDenied::Unknown));
    }
}

#[test]
fn nobody_makes_a_token_that_is_good_for_more_or_longer() {
    let held = callers(&Arc::new(Memory::default()));
    let admin = Permission::new(vec![Right::Admin, Right::Read], Vec::new());
    let end = Some(NOW.plus_millis(2 * DAY * 1_000));
    let by_token = (&admin, end);
    let make = |wish| held.make(wish, by_token, NOW).map(|_| ());
    assert_eq!(make(wish(&[Right::Read], &["a."], DAY)), Ok(()));
    let more = make(wish(&[Right::Vote], &["a."], DAY));
    assert!(matches!(more, Err(TokenError::Beyond(_))));
    let longer = make(wish(&[Right::Read], &["a."], 3 * DAY));
    assert!(matches!(longer, Err(TokenError::Beyond(_))));
    assert_eq!(make(wish(&[], &[], DAY)), Err(TokenError::NoRight));
    assert_eq!(make(wish(&[Right::Read], &[], 1)), Err(TokenError::Life(1)));
    let long = TOKEN_LIFE_SECS_MAX + 1;
    assert_eq!(
        make(wish(&[Right::Read], &[], long)),
        Err(TokenError::Life(long))
    );
    assert_eq!(
        make(wish(&[Right::Read], &[], u64::MAX)),
        Err(TokenError::Life(u64::MAX))
    );
}

#[test]
fn tokens_are_bounded_and_ended_ones_make_room_after_a_while() {
    let held = callers(&Arc::new(Memory::default()));
    let whole = (&Permission::whole(), None);
    for _ in 0..TOKENS_MAX {
        held.make(wish(&[Right::Read], &[], DAY), whole, NOW)
            .unwrap();
    }
    let full = held.make(wish(&[Right::Read], &[], DAY), whole, NOW);
    assert_eq!(full.err(), Some(TokenError::TooMany));
    let later = NOW.plus_millis(DAY * 1_000 + SHOWN_AFTER_END_MS + 1);
    held.make(wish(&[Right::Read], &[], DAY), whole, later)
        .unwrap();
    assert_eq!(held.tokens().len(), 1);
}

#[test]
fn a_token_that_cannot_be_kept_is_not_made() {
    let store = Arc::new(Memory::default());
    let held = callers(&store);
    store
        .fails
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let whole = (&Permission::whole(), None);
    let failed = held.make(wish(&[Right::Read], &[], DAY), whole, NOW);
    assert!(matches!(failed, Err(TokenError::Store(_))));
    assert!(held.tokens().is_empty());
}

#[test]
fn other_clients_are_in_force_at_once() {
    let held = callers(&Arc::new(Memory::default()));
    let identity: Identity = "dns:ci.test".parse().unwrap();
    assert_eq!(held.by_identity(&identity), None);
    let read = Permission::new(vec![Right::Read], Vec::new());
    held.replace_clients(Clients::from([(identity.clone(), read.clone())]));
    assert_eq!(held.by_identity(&identity), Some(read));
}
