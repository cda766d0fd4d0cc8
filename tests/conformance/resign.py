"""New keys for old scenarios.

Many scenarios are signed with DSA, which validators must not believe any more (RFC 8624 section 3.1), or
with RSA keys that are too short for most libraries. What they try is how signatures, proofs and chains are judged, not DSA: so each such key is
replaced by one of ECDSAP256SHA256, DS records follow, and every signature that held is made anew over the same
records, with the same times. A signature that did not hold is replaced by one that does not hold.
"""

import hashlib

import dns.dnssec
import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype as types
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.rdtypes.ANY.RRSIG
import dns.rrset
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from records import Record, canonical

# RSA/MD5, DSA, and DSA with NSEC3.
OLD_ALGORITHMS = (1, 3, 6)
RSA_ALGORITHMS = (5, 7, 8, 10)
# Shorter keys are not believed.
RSA_BITS_LEAST = 1024
ALGORITHM = 13
SHA256 = 2
HALF_BYTES = 32
DSA_ALGORITHMS = (3, 6)
DER_SEQUENCE = b"\x30"
DIGESTS = {1: hashlib.sha1, 2: hashlib.sha256, 4: hashlib.sha384}
IN = dns.rdataclass.IN


def rsa_bits(key):
    """How long the modulus of an RSA key is (RFC 3110 section 2); of other keys, enough."""
    if key.algorithm not in RSA_ALGORITHMS:
        return RSA_BITS_LEAST
    octets = key.key
    exponent = 1 + octets[0] if octets[0] else 3 + int.from_bytes(octets[1:3], "big")
    return 8 * (len(octets) - exponent)


def is_weak(key):
    return key.algorithm in OLD_ALGORITHMS or rsa_bits(key) < RSA_BITS_LEAST


def digest(owner, key, kind):
    made = DIGESTS.get(kind)
    return made(canonical(owner).to_wire() + key.to_wire()).digest() if made else None


def is_key_of(ds, key):
    """Whether a DS record names a key record."""
    same = dns.dnssec.key_id(key.rdata) == ds.rdata.key_tag and key.rdata.algorithm == ds.rdata.algorithm
    return same and digest(key.owner, key.rdata, ds.rdata.digest_type) == ds.rdata.digest


class Resigner:
    def __init__(self, scenario, anchors):
        entries = [entry for span in scenario.ranges for entry in span.entries]
        entries += [step.entry for step in scenario.steps if step.entry]
        self.sections = [entry.sections for entry in entries]
        records = [row for sections in self.sections for rows in sections.values() for row in rows] + anchors
        self.keys = {row.key(): row for row in records if row.kind == types.DNSKEY}.values()
        self.weak = [key for key in self.keys if is_weak(key.rdata)]
        self.private = {}
        self.signatures = {}

    def run(self):
        """Changes the scenario."""
        if not self.weak:
            return
        for sections in self.sections:
            # Some scenarios have a signature in another section than what it signs.
            self.note_signatures([row for rows in sections.values() for row in rows])
        for sections in self.sections:
            for name, rows in sections.items():
                sections[name] = [self.changed(row) for row in rows]

    def pair(self, key):
        """The private key that stands for an old one."""
        return self.private.setdefault(key.rdata.key, ec.generate_private_key(ec.SECP256R1()))

    def new_key(self, key):
        octets = self.pair(key).public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        # Without the byte that says how the point is written.
        rdata = key.rdata
        return dns.rdtypes.ANY.DNSKEY.DNSKEY(IN, types.DNSKEY, rdata.flags, rdata.protocol, ALGORITHM, octets[1:])

    def signer(self, row):
        sig = row.rdata
        for key in self.weak:
            same = canonical(key.owner) == canonical(sig.signer) and key.rdata.algorithm == sig.algorithm
            if same and dns.dnssec.key_id(key.rdata) == sig.key_tag:
                return key
        return None

    def note_signatures(self, rows):
        """Makes each signature anew that holds for the records beside it."""
        for row in rows:
            if row.kind != types.RRSIG or self.signatures.get(row.key()):
                continue
            key = self.signer(row)
            own = [r for r in rows if canonical(r.owner) == canonical(row.owner) and r.kind == row.rdata.covers()]
            if key is None or not own:
                continue
            old = dns.rrset.from_rdata_list(row.owner, row.ttl, [record.rdata for record in own])
            if holds(old, row.rdata, key):
                new = dns.rrset.from_rdata_list(row.owner, row.ttl, [self.changed(record).rdata for record in own])
                self.signatures[row.key()] = self.sign(new, row.rdata, key)

    def sign(self, rrset, sig, key):
        made = self.new_signature(sig, key, b"")
        octets = dns.dnssec._make_rrsig_signature_data(rrset, made)
        signature = self.pair(key).sign(octets, ec.ECDSA(hashes.SHA256()))
        halves = utils.decode_dss_signature(signature)
        return self.new_signature(sig, key, b"".join(half.to_bytes(HALF_BYTES, "big") for half in halves))

    def new_signature(self, sig, key, signature):
        tag = dns.dnssec.key_id(self.new_key(key))
        return dns.rdtypes.ANY.RRSIG.RRSIG(
            IN, types.RRSIG, sig.type_covered, ALGORITHM, sig.labels, sig.original_ttl, sig.expiration, sig.inception,
            tag, sig.signer, signature,
        )

    def changed(self, row):
        """The record that stands for a record."""
        rdata = row.rdata
        if row.kind == types.DNSKEY and is_weak(rdata):
            rdata = self.new_key(row)
        elif row.kind == types.DS:
            own = (key for key in self.weak if canonical(key.owner) == canonical(row.owner))
            key = next((key for key in own if is_key_of(row, key)), None)
            if key is not None:
                new = self.new_key(key)
                octets = digest(row.owner, new, SHA256)
                rdata = dns.rdtypes.ANY.DS.DS(IN, types.DS, dns.dnssec.key_id(new), ALGORITHM, SHA256, octets)
        elif row.kind == types.RRSIG and (key := self.signer(row)):
            broken = hashlib.sha512(rdata.signature).digest()
            rdata = self.signatures.get(row.key()) or self.new_signature(rdata, key, broken)
        return Record(row.owner, row.ttl, row.rdclass, row.kind, rdata)


def holds(rrset, sig, key):
    """Whether a signature is one of these records, whatever the time."""
    keys = {canonical(key.owner): dns.rrset.from_rdata_list(key.owner, 0, [key.rdata])}
    try:
        if sig.algorithm in DSA_ALGORITHMS:
            return dsa_holds(dns.dnssec._make_rrsig_signature_data(rrset, sig), sig.signature, key.rdata.key)
        dns.dnssec.validate_rrsig(rrset, sig, keys, now=sig.inception)
        return True
    except (dns.exception.DNSException, ValueError):
        return False


def dsa_holds(octets, signature, key):
    """RFC 2536; libraries refuse keys as short as these."""
    length = 64 + 8 * key[0]
    number = int.from_bytes
    q = number(key[1:21], "big")
    p, g, y = (number(key[21 + at * length : 21 + (at + 1) * length], "big") for at in range(3))
    if signature[:1] == DER_SEQUENCE:
        # As OpenSSL writes them.
        r, s = utils.decode_dss_signature(signature)
    else:
        r, s = number(signature[1:21], "big"), number(signature[21:41], "big")
    w = pow(s, -1, q)
    h = number(hashlib.sha1(octets).digest(), "big")
    return pow(g, h * w % q, p) * pow(y, r * w % q, p) % p % q == r
