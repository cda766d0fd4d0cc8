//! The calls about scopes whose anchors are lost.

use crate::service::permission::Right::{Govern, Read};
use crate::service::ports::Parts;

use super::super::recoveries;
use super::super::wire::DoneView;
use super::super::wire_recoveries::{
    AnnounceRecoveryBody, ChildBody, RecoveryDelayBody, RecoveryOfferBody, RecoveryOfferView,
    RecoveryView,
};
use super::{Call, get, post, put};

/// The parent decides, so a caller of the child only is refused what changes the parent.
pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/scopes/{name}/recovery",
            Read,
            "What the scope above says of the recovery of a scope",
            recoveries::show::<P>,
        )
        .gives::<Option<RecoveryView>>(),
        put(
            "/scopes/{name}/recovery-delay",
            Govern,
            "For how long a recovery of the scope must be public",
            recoveries::set_delay::<P>,
        )
        .takes::<RecoveryDelayBody>()
        .gives::<DoneView>(),
        post(
            "/recovery-offers",
            Govern,
            "An offer to take over a scope whose anchors are lost",
            recoveries::offer::<P>,
        )
        .takes::<RecoveryOfferBody>()
        .gives::<RecoveryOfferView>(),
        post(
            "/scopes/{name}/recoveries",
            Govern,
            "Announces that other anchors will take over a scope below",
            recoveries::announce::<P>,
        )
        .takes::<AnnounceRecoveryBody>()
        .large()
        .gives::<DoneView>(),
        post(
            "/scopes/{name}/recoveries/confirm",
            Govern,
            "Puts an announced recovery in force",
            recoveries::confirm::<P>,
        )
        .takes::<ChildBody>()
        .gives::<DoneView>(),
        post(
            "/scopes/{name}/recoveries/abandon",
            Govern,
            "Takes an announced recovery back",
            recoveries::abandon::<P>,
        )
        .takes::<ChildBody>()
        .gives::<DoneView>(),
    ]
}
