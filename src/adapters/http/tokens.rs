//! Calls about callers and their tokens.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::service::audit::{Event, bounded};
use crate::service::callers::{Token, TokenError, TokenId, TokenWish};
use crate::service::permission::{Permission, Right};
use crate::service::ports::Parts;

use super::aside::apart;
use super::caller::{Caller, Who};
use super::render::{bad_value, read_name};
use super::routes::{Api, Node, Reply};
use super::status::Failure;
use super::wire_tokens::{CallerView, NewTokenBody, NewTokenView, TokenView};

/// Says to a caller what the node knows of it.
pub(super) async fn caller(Extension(caller): Extension<Caller>) -> Json<CallerView> {
    let (by, id) = match &caller.who {
        Who::Owner => ("owner", None),
        Who::Token(id) => ("token", Some(id.to_string())),
        Who::Client(identity) => ("certificate", Some(identity.to_string())),
    };
    Json(CallerView {
        by: by.to_owned(),
        id,
        rights: rights(&caller.permission),
        scopes: scopes(&caller.permission),
        expires: caller.end.map(|end| end.to_string()),
    })
}

pub(super) async fn list<P: Parts>(State(api): Node<P>) -> Json<Vec<TokenView>> {
    let now = api.changes.now();
    let tokens = api.callers.tokens();
    Json(tokens.iter().map(|token| view(token, now)).collect())
}

/// Makes a token; its secret is in this reply and nowhere else.
pub(super) async fn make<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<NewTokenBody>,
) -> Reply<NewTokenView> {
    let wish = TokenWish {
        permission: read_permission(&body.rights, &body.scopes)?,
        life_secs: body.lifetime,
        note: body.note,
    };
    let made = apart(move || {
        let now = api.changes.now();
        let maker = (&caller.permission, caller.end);
        let (token, text) = api.callers.make(wish, maker, now)?;
        record(&api, &token, "made");
        Ok(NewTokenView {
            secret: text.reveal().as_str().to_owned(),
            token: view(&token, now),
        })
    });
    made.await.map(Json)
}

pub(super) async fn revoke<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
) -> Reply<TokenView> {
    let id: TokenId = id.parse().map_err(|_| {
        let hint = Some("`kedge token list` shows the identifiers");
        Failure::bad(format!("{id:?}: expected the 16 digits of a token"), hint)
    })?;
    let revoked = apart(move || {
        let now = api.changes.now();
        let token = api.callers.revoke(id, now)?;
        record(&api, &token, "revoked");
        Ok(view(&token, now))
    });
    revoked.await.map(Json)
}

fn record<P: Parts>(api: &Arc<Api<P>>, token: &Token, deed: &str) {
    api.resolver.audit().note(Event::Token {
        token: token.id.to_string(),
        deed: deed.to_owned(),
        rights: rights(&token.permission).join(" "),
        scopes: bounded(scopes(&token.permission).join(" ")),
        expires: token.expires.to_string(),
    });
}

fn read_permission(rights: &[String], scopes: &[String]) -> Result<Permission, Failure> {
    let mut read = Vec::with_capacity(rights.len().min(Right::ALL.len()));
    for text in rights.iter().take(2 * Right::ALL.len()) {
        let right = text.parse::<Right>();
        read.push(right.map_err(|error| bad_value(&format!("right {text:?}"), &error))?);
    }
    let names: Result<Vec<Name>, Failure> = scopes.iter().map(|text| read_name(text)).collect();
    Ok(Permission::new(read, names?))
}

fn rights(permission: &Permission) -> Vec<String> {
    permission
        .rights()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn scopes(permission: &Permission) -> Vec<String> {
    permission
        .scopes()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn view(token: &Token, now: Timestamp) -> TokenView {
    let state = match token.revoked {
        Some(_) => "revoked",
        None if token.is_good(now) => "good",
        None => "ended",
    };
    TokenView {
        id: token.id.to_string(),
        state: state.to_owned(),
        rights: rights(&token.permission),
        scopes: scopes(&token.permission),
        made: token.made.to_string(),
        expires: token.expires.to_string(),
        revoked: token.revoked.map(|time| time.to_string()),
        note: token.note.clone(),
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::NoRight | TokenError::Scopes | TokenError::Note | TokenError::Life(_) => {
                Self::bad(text, Some("`kedge token new --help` shows an example"))
            }
            TokenError::Beyond(_) => Self::new(
                StatusCode::FORBIDDEN,
                text,
                Some("GET /v1/caller says what the caller may do"),
            ),
            TokenError::TooMany => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text, None),
            TokenError::NotThere(_) => {
                Self::not_found(text, Some("`kedge token list` shows the tokens"))
            }
            TokenError::Store(_) => Self::internal(text),
        }
    }
}
