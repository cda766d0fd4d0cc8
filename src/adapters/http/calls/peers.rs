//! The calls about other nodes and what is followed there.

use crate::service::permission::Right::{Govern, Operate, Read};
use crate::service::ports::Parts;

use super::super::wire_peers::{
    InviteBody, JoinBody, JoinView, MirrorBody, MirrorView, NodeView, PeerView, SeatKeyBody,
    SeatKeyView, TicketView,
};
use super::super::{joins, peers};
use super::{Call, Touched, get, post, put};

pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/node",
            Read,
            "This node, as others see it",
            peers::node::<P>,
        )
        .gives::<NodeView>(),
        get("/peers", Operate, "The other nodes", peers::list::<P>).gives::<Vec<PeerView>>(),
        get(
            "/mirrors",
            Operate,
            "The scopes that are followed at other nodes",
            peers::mirrors::<P>,
        )
        .gives::<Vec<MirrorView>>(),
        put(
            "/mirrors/{name}",
            Govern,
            "Follows a scope at other nodes",
            peers::mirror::<P>,
        )
        .takes::<MirrorBody>()
        .gives::<MirrorView>(),
        post(
            "/mirrors/{name}/stop",
            Govern,
            "Follows a scope no longer; what is held of it stays",
            peers::stop::<P>,
        )
        .gives::<MirrorView>(),
        post(
            "/seat-keys",
            Govern,
            "A key of this node for a seat that another node will offer",
            joins::prepare::<P>,
        )
        .takes::<SeatKeyBody>()
        .gives::<SeatKeyView>(),
        post(
            "/scopes/{name}/invitations",
            Govern,
            "A ticket by which another node takes a seat",
            joins::invite::<P>,
        )
        .takes_with::<InviteBody>(|_, _| Ok(Touched::Node))
        .gives::<TicketView>(),
        post(
            "/joins",
            Govern,
            "Takes the seat that a ticket offers",
            joins::join::<P>,
        )
        .takes::<JoinBody>()
        .gives::<JoinView>(),
    ]
}
