//! The detour: other servers of a zone, where those that the recursor knows have no use.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_resolver::NameServerPool;
use hickory_resolver::config::NameServerConfig;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query};
use hickory_resolver::proto::rr::{Name, Record, RecordType};

use crate::service::steps::note_step;

use super::account::Account;
use super::names::{OneName, UDP_ANSWER_BYTES_MAX};

/// Names of servers whose addresses are looked for on one detour; two questions each, and their own way
/// down. Less than the recursor allows itself where there is no address at all (CVE-2020-8616).
const NAMES_MAX: usize = 4;

impl OneName {
    /// Asks the servers of the zone that were not asked yet; none if there are none.
    pub(super) async fn detour(&self, query: &Query) -> Option<Result<Message, NetError>> {
        if query.query_type() == RecordType::NS || !Account::begin_detour() {
            return None;
        }
        let found = self.other_servers(query).await;
        Account::end_detour();
        let (zone, servers) = found?;
        note_step(|| format!("other servers of {zone} are asked"));
        Some(self.ask_them(query, &zone, servers).await)
    }

    /// Addresses of servers that were not asked yet, and their zone.
    async fn other_servers(&self, query: &Query) -> Option<(Name, BTreeSet<IpAddr>)> {
        let from = match query.query_type() {
            RecordType::DS => query.name.base_name(),
            _ => query.name.clone(),
        };
        let mut looked_for = BTreeSet::new();
        let (zone, names) = self.cuts().above(&from)?;
        let found = self.addresses(query, &zone, names, &mut looked_for).await;
        if !found.is_empty() {
            return Some((zone, found));
        }
        // The zone may know more than its parent says; who answers is noted on the way.
        let servers = Query::query(zone.clone(), RecordType::NS);
        drop(Box::pin(self.resolve(&servers)).await);
        let (zone, names) = self.cuts().above(&from)?;
        let found = self.addresses(query, &zone, names, &mut looked_for).await;
        (!found.is_empty()).then_some((zone, found))
    }

    async fn addresses(
        &self,
        query: &Query,
        zone: &Name,
        mut names: Vec<Name>,
        looked_for: &mut BTreeSet<Name>,
    ) -> BTreeSet<IpAddr> {
        // What is in the zone itself was most likely asked, or cannot be found without it.
        names.sort_by_key(|name| zone.zone_of(name));
        let mut found = BTreeSet::new();
        for name in names {
            if looked_for.len() == NAMES_MAX || !looked_for.insert(name.clone()) {
                continue;
            }
            for kind in [RecordType::A, RecordType::AAAA] {
                let address = Query::query(name.clone(), kind);
                if address.name == query.name && kind == query.query_type {
                    continue;
                }
                let answer = Box::pin(self.resolve(&address)).await;
                let rows = answer.map_or_else(|_| Vec::new(), |message| message.answers);
                let addresses = rows.iter().filter(|row| row.name == name);
                found.extend(addresses.filter_map(|row| row.data.ip_addr()));
            }
        }
        let authorities = self.authorities();
        found.retain(|server| authorities.may_ask(*server) && !Account::was_asked(query, *server));
        found
    }

    async fn ask_them(
        &self,
        query: &Query,
        zone: &Name,
        servers: BTreeSet<IpAddr>,
    ) -> Result<Message, NetError> {
        let servers = servers.into_iter().map(NameServerConfig::udp_and_tcp);
        let pool =
            NameServerPool::from_config(servers, self.pool_context(), self.authorities().clone());
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = UDP_ANSWER_BYTES_MAX;
        options.edns_set_dnssec_ok = true;
        options.recursion_desired = false;
        let answer = pool.lookup(query.clone(), options).first_answer().await;
        let is_within = |row: &Record| zone.zone_of(&row.name);
        match answer {
            Ok(response) => {
                let mut message = response.into_message();
                message.answers.retain(is_within);
                message.authorities.retain(is_within);
                message.additionals.clear();
                Ok(message)
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(absence))) => Err(NetError::from(
                DnsError::NoRecordsFound(within(absence, zone)),
            )),
            Err(error) => Err(error),
        }
    }
}

/// An absence without what is said of other zones.
fn within(mut absence: NoRecords, zone: &Name) -> NoRecords {
    let rows = absence.authorities.iter().flat_map(|rows| rows.iter());
    let rows = rows.filter(|row| zone.zone_of(&row.name)).cloned();
    absence.authorities = Some(rows.collect());
    absence.soa = absence.soa.filter(|soa| zone.zone_of(&soa.name));
    absence.ns = None;
    absence
}
