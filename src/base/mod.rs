//! Words everyone needs: bytes, digests, keys, time and limits.

pub mod bucket;
pub mod canonical;
mod checked;
pub mod digest;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod lock;
pub mod reach;
pub mod secret;
pub mod short;
pub mod signed;
pub mod subscriber;
pub mod text_form;
pub mod time;
