//! Keys that a program of the operator's signs with: a security module, an agent, another user.

use std::io::{self, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::base::keys::{NotSigned, PublicKey, Signature, Signer};
use crate::service::resolver::error_chain;

use super::protocol::{Answer, ProtocolError, Request};

/// How long one answer may take. The writer of the index waits for it, so changes of all scopes do.
pub const ANSWER_SECS_MAX: u64 = 10;

/// Why a program does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// There is no program to start.
    #[error("the signer {program} cannot be started")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It does not speak the protocol.
    #[error("the signer {program} is not understood")]
    Protocol {
        /// The program.
        program: String,
        /// Why.
        source: ProtocolError,
    },
    /// It does not answer.
    #[error("the signer {program} did not answer within {ANSWER_SECS_MAX} s")]
    Silent {
        /// The program.
        program: String,
    },
    /// It answered something else than what was asked for.
    #[error("the signer {program} answered something else than what was asked for")]
    Other {
        /// The program.
        program: String,
    },
    /// It does not want to.
    #[error("the signer {program} refuses: {reason}")]
    Refused {
        /// The program.
        program: String,
        /// Why, in its own words.
        reason: String,
    },
    /// It gave bytes that are no signature of the message by the key.
    #[error("the signer {program} gave a signature that does not hold")]
    Wrong {
        /// The program.
        program: String,
    },
}

/// A program that signs. It is started when it is first needed, kept, and started again after it
/// failed.
#[derive(Debug)]
pub struct SignerCommand {
    program: String,
    arguments: Vec<String>,
    running: Mutex<Option<Running>>,
}

/// A process, and the thread that talks to it: writing to a process that does not read would
/// otherwise wait for ever.
#[derive(Debug)]
struct Running {
    child: Child,
    requests: Sender<Arc<Request>>,
    answers: Receiver<Result<Answer, ProtocolError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // With what it started.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let killed = group.map(|group| kill_process_group(group, Signal::KILL));
        if let Some(Err(error)) = killed {
            tracing::debug!(%error, "the signer ended by itself");
        }
        drop(self.child.wait());
    }
}

impl SignerCommand {
    /// A program with its arguments; nothing is started yet.
    pub fn new(program: String, arguments: Vec<String>) -> Self {
        Self {
            program,
            arguments,
            running: Mutex::new(None),
        }
    }

    /// The keys that it signs with.
    pub fn keys(self: &Arc<Self>) -> Result<Vec<CommandKey>, SignerError> {
        let keys = self.ask(Request::Keys, |answer| match answer {
            Answer::Keys(keys) => Ok(keys),
            Answer::Signature(_) | Answer::Refused(_) => Err(self.other()),
        })?;
        let key = |public| CommandKey {
            public,
            command: Arc::clone(self),
        };
        Ok(keys.into_iter().map(key).collect())
    }

    fn sign(&self, key: PublicKey, message: &[u8]) -> Result<Signature, SignerError> {
        let request = Request::Sign {
            key,
            message: message.to_vec(),
        };
        let program = || self.program.clone();
        self.ask(request, |answer| match answer {
            Answer::Signature(signature) if key.verifies(message, &signature) => Ok(signature),
            Answer::Signature(_) => Err(SignerError::Wrong { program: program() }),
            Answer::Refused(reason) => {
                let program = program();
                Err(SignerError::Refused { program, reason })
            }
            Answer::Keys(_) => Err(self.other()),
        })
    }

    fn other(&self) -> SignerError {
        let program = self.program.clone();
        SignerError::Other { program }
    }

    /// Asks, and reads the answer. A process is kept that answered, also with a refusal; whatever
    /// another one says later would be taken for another answer.
    fn ask<T>(
        &self,
        request: Request,
        read: impl Fn(Answer) -> Result<T, SignerError>,
    ) -> Result<T, SignerError> {
        // Shared: a message may be as long as an import.
        let request = Arc::new(request);
        let keeps = |read: &Result<T, SignerError>| {
            matches!(read, Ok(_) | Err(SignerError::Refused { .. }))
        };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was kept may have ended since, which is no fault of this request.
        if let Some(kept) = running.take() {
            match self.exchange(&kept, &request) {
                Err(SignerError::Protocol {
                    source: ProtocolError::Ended | ProtocolError::Io(_),
                    ..
                }) => {}
                answered => {
                    let answered = answered.and_then(&read);
                    *running = keeps(&answered).then_some(kept);
                    return answered;
                }
            }
        }
        let fresh = self.start()?;
        let answered = self.exchange(&fresh, &request).and_then(&read);
        *running = keeps(&answered).then_some(fresh);
        answered
    }

    fn exchange(&self, process: &Running, request: &Arc<Request>) -> Result<Answer, SignerError> {
        let program = self.program.clone();
        let ended = |program| SignerError::Protocol {
            program,
            source: ProtocolError::Ended,
        };
        if process.requests.send(Arc::clone(request)).is_err() {
            return Err(ended(program));
        }
        let patience = Duration::from_secs(ANSWER_SECS_MAX);
        match process.answers.recv_timeout(patience) {
            Ok(answer) => answer.map_err(|source| SignerError::Protocol { program, source }),
            Err(RecvTimeoutError::Timeout) => Err(SignerError::Silent { program }),
            Err(RecvTimeoutError::Disconnected) => Err(ended(program)),
        }
    }

    fn start(&self) -> Result<Running, SignerError> {
        let failed = |source| SignerError::Start {
            program: self.program.clone(),
            source,
        };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::from(io::ErrorKind::BrokenPipe)));
        };
        let (requests, asked) = channel();
        let (answered, answers) = channel();
        thread::Builder::new()
            .name("signer".to_owned())
            .spawn(move || talk(input, output, &asked, &answered))
            .map_err(failed)?;
        Ok(Running {
            child,
            requests,
            answers,
        })
    }
}

/// Asks one thing after the other until either end is gone.
fn talk(
    mut input: ChildStdin,
    output: ChildStdout,
    asked: &Receiver<Arc<Request>>,
    answered: &Sender<Result<Answer, ProtocolError>>,
) {
    let mut output = BufReader::new(output);
    while let Ok(request) = asked.recv() {
        let answer = request
            .write(&mut input)
            .and_then(|()| Answer::read(&mut output));
        let goes_on = answer.is_ok();
        if answered.send(answer).is_err() || !goes_on {
            return;
        }
    }
}

/// One key of a program.
#[derive(Debug, Clone)]
pub struct CommandKey {
    public: PublicKey,
    command: Arc<SignerCommand>,
}

impl Signer for CommandKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn try_sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        // A worker of the runtime has others to serve while the program thinks.
        let sign = || self.command.sign(self.public, message);
        let signed = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => block_in_place(sign),
            _ => sign(),
        };
        signed.map_err(|error| NotSigned {
            key: self.public,
            reason: error_chain(&error),
        })
    }
}
