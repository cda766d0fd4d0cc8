//! Record data that the program makes itself.

use std::net::IpAddr;

use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;

use super::Rdata;

/// One character string (RFC 1035 section 3.3) holds this many bytes.
const STRING_BYTES_MAX: usize = 255;

impl Rdata {
    /// The data of a type that is one name: CNAME, DNAME, NS, PTR.
    pub fn of_name(name: &Name) -> Self {
        Self(name.as_wire().into())
    }

    /// The type and the data of an address.
    pub fn of_address(address: IpAddr) -> (RecordType, Self) {
        match address {
            IpAddr::V4(address) => (RecordType::A, Self(address.octets().as_slice().into())),
            IpAddr::V6(address) => (RecordType::AAAA, Self(address.octets().as_slice().into())),
        }
    }

    /// The data of an SRV record of priority 0.
    pub fn of_srv((priority, weight): (u16, u16), port: u16, target: &Name) -> Self {
        let mut bytes = priority.to_be_bytes().to_vec();
        bytes.extend_from_slice(&weight.to_be_bytes());
        bytes.extend_from_slice(&port.to_be_bytes());
        bytes.extend_from_slice(target.as_wire());
        Self(bytes.into())
    }

    /// The data of an SOA: primary, mailbox, then serial, refresh, retry, expire and minimum.
    pub fn of_soa(primary: &Name, mailbox: &Name, numbers: [u32; 5]) -> Self {
        let mut bytes = primary.as_wire().to_vec();
        bytes.extend_from_slice(mailbox.as_wire());
        for number in numbers {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Self(bytes.into())
    }

    /// The data of a TXT record; a text above 255 bytes is cut.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut bytes = Vec::new();
        for text in texts {
            let text = text.as_bytes();
            let text = text.get(..STRING_BYTES_MAX).unwrap_or(text);
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text);
        }
        Self(bytes.into())
    }
}
