//! An export: what is read is the only bytes of its value, and what is taken in is what the lineage
//! proves. A digest that does not fit is mended, so that the links behind it are reached.

#![no_main]

use kedge::base::canonical::{Canonical, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::index::export::{ExportFault, Frame, Framing, Header, Restore, RestoreError};
use kedge::index::memory::MemoryIndex;
use kedge::index::verify::verify;
use kedge::index::view::IndexTxn;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    if let Some(length) = bytes.len().checked_sub(32) {
        bytes.truncate(length);
        let digest = Digest::of_bytes(Header::LABEL, &bytes);
        bytes.extend_from_slice(digest.as_bytes());
    }
    let mut index = MemoryIndex::new();
    let mut framing = Framing::keeping();
    let mut restore = None;
    for part in bytes.chunks(61) {
        let each = |header: Header, link: Vec<u8>| -> Result<(), RestoreError<Infallible>> {
            if let Ok(frame) = Frame::read(&link) {
                let mut out = Encoder::new();
                frame.encode(&mut out);
                assert_eq!(out.into_bytes(), link);
            }
            let under_way = restore.get_or_insert_with(|| Restore::new(header, None));
            under_way.link(&mut index, link)
        };
        if framing.push(part, each).is_err() {
            return;
        }
    }
    let finished: Result<_, ExportFault> = framing.finish();
    if let (Ok((header, _)), Some(restore)) = (finished, restore)
        && let Ok(restored) = restore.finish()
    {
        assert_eq!(restored.added + restored.present, header.links);
        // Which name the root scope hangs under is the caller's to say.
        let apex = "mesh.internal.".parse().expect("a name");
        index.put_apex(&apex, &restored.scope).expect("never fails");
        let report = verify(&index, &mut MemoryIndex::new(), |_| {}).expect("follows by the rules");
        assert_eq!(report.scopes.len(), header.scopes as usize);
    }
});
