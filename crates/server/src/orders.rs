//! Which device waits for an order: each is woken by an order of its own, and by nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gofleet_core::ids::DeviceId;
use tokio::sync::watch;

/// The devices that wait.
#[derive(Clone, Default)]
pub struct OrderNews(Arc<Mutex<HashMap<DeviceId, watch::Sender<()>>>>);

/// One wait of one device; ends when it is dropped.
pub struct Waiting {
    news: OrderNews,
    device: DeviceId,
    receiver: Option<watch::Receiver<()>>,
}

impl OrderNews {
    /// Begins to watch: an order that is announced from now on is not missed.
    pub fn watch(&self, device: &DeviceId) -> Waiting {
        let receiver =
            self.lock().entry(device.clone()).or_insert_with(|| watch::Sender::new(())).subscribe();
        Waiting { news: self.clone(), device: device.clone(), receiver: Some(receiver) }
    }

    /// The device has a new order.
    pub fn announce(&self, device: &DeviceId) {
        if let Some(sender) = self.lock().get(device) {
            sender.send_replace(());
        }
    }

    /// Any device may have one: each looks for itself.
    pub fn announce_all(&self) {
        self.lock().values().for_each(|sender| sender.send_replace(()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, watch::Sender<()>>> {
        // Nothing that holds the lock can panic between two states of the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Returns once an order was announced since the last return.
    pub async fn changed(&mut self) {
        let receiver = self.receiver.as_mut().expect("taken by drop only");
        receiver.changed().await.expect("the sender stays while somebody waits");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.news.lock();
        drop(self.receiver.take());
        if waiting.get(&self.device).is_some_and(watch::Sender::is_closed) {
            waiting.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_the_device_itself_is_woken_and_nothing_is_missed() {
        let news = OrderNews::default();
        let (one, other): (DeviceId, DeviceId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let (mut first, mut second) = (news.watch(&one), news.watch(&other));
        news.announce(&one);
        first.changed().await;
        assert!(first.changed().now_or_never().is_none(), "told once");
        assert!(second.changed().now_or_never().is_none(), "not its order");
        news.announce_all();
        second.changed().await;
        drop((first, second));
        assert!(news.lock().is_empty(), "whoever does not wait takes no room");
    }
}
