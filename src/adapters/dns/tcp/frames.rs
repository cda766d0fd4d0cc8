//! `Frames`: the messages of a stream, each behind its length (RFC 1035 section 4.2.2).

/// What is read at once: some hundred questions.
const READ_BYTES: usize = 4 << 10;
/// Memory that a connection keeps while it is idle.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// What came over a stream and was not taken yet.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Where further bytes are added. It has room for some, but never for more than came already
    /// and one reading: who announces a long message must send it before it costs memory.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.taken >= READ_BYTES {
            drop(self.bytes.drain(..self.taken));
            self.taken = 0;
        }
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// The next message, if all of it is there.
    pub fn take(&mut self) -> Option<&[u8]> {
        let (length, message) = self.head()?;
        message.get(..length)?;
        let from = self.taken + size_of::<u16>();
        self.taken = from + length;
        self.bytes.get(from..self.taken)
    }

    /// Whether all of a message is there.
    pub fn has_whole(&self) -> bool {
        self.head()
            .is_some_and(|(length, message)| message.len() >= length)
    }

    /// Whether nothing is left of what came.
    pub fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The length of the next message, and what follows.
    fn head(&self) -> Option<(usize, &[u8])> {
        let left = self.bytes.get(self.taken..)?;
        let (length, message) = left.split_first_chunk()?;
        Some((u16::from_be_bytes(*length).into(), message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let length = |message: &Vec<u8>| u16::try_from(message.len()).unwrap().to_be_bytes();
        let frame = |message: &Vec<u8>| [&length(message)[..], message].concat();
        messages.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_stream_is_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..40),
            cuts in proptest::collection::vec(1_usize..2_000, 1..20),
        ) {
            let stream = framed(&messages);
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                frames.room().extend_from_slice(now);
                rest = later;
                while frames.has_whole() {
                    found.push(frames.take().unwrap().to_vec());
                }
                prop_assert!(frames.take().is_none());
            }
            prop_assert_eq!(found, messages);
            prop_assert!(frames.is_empty());
        }
    }

    #[test]
    fn a_message_that_is_announced_costs_memory_only_as_it_comes() {
        let mut frames = Frames::default();
        frames.room().extend_from_slice(&u16::MAX.to_be_bytes());
        frames.room().extend_from_slice(&[0; 64]);
        assert!(frames.room().capacity() < 4 * READ_BYTES);
        let left = usize::from(u16::MAX) - 64;
        for _ in 0..left {
            assert!(!frames.has_whole());
            frames.room().push(1);
        }
        assert_eq!(frames.take().unwrap().len(), usize::from(u16::MAX));
        assert!(frames.is_empty());
        assert!(frames.room().capacity() <= KEPT_BYTES_MAX, "given back");
    }
}
