//! A stream of messages, however it is cut into pieces, gives the messages that its lengths say, and
//! a piece that came costs no more memory than some pieces. A stream of QUIC gives one query, or is
//! none, however it is cut.

#![no_main]

use kedge::adapters::dns::{Frames, OneQuery, QueryFault};
use libfuzzer_sys::fuzz_target;

/// What may be reserved beside twice what came.
const SPARE: usize = 64 << 10;

/// The messages of a whole stream, and what is left of it.
fn messages(mut stream: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut found = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk() {
        let Some((message, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into())
        else {
            break;
        };
        found.push(message);
        stream = rest;
    }
    (found, stream)
}

/// What a stream of QUIC holds that comes in pieces.
fn query<'s>(pieces: impl Iterator<Item = &'s [u8]>) -> Result<Vec<u8>, QueryFault> {
    let mut query = OneQuery::default();
    for piece in pieces {
        query.add(piece)?;
    }
    query.finish().map(<[u8]>::to_vec)
}

fn is_one_query_or_none(stream: &[u8], length: usize) {
    let found = query(stream.chunks(length));
    assert_eq!(found, query(std::iter::once(stream)));
    if let Ok(message) = found {
        let (announced, rest) = stream.split_first_chunk().unwrap();
        assert_eq!(usize::from(u16::from_be_bytes(*announced)), rest.len());
        assert_eq!((&message[..], &message[..2]), (rest, &[0, 0][..]));
    }
}

fuzz_target!(|data: &[u8]| {
    // The first bytes say how long the pieces are, and after how many of them messages are taken.
    let Some(([length, waits], stream)) = data.split_first_chunk() else {
        return;
    };
    let (expected, left) = messages(stream);
    let mut frames = Frames::default();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let pieces = stream.chunks(usize::from(*length) + 1);
    let count = pieces.len();
    for (number, piece) in pieces.enumerate() {
        let room = frames.room();
        room.extend_from_slice(piece);
        assert!(room.capacity() <= 2 * stream.len() + SPARE);
        if number % (usize::from(*waits) + 1) == 0 || number + 1 == count {
            while let Some(message) = frames.take() {
                found.push(message.to_vec());
            }
            assert!(!frames.has_whole());
        }
    }
    assert_eq!(found, expected);
    is_one_query_or_none(stream, usize::from(*length) + 1);
    assert_eq!(frames.is_empty(), left.is_empty());
});
