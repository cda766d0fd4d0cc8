//! `kedge device`: for who governs a private scope, and on the device itself.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use hyper::Method;
use serde::Serialize;

use crate::adapters::device_files::{DeviceFileError, HeldFile};
use crate::adapters::http::wire_devices::{
    ChallengeBody, ChallengeView, DeviceView, EnrolBody, EnrolledView, ProofBody, ProofView,
    RenewBody, RevokedView,
};
use crate::adapters::http::{Client, ClientError};
use crate::adapters::randomness::SystemRandomness;
use crate::base::digest::Digest;
use crate::base::text_form::TextForm as _;
use crate::governance::device::{DeviceFile, DeviceProof, Nonce};
use crate::service::ports::Randomness as _;
use crate::service::resolver::error_chain;

use super::args_device::{DeviceCommand, NewFile};
use super::connect::{Place, runtime, segment};
use super::exit::{Code, Failure};
use super::output::show;

/// What a server on this machine is written with.
const SOCKET: &str = "unix:";
/// Challenges that one command asks for: another process of this device may use one up.
const CHALLENGES_TRIED_MAX: usize = 3;
/// Steps of one command. The second shows the value that the first led to, so that the one that
/// lay on the disk before is dead: a copy that was made of it is found out when it is used.
const STEPS: usize = 2;

pub(super) fn run(place: &Place, what: DeviceCommand) -> Result<(), Failure> {
    match what {
        DeviceCommand::Enrol { scope, note, file } => {
            let path = format!("/scopes/{}/devices", segment(&scope));
            let servers = servers(place, &file)?;
            make(place, &file.out, &path, &EnrolBody { note, servers })
        }
        DeviceCommand::Renew { scope, id, file } => {
            let path = format!("/scopes/{}/devices/{}/renew", segment(&scope), segment(&id));
            let servers = servers(place, &file)?;
            make(place, &file.out, &path, &RenewBody { servers })
        }
        DeviceCommand::List { scope } => list(place, &scope),
        DeviceCommand::Revoke { scope, id } => {
            let path = format!(
                "/scopes/{}/devices/{}/revoke",
                segment(&scope),
                segment(&id)
            );
            let view: RevokedView = place.with_client(|client| async move {
                let nothing = serde_json::Map::new();
                Ok(client.send(Method::POST, &path, &nothing).await?)
            })?;
            show(place.json, &view, |view| {
                vec![format!("device {} is revoked", view.id)]
            })
        }
        DeviceCommand::Prove {
            file,
            server,
            address,
        } => prove(place, &file, server, address),
    }
}

/// What was made for a device, without its secrets.
#[derive(Serialize)]
struct Made {
    id: String,
    file: String,
}

/// Has a device made and writes its file. The file is there first: a device without one would have
/// to be revoked again.
fn make<B: Serialize>(place: &Place, out: &Path, path: &str, body: &B) -> Result<(), Failure> {
    let mut held = HeldFile::create(out)?;
    let made = place.with_client(|client| async move {
        let made: EnrolledView = client.send(Method::POST, path, body).await?;
        Ok(made)
    });
    let made = match made {
        Ok(made) => made,
        Err(failure) => {
            held.remove()?;
            return Err(failure);
        }
    };
    let device = DeviceFile::from_text(&made.file).map_err(|error| unread(&error))?;
    held.replace(&device)?;
    let made = Made {
        id: made.id,
        file: out.display().to_string(),
    };
    show(place.json, &made, |made| {
        vec![format!(
            "device {} keeps {}; bring it there, and leave no copy behind",
            made.id, made.file
        )]
    })
}

fn servers(place: &Place, file: &NewFile) -> Result<Vec<String>, Failure> {
    if !file.server.is_empty() {
        file.server
            .iter()
            .try_for_each(|text| client(text).map(drop))?;
        return Ok(file.server.clone());
    }
    let socket = place.config()?.admin_socket;
    let socket = std::path::absolute(&socket).unwrap_or(socket);
    Ok(vec![format!("{SOCKET}{}", socket.display())])
}

fn list(place: &Place, scope: &str) -> Result<(), Failure> {
    let path = format!("/scopes/{}/devices", segment(scope));
    let devices: Vec<DeviceView> =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &devices, |devices| {
        devices.iter().map(device_line).collect()
    })
}

fn device_line(device: &DeviceView) -> String {
    let since = match (&device.since, device.state.as_str()) {
        (None, _) => format!("enrolled {}, never proved", device.enrolled),
        (Some(since), "live") => format!("proved {since}"),
        (Some(since), _) => format!("since {since}"),
    };
    let present = device.present_until.as_ref();
    let present = present.map_or_else(String::new, |until| format!("  present until {until}"));
    format!(
        "{}  {:<7}  {since}{present}  {:?}",
        device.id, device.state, device.note
    )
}

/// Proves a device to the first server that answers.
fn prove(
    place: &Place,
    path: &Path,
    given: Vec<String>,
    address: Option<IpAddr>,
) -> Result<(), Failure> {
    let (mut held, mut device) = HeldFile::open(path)?;
    let remote = place.remote.clone().filter(|_| given.is_empty());
    let servers = if remote.is_some() {
        Vec::new()
    } else if given.is_empty() {
        let servers = device.servers.iter();
        servers.map(|server| server.0.clone()).collect()
    } else {
        given
    };
    let view = runtime()?.block_on(async {
        let mut last = Failure::new(
            Code::Usage,
            "the file names no server",
            Some("say where the node answers: --server unix:PATH"),
        );
        let distant = remote.map(|remote| Ok(Client::Remote(remote)));
        let clients = distant.into_iter();
        for client in clients.chain(servers.iter().map(|server| client(server))) {
            let client = client?;
            match steps(&client, (&mut held, &mut device), address).await {
                Err(Unproved::Unreachable(failure)) => last = failure,
                Err(Unproved::Failed(failure)) => return Err(failure),
                Ok(view) => return Ok(view),
            }
        }
        Err(last)
    })?;
    show(place.json, &view, |view| {
        vec![format!("{} counts until {}", view.address, view.until)]
    })
}

/// Why a device could not prove itself.
enum Unproved {
    /// The server cannot be reached; another one may.
    Unreachable(Failure),
    /// There is no more to be tried.
    Failed(Failure),
}

impl From<ClientError> for Unproved {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } => Self::Unreachable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Unproved {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn steps(
    client: &Client,
    (held, device): (&mut HeldFile, &mut DeviceFile),
    address: Option<IpAddr>,
) -> Result<ProofView, Unproved> {
    let mut view = step(client, (held, device), address).await?;
    for _ in 1..STEPS {
        view = step(client, (held, device), address).await?;
    }
    Ok(view)
}

/// One step of the chain: asked, proved, and kept before anything else is done.
async fn step(
    client: &Client,
    (held, device): (&mut HeldFile, &mut DeviceFile),
    address: Option<IpAddr>,
) -> Result<ProofView, Unproved> {
    let mut tried = 1;
    let (proof, view) = loop {
        let proof = challenged(client, device, address).await?;
        let body = ProofBody {
            proof: proof.to_text(),
        };
        let sent: Result<ProofView, _> = client.send(Method::POST, "/devices/proof", &body).await;
        match sent {
            Ok(view) => break (proof, view),
            Err(ClientError::Node { status: 409, .. }) if tried < CHALLENGES_TRIED_MAX => {
                tried += 1;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let seal: Digest = view.seal.parse().map_err(|error| unread(&error))?;
    let after = device.after(&proof, &seal).ok_or_else(|| {
        Failure::new(
            Code::Failed,
            "who answered does not know this device, so nothing was changed",
            Some("is this the right server?"),
        )
    })?;
    held.replace(&after).map_err(Failure::from)?;
    *device = after;
    Ok(view)
}

async fn challenged(
    client: &Client,
    device: &DeviceFile,
    address: Option<IpAddr>,
) -> Result<DeviceProof, Unproved> {
    // A socket does not say where its other end is; this machine is a good guess.
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let body = ChallengeBody {
        scope: device.scope.to_string(),
        handle: device.handle().to_string(),
        address: address.or(is_local(client).then_some(here)),
    };
    let challenge: ChallengeView = client
        .send(Method::POST, "/devices/challenge", &body)
        .await?;
    let nonce: Digest = challenge.nonce.parse().map_err(|error| unread(&error))?;
    let nonce = Nonce::new(*nonce.as_bytes());
    let entropy = Nonce::new(SystemRandomness.seed());
    Ok(device.prove(nonce, entropy, challenge.address))
}

fn is_local(client: &Client) -> bool {
    matches!(client, Client::Socket(_) | Client::InProcess(_))
}

/// The client for a server as written.
fn client(server: &str) -> Result<Client, Failure> {
    match server.strip_prefix(SOCKET) {
        Some(path) if !path.is_empty() => Ok(Client::Socket(PathBuf::from(path))),
        _ => Err(Failure::new(
            Code::Usage,
            format!("{server:?} is no server"),
            Some("for example --server unix:/var/lib/kedge/admin.sock"),
        )),
    }
}

fn unread(error: &dyn std::error::Error) -> Failure {
    let error = format!("the node's reply could not be read: {}", error_chain(error));
    Failure::new(Code::Failed, error, None)
}

impl From<DeviceFileError> for Failure {
    fn from(error: DeviceFileError) -> Self {
        let hint = match &error {
            DeviceFileError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::AlreadyExists => Some("name another file, or move it away"),
                _ => None,
            },
            DeviceFileError::Content { .. } => Some("`kedge device renew` makes another one"),
            DeviceFileError::Open { .. } => None,
        };
        Self::new(Code::Usage, error_chain(&error), hint)
    }
}
