//! Record data that the program makes itself.

use crate::namespace::name::Name;

use super::Rdata;

/// One character string (RFC 1035 section 3.3) holds this many bytes.
const STRING_BYTES_MAX: usize = 255;

impl Rdata {
    /// The data of a type that is one name: CNAME, DNAME, NS, PTR.
    pub fn of_name(name: &Name) -> Self {
        Self(name.as_wire().into())
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
