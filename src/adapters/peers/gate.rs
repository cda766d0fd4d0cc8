//! Who may be dialled, and whose connections are kept.

use std::sync::Arc;

use iroh::EndpointAddr;
use iroh::endpoint::{
    AfterHandshakeOutcome, BeforeConnectOutcome, Connection, EndpointHooks, VarInt,
};

use super::line::{Lines, key_of};

/// A key that is none of the configuration's, or one that is shut out for a while.
pub(super) const NOT_ADMITTED: u32 = 1;

/// Lets the peers of the configuration in, and nobody else.
#[derive(Debug)]
pub(super) struct Gate(pub(super) Arc<Lines>);

impl EndpointHooks for Gate {
    async fn before_connect<'a>(
        &'a self,
        remote: &'a EndpointAddr,
        _: &'a [u8],
    ) -> BeforeConnectOutcome {
        match self.0.line(&key_of(&remote.id)) {
            Some(_) => BeforeConnectOutcome::Accept,
            None => BeforeConnectOutcome::Reject,
        }
    }

    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        let line = self.0.line(&key_of(&connection.remote_id()));
        if line.is_some_and(|line| !line.is_shut_out()) {
            return AfterHandshakeOutcome::accept();
        }
        self.0.count_stranger();
        AfterHandshakeOutcome::Reject {
            error_code: VarInt::from_u32(NOT_ADMITTED),
            reason: b"this key is not admitted here".to_vec(),
        }
    }
}
