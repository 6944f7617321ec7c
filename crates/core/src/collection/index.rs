//! Finding what lists a device: by its id, or by its host name as other systems write it.
//!
//! Case does not count, nor the `$` that closes the name of a computer's account in Active
//! Directory. Where only one side tells a domain (`web01` and `web01.example.com`), the first label
//! decides, since one system knows the machine with its domain and the other without.

use std::collections::{BTreeSet, HashMap};

use crate::ids::DeviceId;

/// Who lists which name.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the whole name.
    whole: HashMap<String, Vec<usize>>,
    /// By the first label of names with a domain.
    first: HashMap<String, Vec<usize>>,
}

/// A name as it is compared.
pub(super) fn folded(name: &str) -> String {
    let name = name.trim_end_matches('.');
    name.strip_suffix('$').unwrap_or(name).to_lowercase()
}

impl Index {
    pub(super) fn add(&mut self, name: &str, owner: usize) {
        let name = folded(name);
        if let Some((first, _)) = name.split_once('.') {
            self.first.entry(first.to_owned()).or_default().push(owner);
        }
        self.whole.entry(name).or_default().push(owner);
    }

    /// Who lists the device, each once.
    pub(super) fn owners(
        &self,
        device: &DeviceId,
        hostname: &str,
    ) -> impl Iterator<Item = usize> + use<> {
        let (id, host) = (folded(device.as_str()), folded(hostname));
        let other = match host.split_once('.') {
            Some((first, _)) => self.whole.get(first),
            None => self.first.get(&host),
        };
        let lists = [self.whole.get(&id), self.whole.get(&host), other];
        let owners: BTreeSet<usize> = lists.into_iter().flatten().flatten().copied().collect();
        owners.into_iter()
    }
}
