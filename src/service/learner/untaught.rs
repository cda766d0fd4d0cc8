//! Why what a peer proves is not believed.

use crate::namespace::scope::ScopeUid;

/// Why a proof that holds teaches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untaught {
    /// More is known already.
    #[error("it is behind: height {height} of scope {}, after {known}", .scope.short())]
    Behind {
        /// The scope.
        scope: ScopeUid,
        /// Where the proof has it.
        height: u64,
        /// Where it was proven to be before.
        known: u64,
    },
    /// Two blocks of one height have certificates.
    #[error("scope {} forked at height {height}: two blocks have certificates", .scope.short())]
    Forked {
        /// The scope.
        scope: ScopeUid,
        /// The height.
        height: u64,
    },
    /// It leads to another descriptor than the one that was proven for that epoch: anchors of the
    /// past, or of another future, made it.
    #[error("it leads scope {} to other anchors than were proven before", .scope.short())]
    Parted {
        /// The scope.
        scope: ScopeUid,
    },
}
