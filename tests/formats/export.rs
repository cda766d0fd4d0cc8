//! Exports as whole files, made of lineages with fixed keys, salts and times.

use kedge::base::canonical::{Canonical, DecodeError, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::index::export::{Export, ExportFault, Frame, Framing, Header};
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;

use crate::samples::Sample;
use crate::world::{World, key, register};

/// One scope, and a tree of two.
pub(crate) fn samples() -> [Sample; 2] {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    let root = world.root(&mut index, "mesh.internal.", &[key(1), key(2)]);
    let op = register("a", &["A 60 10.0.0.1"]);
    world.seal(&mut index, root, vec![op]).unwrap();
    let child = world.child(&mut index, root, "eu", &[key(4)]).unwrap();
    let op = register("api", &["A 60 10.1.0.1"]);
    world.seal(&mut index, child, vec![op]).unwrap();
    [
        sample("export-scope", &index, child, false),
        sample("export-tree", &index, root, true),
    ]
}

fn sample(name: &'static str, index: &MemoryIndex, no: ScopeNo, tree: bool) -> Sample {
    let mut bytes = Vec::new();
    let export = Export::of(index, no, tree).unwrap();
    let written = export.write(index, |piece| {
        bytes.extend(piece);
        Ok(())
    });
    written.unwrap();
    let again = |bytes: &[u8]| again(bytes).map_err(|Refused| NOT_ONE);
    Sample { name, bytes, again }
}

const NOT_ONE: DecodeError = DecodeError::NotCanonical { what: "export" };

struct Refused;

impl From<ExportFault> for Refused {
    fn from(_: ExportFault) -> Self {
        Self
    }
}

/// Reads an export and writes what was read, by the text of docs/FORMATS.md.
fn again(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut framing = Framing::keeping();
    let mut again = Vec::new();
    framing.push(bytes, |header: Header, link| {
        if again.is_empty() {
            again.extend(header.to_bytes());
        }
        let frame = Frame::read(&link).map_err(|_| Refused)?;
        let mut out = Encoder::new();
        frame.encode(&mut out);
        let frame = out.into_bytes();
        again.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
        again.extend(frame);
        Ok::<(), Refused>(())
    })?;
    framing.finish()?;
    again.extend_from_slice(Digest::of_bytes("kedge/export", &again).as_bytes());
    Ok(again)
}
