//! The devices of a rollout, cheap to copy.

use std::ops::{Index, IndexMut};
use std::slice;
use std::sync::Arc;

use super::DeviceView;

/// A rollout's devices, in the order of their rings and then of their ids.
///
/// A copy shares all devices with its original, and owns only those that are changed in it: the
/// engine works on a copy, and in most passes changes few of a million.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices(Vec<Arc<DeviceView>>);

impl Devices {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// One after the other, to be changed: each that is reached is copied if it is shared.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        IterMut(self.0.iter_mut())
    }

    /// Takes in one more, at its place in the order; says which that is.
    pub fn insert(&mut self, device: DeviceView) -> usize {
        let key = |device: &DeviceView| (device.ring, device.device.clone());
        let place = self.0.partition_point(|known| key(known) < key(&device));
        self.0.insert(place, Arc::new(device));
        place
    }

    /// The devices of a ring, which stand together.
    pub fn of_ring(&self, ring: u32) -> Iter<'_> {
        let begin = self.0.partition_point(|device| device.ring < ring);
        let end = self.0.partition_point(|device| device.ring <= ring);
        Iter(self.0[begin..end].iter())
    }
}

impl FromIterator<DeviceView> for Devices {
    fn from_iter<I: IntoIterator<Item = DeviceView>>(devices: I) -> Self {
        Self(devices.into_iter().map(Arc::new).collect())
    }
}

impl From<Vec<DeviceView>> for Devices {
    fn from(devices: Vec<DeviceView>) -> Self {
        devices.into_iter().collect()
    }
}

impl Index<usize> for Devices {
    type Output = DeviceView;

    fn index(&self, place: usize) -> &DeviceView {
        &self.0[place]
    }
}

impl IndexMut<usize> for Devices {
    fn index_mut(&mut self, place: usize) -> &mut DeviceView {
        Arc::make_mut(&mut self.0[place])
    }
}

/// Devices, one after the other.
#[derive(Debug, Clone)]
pub struct Iter<'a>(slice::Iter<'a, Arc<DeviceView>>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a DeviceView;

    fn next(&mut self) -> Option<&'a DeviceView> {
        self.0.next().map(|device| &**device)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Devices, one after the other, to be changed.
#[derive(Debug)]
pub struct IterMut<'a>(slice::IterMut<'a, Arc<DeviceView>>);

impl<'a> Iterator for IterMut<'a> {
    type Item = &'a mut DeviceView;

    fn next(&mut self) -> Option<&'a mut DeviceView> {
        self.0.next().map(Arc::make_mut)
    }
}

impl<'a> IntoIterator for &'a Devices {
    type Item = &'a DeviceView;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Devices {
    type Item = &'a mut DeviceView;
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> IterMut<'a> {
        self.iter_mut()
    }
}
