//! The audit log on the disk: a file that only grows, and older ones beside it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::service::audit::{Head, Record, Wanted, last_whole};
use crate::service::ports::{AuditFile, AuditFound};

/// It names every caller and every change.
const OWNER_ONLY: u32 = 0o600;
/// What is read of a file to find its last batch; a batch is smaller.
const TAIL_BYTES: u64 = 16 << 20;
/// The digits in the name of an older file.
const DIGITS: usize = 6;
/// A line that is longer is no record: what a record quotes is bounded.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The present file of a log.
#[derive(Debug)]
pub struct AuditPath {
    path: PathBuf,
    file: Option<File>,
    byte_count: u64,
    /// The last attempt to add to the file failed somewhere.
    is_torn: bool,
}

impl AuditPath {
    /// The log at a path. Nothing is opened yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            byte_count: 0,
            is_torn: false,
        }
    }

    fn create(&self) -> io::Result<File> {
        if let Some(above) = parent(&self.path) {
            fs::create_dir_all(above)?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(OWNER_ONLY).open(&self.path)?;
        file.try_lock()
            .map_err(|_| io::Error::other("another process writes this audit log"))?;
        Ok(file)
    }
}

impl AuditFile for AuditPath {
    fn open(&mut self) -> io::Result<AuditFound> {
        // The lock of a file that was opened before would keep it from being opened again.
        self.file = None;
        let mut file = self.create()?;
        let length = file.metadata()?.len();
        let mut head = None;
        let mut whole = 0;
        if length > 0 {
            (head, whole) = last_batch(&mut file, length)?;
            if head.is_none() && !begins_as_log(&mut file)? {
                let message = format!("{} is no audit log", self.path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        if head.is_none()
            && let Some(older) = older_files(&self.path)?.pop()
        {
            let mut older = File::open(older)?;
            let length = older.metadata()?.len();
            (head, _) = last_batch(&mut older, length)?;
        }
        if whole < length {
            file.set_len(whole)?;
        }
        self.byte_count = whole;
        self.is_torn = false;
        self.file = Some(file);
        Ok(AuditFound {
            head,
            dropped_bytes: length - whole,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.create()?);
        }
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let at = self.byte_count;
        if self.is_torn {
            // What an earlier attempt left behind is no part of the log.
            file.set_len(at)?;
        }
        self.is_torn = true;
        file.write_all_at(bytes, at)?;
        file.sync_data()?;
        self.is_torn = false;
        if at == 0 {
            sync_directory(&self.path)?;
        }
        self.byte_count = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn byte_count(&self) -> u64 {
        self.byte_count
    }

    fn rotate(&mut self) -> io::Result<()> {
        let older = older_files(&self.path)?;
        let last = older.last().and_then(|path| number(&self.path, path));
        let aside = numbered(&self.path, last.unwrap_or(0) + 1);
        fs::rename(&self.path, aside)?;
        self.file = None;
        self.byte_count = 0;
        sync_directory(&self.path)
    }
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|above| !above.as_os_str().is_empty())
}

/// A name must survive a crash, too.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(parent(path).unwrap_or(Path::new(".")))?.sync_all()
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:0DIGITS$}"));
    PathBuf::from(name)
}

fn number(path: &Path, older: &Path) -> Option<u64> {
    let name = older.to_str()?.strip_prefix(path.to_str()?)?;
    let digits = name.strip_prefix('.')?;
    let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// The files that the present one follows, oldest first.
fn older_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = parent(path).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let candidate = match parent(path) {
            Some(above) => above.join(name),
            None => PathBuf::from(name),
        };
        if let Some(number) = number(path, &candidate) {
            found.push((number, candidate));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The last whole batch of a file, and where it ends.
fn last_batch(file: &mut File, length: u64) -> io::Result<(Option<Head>, u64)> {
    for start in [length.saturating_sub(TAIL_BYTES), 0] {
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.take(length - start).read_to_end(&mut tail)?;
        if let Some((head, end)) = last_whole(&tail) {
            let end = start + u64::try_from(end).unwrap_or(u64::MAX);
            return Ok((Some(head), end));
        }
    }
    Ok((None, 0))
}

/// Whether a file without a whole batch is a log whose first batch was not finished.
fn begins_as_log(file: &mut File) -> io::Result<bool> {
    const OPENING: &[u8] = b"{\"seq\":";
    file.seek(SeekFrom::Start(0))?;
    let mut start = Vec::new();
    let length = u64::try_from(OPENING.len()).unwrap_or(u64::MAX);
    file.take(length).read_to_end(&mut start)?;
    Ok(OPENING.starts_with(&start))
}

/// Every line of the log, oldest first, with its file and its number there. `each` says whether to
/// go on. A last line without an end is given as it is.
pub fn read_lines(
    path: &Path,
    mut each: impl FnMut(&Path, u64, &[u8], bool) -> bool,
) -> io::Result<()> {
    for name in files(path)? {
        let mut goes_on = true;
        read_file(&name, |number, line, is_whole| {
            goes_on = each(&name, number, line, is_whole);
            goes_on
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// The newest records that are wanted, oldest first. Older files are read only while there are not
/// enough.
pub fn newest(path: &Path, wanted: &Wanted) -> io::Result<Vec<Record>> {
    let mut found = VecDeque::new();
    for name in files(path)?.iter().rev() {
        let room = wanted.count.saturating_sub(found.len());
        if room == 0 {
            break;
        }
        let mut of_file = VecDeque::new();
        read_file(name, |_, line, is_whole| {
            of_file.extend(wanted.record(line).filter(|_| is_whole));
            if of_file.len() > room {
                of_file.pop_front();
            }
            true
        })?;
        of_file.append(&mut found);
        found = of_file;
    }
    Ok(found.into())
}

/// The files of the log, oldest first.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = older_files(path)?;
    if files.is_empty() || path.exists() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// Every line of a file with its number, until `each` has enough.
fn read_file(name: &Path, mut each: impl FnMut(u64, &[u8], bool) -> bool) -> io::Result<()> {
    let file = File::open(name)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        if lines.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_whole = line.last() == Some(&b'\n');
        if is_whole {
            line.pop();
        }
        if !each(number, &line, is_whole) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::newest;
    use crate::service::audit::{Since, Wanted};

    fn line(hour: u32, kind: &str) -> String {
        format!("{{\"time\":\"2026-11-23T{hour:02}:00:00.000Z\",\"kind\":\"{kind}\"}}\n")
    }

    #[test]
    fn the_newest_records_are_taken_from_as_many_files_as_it_takes() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("audit.log");
        let older = format!("{}{}", line(1, "call"), line(2, "call"));
        fs::write(directory.path().join("audit.log.000001"), older).unwrap();
        let now = format!(
            "{}{}{}no",
            line(3, "file"),
            line(4, "call"),
            line(5, "batch")
        );
        fs::write(&path, now).unwrap();
        let hours = |since: &str, count| {
            let since: Since = since.parse().unwrap();
            let records = newest(&path, &Wanted { since, count }).unwrap();
            let times = records.iter().map(|record| record["time"].to_string());
            times
                .map(|time| time.get(12..14).unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(hours("", 9), ["01", "02", "04"]);
        assert_eq!(hours("", 2), ["02", "04"]);
        assert_eq!(hours("2026-11-23T02", 9), ["02", "04"]);
        assert_eq!(hours("2027", 9), [""; 0]);
        // Enough is enough: a file that cannot be read any more does not matter then.
        fs::remove_file(directory.path().join("audit.log.000001")).unwrap();
        fs::create_dir(directory.path().join("audit.log.000001")).unwrap();
        assert_eq!(hours("", 1), ["04"]);
        let all = Wanted {
            since: Since::default(),
            count: 2,
        };
        newest(&path, &all).unwrap_err();
    }
}
