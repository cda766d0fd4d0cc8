//! The calls about other nodes and what is followed there.

use crate::service::permission::Right::{Govern, Operate, Read};
use crate::service::ports::Parts;

use super::super::peers;
use super::super::wire_peers::{MirrorBody, MirrorView, NodeView, PeerView};
use super::{Call, get, post, put};

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
    ]
}
