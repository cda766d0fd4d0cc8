//! `OneQuery`: what a client sends on one stream, which is one message behind its length (RFC 9250
//! section 4.2).

use super::super::decode::decode;

/// The octets of a length.
const LENGTH_BYTES: usize = size_of::<u16>();
/// A header (RFC 1035 section 4.1.1); what is shorter cannot even be refused.
const HEADER_BYTES: usize = 12;

/// Why what came on a stream is no query. Each is fatal to the connection (RFC 9250 section 4.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// The stream ended before its message did.
    #[error("a stream ended within its message")]
    Unfinished,
    /// Something follows the message.
    #[error("a stream holds more than one message")]
    Surplus,
    /// It is shorter than any message.
    #[error("a message is shorter than a header")]
    Short,
    /// Streams tell messages apart, so that their IDs are 0.
    #[error("a message has an ID other than 0")]
    Id,
    /// QUIC has its own way to say how long a connection may be idle.
    #[error("a message has the option edns-tcp-keepalive")]
    Keepalive,
}

/// A query, as far as it came.
#[derive(Debug, Default)]
pub struct OneQuery {
    bytes: Vec<u8>,
}

impl OneQuery {
    /// Adds what came. Nothing is kept beyond the length that was announced, and what was announced
    /// costs memory only as it comes.
    pub fn add(&mut self, piece: &[u8]) -> Result<(), QueryFault> {
        self.bytes.extend_from_slice(piece);
        match self.head() {
            Some((length, message)) if message.len() > length => Err(QueryFault::Surplus),
            _ => Ok(()),
        }
    }

    /// The message, when the stream ended.
    pub fn finish(&self) -> Result<&[u8], QueryFault> {
        let (length, message) = self.head().ok_or(QueryFault::Unfinished)?;
        if message.len() < length {
            return Err(QueryFault::Unfinished);
        }
        if length < HEADER_BYTES {
            return Err(QueryFault::Short);
        }
        if !message.starts_with(&[0, 0]) {
            return Err(QueryFault::Id);
        }
        match decode(message).edns() {
            Some(edns) if edns.keepalive => Err(QueryFault::Keepalive),
            _ => Ok(message),
        }
    }

    /// The octets that are held.
    pub const fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    fn head(&self) -> Option<(usize, &[u8])> {
        let (length, message) = self.bytes.split_first_chunk::<LENGTH_BYTES>()?;
        Some((u16::from_be_bytes(*length).into(), message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A question for the root's servers, with these octets of options if there is OPT at all.
    fn message(options: Option<&[u8]>) -> Vec<u8> {
        let count = u8::from(options.is_some());
        let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, count];
        bytes.extend([0, 0, 2, 0, 1]);
        if let Some(options) = options {
            bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
            bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            bytes.extend(options);
        }
        bytes
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).unwrap();
        [&length.to_be_bytes(), message].concat()
    }

    fn read(stream: &[u8]) -> Result<Vec<u8>, QueryFault> {
        let mut query = OneQuery::default();
        query.add(stream)?;
        query.finish().map(<[u8]>::to_vec)
    }

    #[test]
    fn one_message_with_nothing_after_it_is_a_query() {
        for options in [None, Some(&[][..]), Some(&[0, 12, 0, 2, 0, 0])] {
            let message = message(options);
            assert_eq!(read(&framed(&message)), Ok(message));
        }
    }

    #[test]
    fn what_is_none_is_named() {
        let good = framed(&message(None));
        assert_eq!(read(&[]), Err(QueryFault::Unfinished));
        assert_eq!(read(&good[..1]), Err(QueryFault::Unfinished));
        assert_eq!(read(&good[..good.len() - 1]), Err(QueryFault::Unfinished));
        assert_eq!(read(&[&good[..], &[0]].concat()), Err(QueryFault::Surplus));
        assert_eq!(read(&good.repeat(2)), Err(QueryFault::Surplus));
        assert_eq!(read(&framed(&[0; 11])), Err(QueryFault::Short));
        for (at, bit) in [(2, 1), (3, 128)] {
            let mut named = good.clone();
            named[at] |= bit;
            assert_eq!(read(&named), Err(QueryFault::Id));
        }
        // Without a value, as clients send it, and with one.
        for option in [&[0, 11, 0, 0][..], &[0, 11, 0, 2, 0, 9]] {
            let message = message(Some(option));
            assert_eq!(read(&framed(&message)), Err(QueryFault::Keepalive));
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_it_is_cut(
            stream in proptest::collection::vec(any::<u8>(), 0..80),
            announced in 0_u8..90,
            cut in 1_usize..20,
        ) {
            let stream = [&[0, announced][..], &stream].concat();
            let mut query = OneQuery::default();
            let added = stream.chunks(cut).try_for_each(|piece| query.add(piece));
            let pieces = added.and_then(|()| query.finish().map(<[u8]>::to_vec));
            prop_assert_eq!(pieces, read(&stream));
            prop_assert!(query.byte_count() <= 2 + usize::from(announced) + cut);
        }
    }
}
