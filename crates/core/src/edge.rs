//! Distribution points: caching mirrors near the devices. What they serve is named by its digest,
//! so nobody needs to trust them.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{DeviceId, EdgeId};
use crate::time::Timestamp;
use crate::ways::EdgeOffer;

/// The label of a device that says at which site it stands.
pub const SITE_LABEL: &str = "site";

/// What a distribution point tells of itself, when it enrols and ever so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EdgeReport {
    /// Its name for people: its host name.
    pub name: String,
    /// Its site; devices whose label `site` is the same are told of it. Empty: nobody is.
    pub site: String,
    /// The address that devices reach it by, like `http://10.1.2.3:8471`.
    pub url: String,
    /// Bytes that it has sent to devices since it enrolled.
    pub served_bytes: u64,
    /// Bytes that it has fetched for that.
    pub fetched_bytes: u64,
}

/// A distribution point, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Edge {
    /// The distribution point.
    pub id: EdgeId,
    /// What it told of itself last.
    #[serde(flatten)]
    pub report: EdgeReport,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was heard last, by the server's clock.
    pub last_seen: Timestamp,
    /// Whether it was heard within [`ONLINE_WITHIN`](crate::device::ONLINE_WITHIN).
    pub online: bool,
}

/// Brings a site's distribution points into the order in which a device asks them: each device has
/// one of its own, which stays the same when others come and go, so that they share the work.
pub fn nearest_first(device: &DeviceId, offers: &mut [EdgeOffer]) {
    offers.sort_by_cached_key(|offer| Digest::of(format!("{device}\0{}", offer.url).as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_share_the_distribution_points_of_their_site() {
        let offer = |n: usize| EdgeOffer { name: format!("{n}"), url: format!("http://e{n}") };
        let first_of = |device: usize, count: usize| {
            let mut offers: Vec<_> = (0..count).map(offer).collect();
            nearest_first(&format!("d{device}").parse().unwrap(), &mut offers);
            offers.swap_remove(0).name
        };
        let mut asked = [0; 4];
        for device in 0..400 {
            let with_three = first_of(device, 3);
            let with_four = first_of(device, 4);
            assert!(with_four == "3" || with_four == with_three, "only the new one takes over");
            asked[with_four.parse::<usize>().unwrap()] += 1;
        }
        assert!(asked.iter().all(|count| (70..130).contains(count)), "{asked:?}");
    }
}
