//! `MarkFile`: what the newest `ordering.redb` knows at least, in a file beside it. Whoever puts an older
//! one in its place leaves this one as it is, and it shows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::namespace::scope::ScopeUid;

use super::store::{OWNER_ONLY, sync_directory};

/// What the file begins with; the number is that of its form.
const HEAD: &[u8] = b"kedge/ordering-mark/1\n";
/// An instance, or a scope; then a count or a height.
const KEY_BYTES: usize = 32;
const RECORD_BYTES: usize = KEY_BYTES + 8;
/// A longer one is written anew: a hundred thousand heights.
const BYTES_MAX: u64 = 4 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which `ordering.redb` it belongs to; random.
    pub(super) instance: [u8; KEY_BYTES],
    /// In how many starts something was signed.
    pub(super) starts: u64,
    /// By scope, the highest height at which something was signed.
    pub(super) heights: BTreeMap<ScopeUid, u64>,
}

impl Mark {
    /// Reads what is beside an `ordering.redb`; none if there is nothing, or nothing that is whole.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path_beside(path)) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first record is the instance with its starts. A last one that is cut off was not waited for.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(HEAD)?;
        let mut records = rest.chunks_exact(RECORD_BYTES).filter_map(|record| {
            let (key, number) = record.split_first_chunk::<KEY_BYTES>()?;
            let number = number.first_chunk::<8>()?;
            Some((*key, u64::from_be_bytes(*number)))
        });
        let (instance, starts) = records.next()?;
        let mut heights = BTreeMap::new();
        for (scope, height) in records {
            let scope = ScopeUid::new(Digest::from_bytes(scope));
            let highest = heights.entry(scope).or_insert(height);
            *highest = height.max(*highest);
        }
        Some(Self {
            instance,
            starts,
            heights,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        bytes.extend(record(&self.instance, self.starts));
        for (scope, height) in &self.heights {
            bytes.extend(record(scope.digest().as_bytes(), *height));
        }
        bytes
    }
}

fn record(key: &[u8; KEY_BYTES], number: u64) -> Vec<u8> {
    [key.as_slice(), number.to_be_bytes().as_slice()].concat()
}

fn path_beside(path: &Path) -> PathBuf {
    path.with_extension("mark")
}

/// The file, open to be added to.
#[derive(Debug)]
pub(super) struct MarkFile {
    path: PathBuf,
    file: File,
    byte_count: u64,
    mark: Mark,
}

impl MarkFile {
    /// Writes the file anew, durably; the old one stands until then.
    pub(super) fn write(path: &Path, mark: Mark) -> io::Result<Self> {
        let path = path_beside(path);
        let beside = path.with_extension("mark.new");
        let bytes = mark.encode();
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        let mut file = options.mode(OWNER_ONLY).open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        sync_directory(&path)?;
        Ok(Self {
            path,
            file,
            byte_count: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            mark,
        })
    }

    /// Something is signed at a height of a scope: durable when this returns.
    pub(super) fn raise(&mut self, scope: &ScopeUid, height: u64) -> io::Result<()> {
        if self.mark.heights.get(scope).is_some_and(|h| *h >= height) {
            return Ok(());
        }
        let bytes = record(scope.digest().as_bytes(), height);
        // What an earlier failure left there is written over.
        self.file.write_all_at(&bytes, self.byte_count)?;
        self.file.sync_data()?;
        self.byte_count += u64::try_from(bytes.len()).unwrap_or(0);
        self.mark.heights.insert(*scope, height);
        if self.byte_count > BYTES_MAX {
            *self = Self::write(&self.path, self.mark.clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> ScopeUid {
        ScopeUid::new(Digest::of_bytes("test", text.as_bytes()))
    }

    #[test]
    fn heights_rise_and_a_record_that_is_cut_off_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ordering.redb");
        assert_eq!(Mark::read(&path).unwrap(), None);
        let mark = Mark {
            instance: [7; 32],
            starts: 3,
            heights: BTreeMap::from([(scope("a"), 5)]),
        };
        let mut file = MarkFile::write(&path, mark.clone()).unwrap();
        assert_eq!(Mark::read(&path).unwrap(), Some(mark.clone()));
        file.raise(&scope("a"), 4).unwrap();
        file.raise(&scope("a"), 9).unwrap();
        file.raise(&scope("b"), 2).unwrap();
        let raised = Mark {
            heights: BTreeMap::from([(scope("a"), 9), (scope("b"), 2)]),
            ..mark
        };
        assert_eq!(Mark::read(&path).unwrap(), Some(raised.clone()));
        let beside = path_beside(&path);
        let whole = fs::read(&beside).unwrap();
        fs::write(&beside, &whole[..whole.len() - 1]).unwrap();
        let cut = Mark::read(&path).unwrap().unwrap();
        assert_eq!(cut.heights, BTreeMap::from([(scope("a"), 9)]));
        for broken in [&whole[1..], &whole[..HEAD.len() + 9], &[]] {
            fs::write(&beside, broken).unwrap();
            assert_eq!(Mark::read(&path).unwrap(), None);
        }
    }
}
