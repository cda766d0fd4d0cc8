//! Ordering: how several anchors on several nodes decide one block a height.
//!
//! One [`Sitting`] per scope and height, and only while something waits to be decided. It takes
//! messages, verdicts, blocks and the time; it gives rows to store and actions to do after they are
//! durable. It sees no socket, no store and no clock.

mod certificates;
mod doubts;
mod electorate;
mod engine;
mod guard;
mod hearing;
mod journal;
mod mailbox;
mod malachite;
mod message;
mod sitting;
mod statement;
mod terms;
mod timer;
mod voter;
mod work;

pub use self::certificates::{PrevoteCertificate, RoundCertificate, RoundKind, RoundVote};
pub use self::doubts::{Doubts, Old};
pub use self::electorate::{Electorate, NotChecked};
pub use self::engine::{Broken, Desk, Input, Ordering, Output, Refused};
pub use self::guard::{Contradiction, Guard, GuardRow, Kind, SignGuard};
pub use self::hearing::{Heard, Hearing};
pub use self::journal::{Entry, Judged, Row};
pub use self::mailbox::{Mailbox, TENDER_BYTES_PER_ANCHOR_MAX, Taken};
pub use self::malachite::Malachite;
pub use self::message::{Evidence, Message};
pub use self::sitting::Sitting;
pub use self::statement::{Bid, BySeat, Checked, SeatSigned, Tender};
pub use self::terms::{Action, Actions, Kept, NotTaken, Opening, Standing};
pub use self::timer::{Timer, Wait, Waits};
