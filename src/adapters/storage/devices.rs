//! The tables of devices.

use redb::ReadableTable;
use zeroize::Zeroizing;

use crate::base::canonical::{DecodeError, Form};
use crate::base::limits::DEVICES_MAX;
use crate::governance::device::{DeviceId, DeviceRecord};
use crate::index::devices::{DeviceRow, DeviceStore, DeviceView};
use crate::namespace::scope::ScopeUid;

use super::error::StoreError;
use super::tables::Bytes;
use super::view::{Tables, WriteTables, damaged};

fn key(scope: &ScopeUid, device: &DeviceId) -> Vec<u8> {
    [scope.digest().as_bytes().as_slice(), device.as_bytes()].concat()
}

impl<T: ReadableTable<Bytes, Bytes>> DeviceView for Tables<T> {
    type Failure = StoreError;

    fn devices(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, StoreError> {
        let scope = scope.digest().as_bytes().as_slice();
        let mut found = Vec::new();
        for entry in self.device.range(scope..)? {
            let (key, value) = entry?;
            let Some(device) = key.value().strip_prefix(scope) else {
                break;
            };
            if found.len() >= DEVICES_MAX {
                break;
            }
            let not_a_key = DecodeError::NotCanonical { what: "key" };
            let device = device.try_into().map_err(|_| not_a_key);
            let device = DeviceId::from_bytes(device.map_err(damaged("device"))?);
            let record = DeviceRecord::from_bytes(value.value());
            found.push((device, record.map_err(damaged("device"))?));
        }
        Ok(found)
    }
}

impl DeviceStore for WriteTables<'_> {
    fn put_device(
        &mut self,
        scope: &ScopeUid,
        device: &DeviceId,
        record: Option<&DeviceRecord>,
    ) -> Result<(), StoreError> {
        let key = key(scope, device);
        match record {
            Some(record) => {
                let bytes = Zeroizing::new(record.to_bytes());
                self.device.insert(key.as_slice(), bytes.as_slice())?
            }
            None => self.device.remove(key.as_slice())?,
        };
        Ok(())
    }
}
