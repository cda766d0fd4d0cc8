//! `[api]`: the admin API over TCP, as it can be carried out.

use std::net::SocketAddr;
use std::path::Path;

use crate::adapters::tls_files::TlsFiles;
use crate::base::identity::Identity;
use crate::namespace::name::Name;
use crate::service::callers::{Clients, TOKEN_SCOPES_MAX};
use crate::service::permission::{Permission, Right};

use super::Api;
use super::file_v1;
use super::valid::{Fault, each, value};

pub(super) fn api(written: file_v1::Api, base: &Path) -> Result<Api, Fault> {
    let fault = |key: &str, problem: &str| (format!("api.{key}"), problem.to_owned());
    let tls = match (written.certificate, written.key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: base.join(certificate),
            key: base.join(key),
            client_ca: written.client_ca.map(|path| base.join(path)),
        }),
        (Some(_), None) => return Err(fault("key", "a certificate needs its key")),
        (None, Some(_)) => return Err(fault("certificate", "a key needs its certificate")),
        (None, None) if written.client_ca.is_some() => {
            return Err(fault(
                "client-ca",
                "only a node with a certificate asks for others",
            ));
        }
        (None, None) => None,
    };
    let listen: Vec<SocketAddr> = each("api.listen", &written.listen)?;
    let open = listen.iter().find(|address| !address.ip().is_loopback());
    if let Some(open) = open.filter(|_| tls.is_none()) {
        let problem = format!(
            "{open} is no loopback address, and without TLS everybody on the way could read the \
             tokens; set certificate and key"
        );
        return Err(("api.listen".to_owned(), problem));
    }
    let has_ca = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !written.clients.is_empty() && !has_ca {
        let problem = "clients with certificates need a client-ca that vouches for them";
        return Err(fault("clients", problem));
    }
    let mut clients = Clients::new();
    for client in &written.clients {
        let (identity, permission) = client_permission(client)?;
        if clients.insert(identity, permission).is_some() {
            let problem = format!("{} is written twice", client.identity);
            return Err(fault("clients.identity", &problem));
        }
    }
    Ok(Api {
        listen,
        tls,
        clients,
    })
}

fn client_permission(written: &file_v1::ApiClient) -> Result<(Identity, Permission), Fault> {
    let identity = value("api.clients.identity", &written.identity)?;
    let rights: Vec<Right> = each("api.clients.rights", &written.rights)?;
    let scopes: Vec<Name> = each("api.clients.scopes", &written.scopes)?;
    if rights.is_empty() {
        let problem = "a client without rights may do nothing".to_owned();
        return Err(("api.clients.rights".to_owned(), problem));
    }
    if scopes.len() > TOKEN_SCOPES_MAX {
        let problem = format!("at most {TOKEN_SCOPES_MAX}");
        return Err(("api.clients.scopes".to_owned(), problem));
    }
    Ok((identity, Permission::new(rights, scopes)))
}
