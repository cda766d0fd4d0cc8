//! `TextForm`: canonical objects that people pass on by copying a line of text.

use data_encoding::BASE64URL_NOPAD;

use super::canonical::{DecodeError, Form};

/// A form with a line of text for it: a word that says what it is, and its bytes in base64url.
pub trait TextForm: Form {
    /// The word, with the colon after it.
    const PREFIX: &'static str;
    /// The longest text that is read.
    const TEXT_BYTES_MAX: usize;

    /// The line.
    fn to_text(&self) -> String {
        let mut text = Self::PREFIX.to_owned();
        BASE64URL_NOPAD.encode_append(&self.to_bytes(), &mut text);
        text
    }

    /// Reads the line back; white space around it does not matter.
    fn from_text(text: &str) -> Result<Self, BadText> {
        let encoded = text.trim().strip_prefix(Self::PREFIX);
        let encoded = encoded.filter(|encoded| encoded.len() <= Self::TEXT_BYTES_MAX);
        let bytes = encoded.and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok());
        let prefix = Self::PREFIX;
        Ok(Self::from_bytes(&bytes.ok_or(BadText::Text { prefix })?)?)
    }
}

/// Text that holds no such object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Not the text of one.
    #[error("expected {prefix} and base64url")]
    Text {
        /// What it should begin with.
        prefix: &'static str,
    },
    /// The bytes are none.
    #[error(transparent)]
    Form(#[from] DecodeError),
}
