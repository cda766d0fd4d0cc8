//! The calls about instances of services.

use crate::service::permission::Right::{Announce, Read};
use crate::service::ports::Parts;

use super::super::leases;
use super::super::wire_leases::{AnnounceBody, LeaseView, LeaveBody, ServiceView};
use super::super::wire_proposals::SignedBody;
use super::{Call, bodies, get, post, put};

pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        post(
            "/leases",
            Announce,
            "Takes a lease that was signed elsewhere",
            leases::take::<P>,
        )
        .takes_with::<SignedBody>(bodies::signed_lease)
        .gives::<LeaseView>(),
        get(
            "/names/{name}/instances",
            Read,
            "The instances of a service",
            leases::list::<P>,
        )
        .gives::<ServiceView>(),
        put(
            "/names/{name}/instances/{instance}",
            Announce,
            "Announces an instance with a key of this node",
            leases::announce::<P>,
        )
        .takes::<AnnounceBody>()
        .gives::<LeaseView>(),
        post(
            "/names/{name}/instances/{instance}/drain",
            Announce,
            "Takes an instance out of the service's answer",
            leases::drain::<P>,
        )
        .takes::<LeaveBody>()
        .gives::<LeaseView>(),
        post(
            "/names/{name}/instances/{instance}/resume",
            Announce,
            "Puts a drained instance back",
            leases::resume::<P>,
        )
        .takes::<LeaveBody>()
        .gives::<LeaseView>(),
        post(
            "/names/{name}/instances/{instance}/end",
            Announce,
            "Ends an instance",
            leases::end::<P>,
        )
        .takes::<LeaveBody>()
        .gives::<LeaseView>(),
    ]
}
