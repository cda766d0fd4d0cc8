//! Tokens of the admin API: a table of its own, written beside the index and no part of it.

use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::base::canonical::{Canonical as _, DecodeError, Encoder, Form as _};
use crate::service::callers::{Token, TokenId};
use crate::service::ports::TokenStore;
use crate::service::resolver::error_chain;

use super::error::StoreError;
use super::store::{RedbStore, begin};
use super::tables;
use super::view::damaged;

impl TokenStore for RedbStore {
    fn tokens(&self) -> Result<Vec<Token>, String> {
        self.read_tokens().map_err(|error| error_chain(&error))
    }

    fn put_token(&self, token: &Token, over: &[TokenId]) -> Result<(), String> {
        self.write_token(token, over)
            .map_err(|error| error_chain(&error))
    }
}

fn key(id: TokenId) -> Vec<u8> {
    let mut out = Encoder::new();
    id.encode(&mut out);
    out.into_bytes()
}

impl RedbStore {
    fn read_tokens(&self) -> Result<Vec<Token>, StoreError> {
        let txn = self.database().begin_read()?;
        let table = match txn.open_table(tables::TOKEN) {
            Ok(table) => table,
            // A store that was made before there were tokens.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut tokens = Vec::new();
        for entry in table.iter()? {
            let (id, row) = entry?;
            let token = Token::from_bytes(row.value()).map_err(damaged("token"))?;
            if key(token.id) != id.value() {
                let error = DecodeError::NotCanonical { what: "token" };
                return Err(damaged("token")(error));
            }
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn write_token(&self, token: &Token, over: &[TokenId]) -> Result<(), StoreError> {
        // Waits while the writer of the index commits, and that one for this.
        let txn = begin(self.database())?;
        let mut table = txn.open_table(tables::TOKEN)?;
        for id in over {
            table.remove(key(*id).as_slice())?;
        }
        table.insert(key(token.id).as_slice(), token.to_bytes().as_slice())?;
        drop(table);
        txn.commit()?;
        Ok(())
    }
}
