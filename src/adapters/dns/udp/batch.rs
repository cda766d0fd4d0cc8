//! `Inbox` and `Outbox`: datagrams in batches, one system call each, in memory that is used again.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    sendmmsg,
};
use nix::{cmsg_space, libc};
use tokio_util::sync::CancellationToken;

use crate::base::limits::{DATAGRAM_BYTES_MAX, UDP_PAYLOAD_MAX};

use super::door::{Local, UdpDoor};

/// Datagrams of one system call: more gain nothing, and let the first one wait for the last.
const BATCH: usize = 32;

/// Addresses of IPv4, or of IPv6: a socket sees one kind only.
pub(super) trait Family: SockaddrLike + Copy {
    /// Room for what the kernel says of a datagram's destination.
    fn room() -> Vec<u8>;
    /// The address as everything else knows it.
    fn std(self) -> SocketAddr;
}

impl Family for SockaddrIn {
    fn room() -> Vec<u8> {
        cmsg_space!(libc::in_pktinfo)
    }

    fn std(self) -> SocketAddr {
        SocketAddrV4::from(self).into()
    }
}

impl Family for SockaddrIn6 {
    fn room() -> Vec<u8> {
        cmsg_space!(libc::in6_pktinfo)
    }

    fn std(self) -> SocketAddr {
        SocketAddrV6::from(self).into()
    }
}

/// What came with the last call.
pub(super) struct Inbox<F> {
    headers: MultiHeaders<F>,
    buffers: Vec<[u8; DATAGRAM_BYTES_MAX]>,
    envelopes: [Option<(usize, F, Option<Local>)>; BATCH],
}

impl<F: Family> Inbox<F> {
    pub(super) fn new(door: &UdpDoor) -> Self {
        Self {
            headers: headers(door),
            buffers: vec![[0; DATAGRAM_BYTES_MAX]; BATCH],
            envelopes: [None; BATCH],
        }
    }

    /// Waits for datagrams and takes what is there. Once the node stops there is nothing.
    pub(super) fn receive(
        &mut self,
        door: &UdpDoor,
        stop: &CancellationToken,
    ) -> Result<(), Errno> {
        self.envelopes = [None; BATCH];
        let mut buffers = self.buffers.iter_mut();
        let mut next = || buffers.next().map_or(&mut [][..], |bytes| &mut bytes[..]);
        let mut slices: [_; BATCH] = std::array::from_fn(|_| [IoSliceMut::new(next())]);
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(door.fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        if stop.is_cancelled() && !door.is_shared() {
            // A wait that was ended is told as datagrams that nobody sent.
            return Ok(());
        }
        let mut is_told = true;
        for (message, envelope) in received.zip(&mut self.envelopes) {
            let mut local = None;
            if door.is_for_all() {
                local = message.cmsgs().ok().and_then(Local::of);
                is_told &= local.is_some();
            }
            *envelope = message.address.map(|from| (message.bytes, from, local));
        }
        if !is_told {
            // The kernel takes the room that it did not use for all that there is.
            self.headers = headers(door);
        }
        Ok(())
    }

    /// The datagrams: bytes, from where, and where to.
    pub(super) fn letters(&self) -> impl Iterator<Item = (&[u8], F, Option<Local>)> {
        let came = self.buffers.iter().zip(&self.envelopes);
        came.filter_map(|(bytes, envelope)| {
            let (length, from, local) = (*envelope)?;
            Some((bytes.get(..length)?, from, local))
        })
    }
}

fn headers<F: Family>(door: &UdpDoor) -> MultiHeaders<F> {
    MultiHeaders::preallocate(BATCH, door.is_for_all().then(F::room))
}

/// An answer on its way.
struct Letter<F> {
    to: Option<F>,
    local: Option<Local>,
    bytes: Vec<u8>,
}

/// Answers that leave together.
pub(super) struct Outbox<F> {
    plain: MultiHeaders<F>,
    told: MultiHeaders<F>,
    letters: [Letter<F>; BATCH],
    used: usize,
    /// Where an answer goes for which there is no room: an inbox holds no more than an outbox.
    spare: Vec<u8>,
}

impl<F: Family> Outbox<F> {
    pub(super) fn new() -> Self {
        let letter = |_| Letter {
            to: None,
            local: None,
            bytes: Vec::with_capacity(UDP_PAYLOAD_MAX),
        };
        Self {
            plain: MultiHeaders::preallocate(BATCH, None),
            told: MultiHeaders::preallocate(BATCH, Some(F::room())),
            letters: std::array::from_fn(letter),
            used: 0,
            spare: Vec::new(),
        }
    }

    /// Room for the bytes of one more answer.
    pub(super) fn place(&mut self, to: F, local: Option<Local>) -> &mut Vec<u8> {
        let Some(letter) = self.letters.get_mut(self.used) else {
            self.spare.clear();
            return &mut self.spare;
        };
        self.used += 1;
        letter.to = Some(to);
        letter.local = local;
        letter.bytes.clear();
        &mut letter.bytes
    }

    /// Takes the last place back if nothing was written there.
    pub(super) fn take_back_if_empty(&mut self) {
        let last = self.used.checked_sub(1);
        let letter = last.and_then(|last| self.letters.get(last));
        if letter.is_some_and(|letter| letter.bytes.is_empty()) {
            self.used -= 1;
        }
    }

    /// Sends everything. One that cannot be sent is given up: its client will ask again.
    pub(super) fn send(&mut self, door: &UdpDoor) {
        let used = std::mem::take(&mut self.used);
        let mut rest = self.letters.get(..used).unwrap_or_default();
        while let Some(first) = rest.first() {
            // What leaves from one address leaves together; nearly always that is everything.
            let alike = |letter: &Letter<F>| letter.local == first.local;
            let count = rest.iter().take_while(|letter| alike(letter)).count();
            let run = rest.get(..count).unwrap_or_default();
            let sent = match first.local {
                None => send_run(door, run, &mut self.plain, &[]),
                Some(local) => local.with(|said| send_run(door, run, &mut self.told, &[said])),
            };
            let done = match sent {
                Ok(sent) => sent.max(1),
                Err(Errno::EINTR) => 0,
                Err(error) => {
                    tracing::debug!(%error, "sending failed");
                    1
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
    }
}

/// Sends letters that leave from one address; how many left.
fn send_run<F: Family>(
    door: &UdpDoor,
    run: &[Letter<F>],
    headers: &mut MultiHeaders<F>,
    said: &[ControlMessage<'_>],
) -> Result<usize, Errno> {
    let bytes = |at: usize| run.get(at).map_or(&[][..], |letter| &letter.bytes);
    let slices: [_; BATCH] = std::array::from_fn(|at| [IoSlice::new(bytes(at))]);
    let to: [Option<F>; BATCH] = std::array::from_fn(|at| run.get(at).and_then(|l| l.to));
    let slices = slices.iter().take(run.len());
    let sent = sendmmsg(door.fd(), headers, slices, to, said, MsgFlags::empty())?;
    Ok(sent.count())
}
