"""All authorities of a scenario at once: every address, port 53, UDP and TCP."""

import ipaddress
import select
import socket
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

PORT = 53
LOOK_EVERY = 0.2
TCP_PATIENCE = 2.0
# Without EDNS (RFC 1035 section 2.3.4).
UDP_BYTES = 512
# <linux/in.h>, <linux/in6.h>; not in every version of the module.
IP_PKTINFO = 8
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50
# To answer from addresses that no interface has.
IPV6_FREEBIND = 78


def server_socket(family, kind):
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM and family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    if kind == socket.SOCK_DGRAM and family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    made.bind(("0.0.0.0" if family == socket.AF_INET else "::", PORT))
    if kind == socket.SOCK_STREAM:
        made.listen(16)
    return made


class Authorities(threading.Thread):
    """Answers as the script of the moment says; there is one script at a time."""

    def __init__(self):
        super().__init__(daemon=True)
        families, kinds = (socket.AF_INET, socket.AF_INET6), (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        self.sockets = [server_socket(family, kind) for family in families for kind in kinds]
        self.script = None

    def run(self):
        while True:
            ready, _, _ = select.select(self.sockets, [], [], LOOK_EVERY)
            for one in ready:
                try:
                    if one.type == socket.SOCK_DGRAM:
                        self.datagram(one)
                    else:
                        stream, _ = one.accept()
                        threading.Thread(target=self.stream, args=(stream,), daemon=True).start()
                except OSError:
                    # Whoever asked is gone.
                    continue

    def answer(self, wire, address, over_tcp):
        script = self.script
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        reply = script.reply(address, query, over_tcp) if script else None
        if reply is None:
            return None
        wire = reply.to_wire(max_size=65535)
        most = query.payload if query.edns >= 0 else UDP_BYTES
        if not over_tcp and len(wire) > most:
            reply.flags |= dns.flags.TC
            reply.answer, reply.authority, reply.additional = [], [], []
            wire = reply.to_wire()
        return wire

    def datagram(self, one):
        wire, ancillary, _, sender = one.recvmsg(65535, 128)
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                address = socket.inet_ntop(socket.AF_INET, value[8:12])
                # From the address that was asked: index of none, source, ignored.
                info = struct.pack("i4s4s", 0, value[8:12], b"\0" * 4)
            elif level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
                address = str(ipaddress.IPv6Address(value[:16]))
                info = value[:16] + struct.pack("i", 0)
            else:
                continue
            if answer := self.answer(wire, address, False):
                one.sendmsg([answer], [(level, kind, info)], 0, sender)

    def stream(self, stream):
        with stream:
            stream.settimeout(TCP_PATIENCE)
            address = stream.getsockname()[0]
            try:
                while head := stream.recv(2, socket.MSG_WAITALL):
                    wire = stream.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
                    answer = self.answer(wire, address, True)
                    if answer is None:
                        return
                    stream.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                return
