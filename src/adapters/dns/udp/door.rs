//! `UdpDoor`: one of the sockets of an address, and the address of this node that was asked.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams that the kernel keeps while a thread is busy.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
/// A thread that waits looks this often whether the node stops, should nobody wake it.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// A bound socket. Several of them share one address, and the kernel deals clients out to them.
#[derive(Debug)]
pub struct UdpDoor {
    socket: Socket,
    address: SocketAddr,
    /// Whether somebody else holds it too, and may hand it to the next process.
    is_shared: bool,
}

impl UdpDoor {
    /// As many sockets as wanted for one address. The first one takes it alone, so that an address
    /// that another program serves is not shared with it.
    pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        let first = Self::new(address, false)?;
        first.socket.set_reuse_port(true)?;
        let address = first.address;
        let mut doors = vec![first];
        for _ in 1..count {
            doors.push(Self::new(address, true)?);
        }
        Ok(doors)
    }

    /// As many doors as wanted, and at least one for each of these sockets, which somebody else bound
    /// to one address and keeps open. Doors beyond the number of sockets are further ones to the same
    /// queues: a socket of our own beside them could not be bound by another account.
    pub fn handed_over(sockets: &[Socket], count: usize) -> io::Result<Vec<Self>> {
        let count = count.max(sockets.len());
        let sockets = sockets.iter().cycle().take(count);
        sockets.map(Self::shared).collect()
    }

    fn shared(socket: &Socket) -> io::Result<Self> {
        let socket = socket.try_clone()?;
        let bound = socket.local_addr()?.as_socket();
        let address = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.set_nonblocking(false)?;
        equip(&socket, address)?;
        Ok(Self {
            socket,
            address,
            is_shared: true,
        })
    }

    fn new(address: SocketAddr, shares: bool) -> io::Result<Self> {
        let (domain, protocol) = (Domain::for_address(address), Some(Protocol::UDP));
        let socket = Socket::new(domain, Type::DGRAM, protocol)?;
        if address.is_ipv6() {
            // Each address of the configuration is its own socket.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_port(shares)?;
        equip(&socket, address)?;
        socket.bind(&address.into())?;
        let bound = socket.local_addr()?.as_socket();
        let address = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            socket,
            address,
            is_shared: false,
        })
    }

    /// Where it is bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it takes datagrams for every address of this node.
    pub(super) fn is_for_all(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    /// Whether somebody else holds the socket too.
    pub(super) const fn is_shared(&self) -> bool {
        self.is_shared
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Ends the wait of its thread. The kernel says that the socket is not connected, and wakes
    /// who waits. Of a socket that outlives this process it would say so for ever; there the thread looks
    /// up by itself.
    pub(super) fn wake(&self) {
        if self.is_shared {
            return;
        }
        if let Err(error) = self.socket.shutdown(Shutdown::Read) {
            tracing::trace!(%error, "woken");
        }
    }
}

/// What a socket for datagrams to an address needs, whoever bound it.
fn equip(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_read_timeout(Some(LOOK_UP_EVERY))?;
    // A socket of one address answers from it anyway.
    let is_for_all = address.ip().is_unspecified();
    if address.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &is_for_all)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &is_for_all)?;
    }
    Ok(())
}

/// The address of this node that a datagram was sent to; its answer leaves from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    /// IPv4.
    V4(Ipv4Addr),
    /// IPv6, and the interface, which an address of one link needs.
    V6(Ipv6Addr, libc::c_uint),
}

impl Local {
    /// What the kernel said beside a datagram.
    pub(super) fn of(said: impl Iterator<Item = ControlMessageOwned>) -> Option<Self> {
        for message in said {
            match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    // Of a broadcast, the address of the interface.
                    return Some(Self::V4(info.ipi_spec_dst.s_addr.to_ne_bytes().into()));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    return (!address.is_multicast())
                        .then_some(Self::V6(address, info.ipi6_ifindex));
                }
                _ => {}
            }
        }
        None
    }

    /// Lets `send` have what tells the kernel to send from here.
    pub(super) fn with<T>(self, send: impl FnOnce(ControlMessage<'_>) -> T) -> T {
        match self {
            Self::V4(address) => {
                let address = libc::in_addr {
                    s_addr: libc::in_addr_t::from_ne_bytes(address.octets()),
                };
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: address,
                    ipi_addr: address,
                };
                send(ControlMessage::Ipv4PacketInfo(&info))
            }
            Self::V6(address, interface) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ipi6_ifindex: interface,
                };
                send(ControlMessage::Ipv6PacketInfo(&info))
            }
        }
    }
}

/// Sends one datagram without waiting for room.
pub(super) fn send_alone(
    door: &UdpDoor,
    bytes: &[u8],
    to: SocketAddr,
    local: Option<Local>,
) -> Result<(), Errno> {
    let (to, parts) = (SockaddrStorage::from(to), [IoSlice::new(bytes)]);
    let send = |said: &[ControlMessage<'_>]| {
        sendmsg(door.fd(), &parts, said, MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
    };
    match local {
        None => send(&[]),
        Some(local) => local.with(|said| send(&[said])),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, UdpSocket};

    use super::*;

    #[test]
    fn doors_of_a_port_that_the_system_chose_share_it() {
        let doors = UdpDoor::bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let first = doors.first().unwrap().address();
        assert_ne!(first.port(), 0);
        assert!(doors.iter().all(|door| door.address() == first));
    }

    #[test]
    fn an_address_that_is_served_is_not_shared_with_who_serves_it() {
        let other = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        other.set_reuse_port(true).unwrap();
        other
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let taken = other.local_addr().unwrap().as_socket().unwrap();
        let error = UdpDoor::bind(taken, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let doors = UdpDoor::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        assert!(UdpSocket::bind(doors.first().unwrap().address()).is_err());
    }

    #[test]
    fn a_socket_that_was_handed_over_has_doors_for_all_threads_and_outlives_them() {
        let manager = UdpSocket::bind("127.0.0.1:0").unwrap();
        manager.set_nonblocking(true).unwrap();
        let address = manager.local_addr().unwrap();
        let handed = || [Socket::from(manager.try_clone().unwrap())];
        let doors = UdpDoor::handed_over(&handed(), 3).unwrap();
        assert_eq!(doors.len(), 3);
        assert!(doors.iter().all(|door| door.address() == address));
        doors.iter().for_each(UdpDoor::wake);
        drop(doors);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"asked meanwhile", address).unwrap();
        let next = UdpDoor::handed_over(&handed(), 1).unwrap().pop().unwrap();
        let socket: UdpSocket = next.socket.into();
        let mut bytes = [0; 32];
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes.get(..length), Some(b"asked meanwhile".as_slice()));
        let nothing = socket.recv_from(&mut bytes).unwrap_err();
        assert_eq!(
            nothing.kind(),
            io::ErrorKind::WouldBlock,
            "it waits, and is not over"
        );
    }

    #[test]
    fn each_of_several_sockets_that_were_handed_over_has_a_door() {
        let [first, second] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let bound = [&first, &second].map(|socket| socket.local_addr().unwrap());
        let sockets = [first, second].map(Socket::from);
        for (count, expected) in [(1, 2), (3, 3)] {
            let doors = UdpDoor::handed_over(&sockets, count).unwrap();
            assert_eq!(doors.len(), expected);
            let all = |address| doors.iter().any(|door| door.address() == address);
            assert!(bound.into_iter().all(all));
        }
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for (all, asked) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
            let door = UdpDoor::bind(all.parse().unwrap(), 1).unwrap().pop();
            let door = door.unwrap();
            let asked: IpAddr = asked.parse().unwrap();
            let client = UdpSocket::bind(SocketAddr::new(
                if asked.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    asked
                },
                0,
            ))
            .unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let local = match asked {
                IpAddr::V4(address) => Local::V4(address),
                IpAddr::V6(address) => Local::V6(address, 0),
            };
            let to = client.local_addr().unwrap();
            send_alone(&door, b"answer", to, Some(local)).unwrap();
            let mut bytes = [0; 16];
            let (length, from) = client.recv_from(&mut bytes).unwrap();
            assert_eq!(bytes.get(..length), Some(b"answer".as_slice()));
            assert_eq!(from, SocketAddr::new(asked, door.address().port()));
        }
    }
}
