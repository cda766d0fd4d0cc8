//! `kedge token`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hyper::Method;

use crate::adapters::http::wire_tokens::{CallerView, NewTokenBody, NewTokenView, TokenView};

use super::args_token::TokenCommand;
use super::connect::Place;
use super::exit::{Code, Failure};
use super::governance::seconds;
use super::local::usage;
use super::output::{complain, show};

/// Whoever reads it calls in the holder's name.
const OWNER_ONLY: u32 = 0o600;

pub(super) fn run(place: &Place, what: TokenCommand) -> Result<(), Failure> {
    match what {
        TokenCommand::New {
            right,
            scope,
            expires,
            out,
            why,
        } => {
            let hint = Some("for example --expires 12h, --expires 30d");
            let lifetime = seconds(&expires)
                .ok_or_else(|| usage(format!("{expires:?} is no time to live"), hint))?;
            let body = NewTokenBody {
                rights: right,
                scopes: scope,
                lifetime: lifetime.into(),
                note: why.note,
            };
            make(place, body, out.as_deref())
        }
        TokenCommand::List => {
            let tokens: Vec<TokenView> =
                place.with_client(|client| async move { Ok(client.get("/tokens").await?) })?;
            show(place.json, &tokens, |tokens| {
                tokens.iter().map(line).collect()
            })
        }
        TokenCommand::Revoke { id } => revoke(place, &id),
        TokenCommand::Whoami => {
            let caller: CallerView =
                place.with_client(|client| async move { Ok(client.get("/caller").await?) })?;
            show(place.json, &caller, caller_lines)
        }
    }
}

fn make(place: &Place, body: NewTokenBody, out: Option<&Path>) -> Result<(), Failure> {
    let unwritable = |path: &Path, error: std::io::Error| {
        let hint = Some("the file must be new, in a directory that may be written");
        Failure::new(Code::Failed, format!("{}: {error}", path.display()), hint)
    };
    // The file is there first: a token that nobody could keep would have to be revoked again.
    let mut file = None;
    if let Some(path) = out {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(OWNER_ONLY);
        file = Some(
            options
                .open(path)
                .map_err(|error| unwritable(path, error))?,
        );
    }
    let made: Result<NewTokenView, Failure> = place.with_client(|client| async move {
        Ok(client.send(Method::POST, "/tokens", &body).await?)
    });
    let (Some(path), Some(mut file)) = (out, file) else {
        let made = made?;
        show(place.json, &made, |made| vec![made.secret.clone()])?;
        complain(&format!("{}; it is not shown again", line(&made.token)));
        return Ok(());
    };
    let made = made.inspect_err(|_| drop(std::fs::remove_file(path)))?;
    writeln!(file, "{}", made.secret)
        .and_then(|()| file.sync_all())
        .map_err(|error| unwritable(path, error))?;
    show(place.json, &made.token, |token| vec![line(token)])
}

fn revoke(place: &Place, id: &str) -> Result<(), Failure> {
    let start = id.to_owned();
    let token: TokenView = place.with_client(|client| async move {
        let tokens: Vec<TokenView> = client.get("/tokens").await?;
        let mut found = tokens.iter().filter(|token| token.id.starts_with(&start));
        let token = match (found.next(), found.next()) {
            (Some(token), None) => token,
            (None, _) => {
                let hint = Some("`kedge token list` shows the tokens");
                let error = format!("no token begins with {start:?}");
                return Err(Failure::new(Code::NotFound, error, hint));
            }
            (Some(_), Some(_)) => {
                let error = format!("several tokens begin with {start:?}");
                return Err(usage(error, Some("give more digits")));
            }
        };
        let path = format!("/tokens/{}/revoke", token.id);
        let nothing = serde_json::Map::new();
        Ok(client.send(Method::POST, &path, &nothing).await?)
    })?;
    show(place.json, &token, |token| vec![line(token)])
}

fn line(token: &TokenView) -> String {
    let TokenView {
        id,
        state,
        rights,
        scopes,
        expires,
        note,
        ..
    } = token;
    let note = if note.is_empty() {
        String::new()
    } else {
        format!(", note: {note}")
    };
    let held = held(rights, scopes);
    format!("token {id} {state}: {held}, until {expires}{note}")
}

fn held(rights: &[String], scopes: &[String]) -> String {
    let scopes = if scopes.is_empty() {
        "everywhere".to_owned()
    } else {
        format!("below {}", scopes.join(" "))
    };
    format!("{} {scopes}", rights.join(","))
}

fn caller_lines(caller: &CallerView) -> Vec<String> {
    let id = caller.id.as_ref();
    let id = id.map_or_else(String::new, |id| format!(" {id}"));
    let mut lines = vec![format!("{}{id}", caller.by)];
    lines.push(format!("  {}", held(&caller.rights, &caller.scopes)));
    let end = caller.expires.as_ref();
    lines.extend(end.map(|end| format!("  until {end}")));
    lines
}
