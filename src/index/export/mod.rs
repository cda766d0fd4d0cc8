//! An export: whole lineages as one stream of bytes, written from a snapshot and replayed elsewhere.
//!
//! The bytes follow from the lineages alone: no name, no local number and no time of the export is
//! among them, so that an export of what was imported is the same file.

mod framing;
mod restore;
mod write;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::EXPORT_LINK_BYTES_MAX;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;
use crate::namespace::scope::ScopeUid;

use super::view::Link;

pub use framing::{ExportFault, Framing};
pub use restore::{Restore, RestoreError, RestoreRefusal, Restored};
pub use write::{Export, ExportError, Stopped};

/// The bytes of the header: its label and version, then fields of fixed width.
pub const HEADER_BYTES: usize = 58;

/// What an export begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The scope that was asked for; its genesis is the first link.
    pub scope: ScopeUid,
    /// How many scopes follow: 1, or the scope with all that are held below it.
    pub scopes: u32,
    /// How many links of all scopes follow.
    pub links: u64,
}

impl Canonical for Header {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u32(self.scopes);
        out.u64(self.links);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let header = Self {
            scope: ScopeUid::decode(input)?,
            scopes: input.u32()?,
            links: input.u64()?,
        };
        // Each scope has its genesis at least.
        if header.scopes == 0 || header.links < u64::from(header.scopes) {
            return Err(DecodeError::NotCanonical { what: "counts" });
        }
        Ok(header)
    }
}

impl Form for Header {
    const LABEL: &'static str = "kedge/export";
}

/// One link of an export, with what it takes to know whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A scope's first link.
    Founded {
        /// The descriptor whose digest is the scope's identity.
        genesis: Box<Descriptor>,
        /// The link.
        link: Link,
    },
    /// A later link.
    Continued {
        /// Which scope, counted from 0 in the order in which they were founded.
        scope: u32,
        /// The link.
        link: Link,
    },
}

impl Frame {
    /// Everything but the body's own bytes, which come last and may be many.
    fn encode_head(&self, out: &mut Encoder, body_byte_count: usize) {
        let link = match self {
            Self::Founded { genesis, link } => {
                out.u8(0);
                out.bytes(&genesis.to_bytes());
                link
            }
            Self::Continued { scope, link } => {
                out.u8(1);
                out.u32(*scope);
                link
            }
        };
        out.bytes(&link.block.to_bytes());
        out.bytes(&link.certificate.to_bytes());
        out.count(body_byte_count);
    }

    /// The frame with its length before it, in two pieces, so that a large body is not copied.
    fn pieces(self) -> Result<[Vec<u8>; 2], DecodeError> {
        let (Self::Founded { link, .. } | Self::Continued { link, .. }) = &self;
        let body = link.body.to_bytes();
        let mut head = Encoder::new();
        self.encode_head(&mut head, body.len());
        // What was decoded may be as large as its bytes.
        drop(self);
        let head = head.into_bytes();
        let byte_count = head.len().saturating_add(body.len());
        if byte_count > EXPORT_LINK_BYTES_MAX {
            return Err(DecodeError::TooLong {
                what: "link",
                max: EXPORT_LINK_BYTES_MAX,
            });
        }
        let mut first = Encoder::with_capacity(4 + head.len());
        first.count(byte_count);
        first.fixed(&head);
        Ok([first.into_bytes(), body])
    }

    /// Reads a frame from all of its bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let frame = Self::decode(&mut input)?;
        input.finish()?;
        Ok(frame)
    }
}

/// Writes a link: block, certificate and body, each as a form of its own.
pub fn encode_link(link: &Link, out: &mut Encoder) {
    out.bytes(&link.block.to_bytes());
    out.bytes(&link.certificate.to_bytes());
    out.bytes(&link.body.to_bytes());
}

/// How many bytes a link takes.
pub fn encoded_length(link: &Link) -> usize {
    let mut out = Encoder::new();
    encode_link(link, &mut out);
    out.into_bytes().len()
}

/// Reads a link.
pub fn decode_link(input: &mut Decoder<'_>) -> Result<Link, DecodeError> {
    let max = EXPORT_LINK_BYTES_MAX;
    Ok(Link {
        block: Block::from_bytes(input.bytes("block", max)?)?,
        certificate: Certificate::from_bytes(input.bytes("certificate", max)?)?,
        body: Body::from_bytes(input.bytes("body", max)?)?,
    })
}

impl Canonical for Frame {
    fn encode(&self, out: &mut Encoder) {
        let (Self::Founded { link, .. } | Self::Continued { link, .. }) = self;
        let body = link.body.to_bytes();
        self.encode_head(out, body.len());
        out.fixed(&body);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => {
                let genesis = input.bytes("genesis", EXPORT_LINK_BYTES_MAX)?;
                Ok(Self::Founded {
                    genesis: Box::new(Descriptor::from_bytes(genesis)?),
                    link: decode_link(input)?,
                })
            }
            1 => Ok(Self::Continued {
                scope: input.u32()?,
                link: decode_link(input)?,
            }),
            tag => Err(DecodeError::Tag {
                what: "link of an export",
                tag,
            }),
        }
    }
}
