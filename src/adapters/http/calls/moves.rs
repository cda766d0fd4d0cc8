//! The calls about entries that move between scopes of several nodes.

use crate::service::permission::Right::{Govern, Propose, Read};
use crate::service::ports::Parts;

use super::super::moves;
use super::super::wire_moves::{MoveView, RefuseBody};
use super::{Call, Touched, get, post};

/// Callers of some scopes only are refused: a move is called by its petition, not by a name.
pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/moves",
            Read,
            "Entries that move from or to scopes of other nodes",
            moves::list::<P>,
        )
        .gives::<Vec<MoveView>>(),
        post(
            "/moves/{move}/admit",
            Govern,
            "Keeps a path for an entry of another node's scope",
            moves::admit::<P>,
        )
        .gives::<MoveView>(),
        post(
            "/moves/{move}/refuse",
            Govern,
            "Refuses an entry of another node's scope",
            moves::refuse::<P>,
        )
        .takes_with::<RefuseBody>(|_, _| Ok(Touched::Node))
        .gives::<MoveView>(),
        post(
            "/moves/{move}/cancel",
            Propose,
            "Takes a move back, as long as the entry did not leave",
            moves::cancel::<P>,
        )
        .gives::<MoveView>(),
    ]
}
