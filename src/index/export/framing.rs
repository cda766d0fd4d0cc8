//! The outer form of an export, read as it comes in: header, lengths, links, digest.

use crate::base::canonical::{DecodeError, Form};
use crate::base::digest::{Digest, DigestStream};
use crate::base::limits::EXPORT_LINK_BYTES_MAX;

use super::{HEADER_BYTES, Header};

/// The bytes of a length.
const LENGTH_BYTES: usize = 4;
/// The bytes of the digest at the end.
const DIGEST_BYTES: usize = 32;
/// What is reserved for a link before its bytes are there, whatever its length says.
const RESERVED_BYTES_MAX: usize = 1 << 20;

/// Why bytes are no whole export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportFault {
    /// Something else.
    #[error("this is no export of a scope")]
    Foreign,
    /// Written by a newer program.
    #[error("the export has version {found}; this program reads version {known}")]
    Version {
        /// The version found.
        found: u8,
        /// The version that is read.
        known: u8,
    },
    /// The header cannot be one.
    #[error("the export's header is damaged: {0}")]
    Header(DecodeError),
    /// A link says that it is longer than any link.
    #[error("the export is damaged: link {link} claims {byte_count} bytes")]
    Length {
        /// The link, counted from 1.
        link: u64,
        /// What it claims.
        byte_count: u32,
    },
    /// The bytes end early.
    #[error("the export is cut off after {links_whole} of its {links} links")]
    Cut {
        /// Links that are there.
        links_whole: u64,
        /// Links that should be; 0 where the header is cut off, too.
        links: u64,
    },
    /// Bytes after the end.
    #[error("bytes follow the end of the export")]
    Trailing,
    /// The digest at the end is not that of the bytes before it.
    #[error("the export is damaged: its digest is {written}, its bytes give {computed}")]
    Digest {
        /// The digest at the end.
        written: Digest,
        /// The digest of the bytes.
        computed: Digest,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Length,
    Link { left: usize },
    Digest,
    End,
}

/// Takes an export in parts of any size. Keeps nothing, or one link at a time.
#[derive(Debug)]
pub struct Framing {
    part: Part,
    /// What has come of the part under way.
    partial: Vec<u8>,
    is_kept: bool,
    stream: DigestStream,
    header: Option<Header>,
    links_whole: u64,
}

impl Framing {
    /// Looks at lengths and digest only.
    pub fn judging() -> Self {
        Self {
            part: Part::Header,
            partial: Vec::new(),
            is_kept: false,
            stream: DigestStream::new(Header::LABEL),
            header: None,
            links_whole: 0,
        }
    }

    /// Gives out every link, too, before it is known whether the digest holds.
    pub fn keeping() -> Self {
        Self {
            is_kept: true,
            ..Self::judging()
        }
    }

    /// The header, once it has come.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Takes the next bytes; `each` gets the links that are kept, without their lengths.
    pub fn push<E: From<ExportFault>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Header, Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            bytes = match self.part {
                Part::Link { left } => self.link_bytes(bytes, left, &mut each)?,
                Part::Header => self.fixed(bytes, HEADER_BYTES)?,
                Part::Length => self.fixed(bytes, LENGTH_BYTES)?,
                Part::Digest => self.fixed(bytes, DIGEST_BYTES)?,
                Part::End => return Err(ExportFault::Trailing.into()),
            };
        }
        Ok(())
    }

    fn link_bytes<'b, E>(
        &mut self,
        bytes: &'b [u8],
        left: usize,
        each: &mut impl FnMut(Header, Vec<u8>) -> Result<(), E>,
    ) -> Result<&'b [u8], E> {
        let (mine, rest) = bytes.split_at(left.min(bytes.len()));
        self.stream.push(mine);
        if self.is_kept {
            if self.partial.capacity() == 0 {
                self.partial.reserve(left.min(RESERVED_BYTES_MAX));
            }
            self.partial.extend_from_slice(mine);
        }
        let left = left - mine.len();
        if left > 0 {
            self.part = Part::Link { left };
            return Ok(rest);
        }
        self.links_whole += 1;
        self.part = self.after_link();
        let link = std::mem::take(&mut self.partial);
        if let (true, Some(header)) = (self.is_kept, self.header) {
            each(header, link)?;
        }
        Ok(rest)
    }

    fn after_link(&self) -> Part {
        let links = self.header.map_or(0, |header| header.links);
        if self.links_whole < links {
            Part::Length
        } else {
            Part::Digest
        }
    }

    /// Collects a part of fixed size; gives what follows it.
    fn fixed<'b>(&mut self, bytes: &'b [u8], size: usize) -> Result<&'b [u8], ExportFault> {
        let wanted = size.saturating_sub(self.partial.len()).min(bytes.len());
        let (mine, rest) = bytes.split_at(wanted);
        self.partial.extend_from_slice(mine);
        if self.partial.len() == size {
            let whole = std::mem::take(&mut self.partial);
            self.part = self.after(&whole)?;
        }
        Ok(rest)
    }

    fn after(&mut self, whole: &[u8]) -> Result<Part, ExportFault> {
        if self.part == Part::Digest {
            let computed = self.stream.digest();
            let written = whole.try_into().map_or(Digest::ZERO, Digest::from_bytes);
            return if written == computed {
                Ok(Part::End)
            } else {
                Err(ExportFault::Digest { written, computed })
            };
        }
        self.stream.push(whole);
        if self.part == Part::Header {
            self.header = Some(header(whole)?);
            return Ok(Part::Length);
        }
        let byte_count = whole.try_into().map_or(u32::MAX, u32::from_be_bytes);
        match usize::try_from(byte_count) {
            Ok(left) if (1..=EXPORT_LINK_BYTES_MAX).contains(&left) => Ok(Part::Link { left }),
            _ => Err(ExportFault::Length {
                link: self.links_whole + 1,
                byte_count,
            }),
        }
    }

    /// Ends the reading: everything was there, and the digest held. Gives header and digest.
    pub fn finish(self) -> Result<(Header, Digest), ExportFault> {
        match (self.part, self.header) {
            (Part::End, Some(header)) => Ok((header, self.stream.digest())),
            (Part::Header, _) if !opening().starts_with(prefix(&self.partial)) => {
                Err(ExportFault::Foreign)
            }
            (_, header) => Err(ExportFault::Cut {
                links_whole: self.links_whole,
                links: header.map_or(0, |header| header.links),
            }),
        }
    }
}

/// What every export begins with: the label with its length.
fn opening() -> Vec<u8> {
    let label = Header::LABEL.as_bytes();
    let mut opening = vec![u8::try_from(label.len()).unwrap_or(u8::MAX)];
    opening.extend_from_slice(label);
    opening
}

/// As much of the bytes as the opening is long.
fn prefix(bytes: &[u8]) -> &[u8] {
    let length = bytes.len().min(1 + Header::LABEL.len());
    bytes.get(..length).unwrap_or(bytes)
}

fn header(bytes: &[u8]) -> Result<Header, ExportFault> {
    Header::from_bytes(bytes).map_err(|error| match error {
        DecodeError::Version { found, known, .. } => ExportFault::Version { found, known },
        DecodeError::Label { .. } | DecodeError::Short { .. } => ExportFault::Foreign,
        other => ExportFault::Header(other),
    })
}
