//! What a caller of the admin API may do: rights, and the names they hold for.

use std::fmt;
use std::str::FromStr;

use crate::namespace::name::Name;

/// One kind of call. The set is closed: what a call needs is written in the table of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To see what names, scopes and proposals hold.
    Read,
    /// To propose changes of names, and to take them back.
    Propose,
    /// To approve and reject with the seats of this node, and to hand in votes of others.
    Vote,
    /// To found scopes, and to change who governs them.
    Govern,
    /// To announce instances of services.
    Announce,
    /// To let devices prove themselves.
    Prove,
    /// To look after the node: reload, verification, findings, audit log, zone files.
    Operate,
    /// To make tokens and to revoke them.
    Admin,
}

/// A word that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected read, propose, vote, govern, announce, prove, operate or admin")]
pub struct BadRight;

impl Right {
    /// Every right, in order.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Propose,
        Self::Vote,
        Self::Govern,
        Self::Announce,
        Self::Prove,
        Self::Operate,
        Self::Admin,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Propose => "propose",
            Self::Vote => "vote",
            Self::Govern => "govern",
            Self::Announce => "announce",
            Self::Prove => "prove",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Right {
    type Err = BadRight;

    fn from_str(text: &str) -> Result<Self, BadRight> {
        let mut all = Self::ALL.into_iter();
        all.find(|right| right.word() == text).ok_or(BadRight)
    }
}

/// Rights, and the names they hold for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    rights: Vec<Right>,
    /// None for every name, and for the node itself.
    scopes: Vec<Name>,
}

impl Permission {
    /// Rights at and below some names; without names, everywhere.
    pub fn new(mut rights: Vec<Right>, mut scopes: Vec<Name>) -> Self {
        rights.sort_unstable();
        rights.dedup();
        scopes.sort_unstable();
        scopes.dedup();
        Self { rights, scopes }
    }

    /// Everything, everywhere.
    pub fn whole() -> Self {
        Self::new(Right::ALL.to_vec(), Vec::new())
    }

    /// The rights, in order, each once.
    pub fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// The names; none for everywhere.
    pub fn scopes(&self) -> &[Name] {
        &self.scopes
    }

    /// Whether a right is among them.
    pub fn has(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Whether it holds for every name, and thus for the node itself.
    pub fn is_everywhere(&self) -> bool {
        self.scopes.is_empty()
    }

    /// Whether it holds for a name.
    pub fn covers(&self, name: &Name) -> bool {
        self.is_everywhere() || self.scopes.iter().any(|scope| name.is_within(scope))
    }

    /// Whether it holds wherever another one does, and for as much: nobody hands on what they
    /// have not.
    pub fn includes(&self, other: &Self) -> bool {
        let everywhere = self.is_everywhere()
            || (!other.is_everywhere() && other.scopes.iter().all(|name| self.covers(name)));
        everywhere && other.rights.iter().all(|right| self.has(*right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn words_and_rights_are_the_same() {
        for right in Right::ALL {
            assert_eq!(right.to_string().parse(), Ok(right));
        }
        assert_eq!("all".parse::<Right>(), Err(BadRight));
    }

    #[test]
    fn a_permission_holds_at_and_below_its_names() {
        let eu = Permission::new(vec![Right::Read], names(&["eu.mesh.internal."]));
        for (name, covered) in [
            ("eu.mesh.internal.", true),
            ("api.eu.mesh.internal.", true),
            ("mesh.internal.", false),
            ("neu.mesh.internal.", false),
            ("eu.mesh.internal.example.", false),
            (".", false),
        ] {
            assert_eq!(eu.covers(&name.parse().unwrap()), covered, "{name}");
        }
        assert!(eu.has(Right::Read) && !eu.has(Right::Propose));
        assert!(Permission::whole().covers(&Name::root()));
    }

    #[test]
    fn nobody_hands_on_what_they_have_not() {
        let rights = vec![Right::Read, Right::Admin];
        let eu = Permission::new(rights.clone(), names(&["eu.mesh.internal."]));
        let api = Permission::new(vec![Right::Read], names(&["api.eu.mesh.internal."]));
        let everywhere = Permission::new(rights, Vec::new());
        assert!(eu.includes(&api) && eu.includes(&eu) && everywhere.includes(&eu));
        assert!(!api.includes(&eu) && !eu.includes(&everywhere));
        let more = Permission::new(vec![Right::Vote], names(&["eu.mesh.internal."]));
        assert!(!eu.includes(&more) && Permission::whole().includes(&more));
    }
}
