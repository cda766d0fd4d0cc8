//! `Process`: a program that is started, listened to, and ended by its process id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a program may say nothing while something is awaited of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines that are read while one is awaited; a program that says more is astray.
const LINES_MAX: usize = 100_000;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a program with nothing to read and both outputs kept.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = channel();
        let said = Arc::default();
        if let Some(output) = child.stdout.take() {
            listen(output, sender.clone(), &said);
        }
        if let Some(output) = child.stderr.take() {
            listen(output, sender, &said);
        }
        Ok(Self {
            name,
            child,
            lines,
            said,
        })
    }

    /// Waits until a line gives what is looked for; the error holds all that was said.
    pub(crate) fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        for _ in 0..LINES_MAX {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "{} went silent; it said:\n{}",
                        self.name,
                        self.said()
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{} ended; it said:\n{}", self.name, self.said()));
                }
            }
        }
        Err(format!("{} says too much", self.name))
    }

    /// Everything said so far, on both outputs.
    pub(crate) fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, `TERM` or `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok(), "no signal can be sent");
    }

    /// Asks the program to end and waits for it and everything it started; kills it if it does
    /// not end in time.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        self.signal("TERM");
        // The pipes close when the last process that holds them ends.
        for _ in 0..LINES_MAX {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    return None;
                }
            }
        }
        self.child.wait().ok()
    }

    /// Ends the program at once.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn listen(output: impl Read + Send + 'static, lines: Sender<String>, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes).into_owned();
            said.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&line);
            bytes.clear();
            // Nobody may be waiting any more; what was said is kept all the same.
            drop(lines.send(line));
        }
    });
}
