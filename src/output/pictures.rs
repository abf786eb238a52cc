//! Pictures: the newest still of each stream, for lists of what is on air.
//!
//! A pipeline draws one every few seconds, and only the newest is kept. It goes when the pipeline does: an old picture of a
//! stream that has ended would say that it is still there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::timeout};

use crate::hub::StreamKey;

/// Most bytes of a picture.
pub const MAX_PICTURE: usize = 8 << 20;

/// The newest picture of each stream. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    shelf: Arc<Mutex<Shelf>>,
    arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Shelf {
    places: BTreeMap<StreamKey, Place>,
    /// Numbers for places and for pictures.
    count: u64,
}

/// Where the pictures of a stream are put.
#[derive(Debug)]
struct Place {
    owner: u64,
    newest: Option<Picture>,
}

/// A JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// No two pictures of a server have the same.
    pub number: u64,
    /// The file.
    pub data: Bytes,
}

impl Pictures {
    /// A place for a stream's pictures. Of several pipelines that draw a stream the last one has it.
    pub fn place(&self, key: &StreamKey) -> PictureWriter {
        let mut shelf = self.shelf();
        shelf.count += 1;
        let owner = shelf.count;
        // What another one drew is shown until there is something newer.
        let newest = shelf.places.remove(key).and_then(|place| place.newest);
        shelf.places.insert(key.clone(), Place { owner, newest });
        PictureWriter {
            pictures: self.clone(),
            key: key.clone(),
            owner,
        }
    }

    /// The newest picture of a stream.
    pub fn newest(&self, key: &StreamKey) -> Option<Picture> {
        self.shelf().places.get(key)?.newest.clone()
    }

    /// The newest picture of a stream; the first, if there is none within `patience` yet.
    pub async fn wait(&self, key: &StreamKey, patience: Duration) -> Option<Picture> {
        let wait = async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(picture) = self.newest(key) {
                    return picture;
                }
                arrived.await;
            }
        };
        timeout(patience, wait).await.ok()
    }

    /// The lock is held for map operations only; a poisoned one is still whole.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts pictures in a stream's place. Dropping it takes them away.
#[derive(Debug)]
pub struct PictureWriter {
    pictures: Pictures,
    key: StreamKey,
    owner: u64,
}

impl PictureWriter {
    /// This is the newest picture.
    pub fn put(&self, data: Bytes) -> Result<(), TooLarge> {
        let bytes = data.len();
        if bytes > MAX_PICTURE {
            return Err(TooLarge { bytes });
        }
        let mut shelf = self.pictures.shelf();
        shelf.count += 1;
        let number = shelf.count;
        let own = shelf
            .places
            .get_mut(&self.key)
            .filter(|place| place.owner == self.owner);
        if let Some(place) = own {
            place.newest = Some(Picture { number, data });
        }
        drop(shelf);
        self.pictures.arrived.notify_waiters();
        Ok(())
    }
}

impl Drop for PictureWriter {
    fn drop(&mut self) {
        let mut shelf = self.pictures.shelf();
        if shelf
            .places
            .get(&self.key)
            .is_some_and(|place| place.owner == self.owner)
        {
            shelf.places.remove(&self.key);
        }
    }
}

/// A picture that nobody could mean to be shown in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a picture of {bytes} bytes is larger than the {MAX_PICTURE} that are kept; make it smaller")]
pub struct TooLarge {
    bytes: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key() -> StreamKey {
        StreamKey::parse("live/a").unwrap()
    }

    #[test]
    fn the_newest_picture_is_shown_for_as_long_as_its_pipeline_lives() {
        let pictures = Pictures::default();
        assert_eq!(pictures.newest(&key()), None);
        let writer = pictures.place(&key());
        assert_eq!(pictures.newest(&key()), None);
        writer.put(Bytes::from_static(b"one")).unwrap();
        let one = pictures.newest(&key()).unwrap();
        writer.put(Bytes::from_static(b"two")).unwrap();
        let two = pictures.newest(&key()).unwrap();
        assert_eq!((&one.data[..], &two.data[..]), (&b"one"[..], &b"two"[..]));
        assert_ne!(one.number, two.number);
        drop(writer);
        assert_eq!(pictures.newest(&key()), None);
    }

    #[test]
    fn a_pipeline_that_takes_anothers_place_keeps_the_picture_and_has_the_say() {
        let pictures = Pictures::default();
        let first = pictures.place(&key());
        first.put(Bytes::from_static(b"first")).unwrap();
        let second = pictures.place(&key());
        assert_eq!(pictures.newest(&key()).unwrap().data, "first");
        second.put(Bytes::from_static(b"second")).unwrap();
        first.put(Bytes::from_static(b"late")).unwrap();
        drop(first);
        assert_eq!(pictures.newest(&key()).unwrap().data, "second");
    }

    #[test]
    fn a_picture_is_no_larger_than_a_list_can_show() {
        let writer = Pictures::default().place(&key());
        let error = writer.put(vec![0; MAX_PICTURE + 1].into()).unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_before_the_first_picture_waits_for_it() {
        let pictures = Pictures::default();
        let key = key();
        assert_eq!(pictures.wait(&key, Duration::from_secs(8)).await, None);
        let writer = pictures.place(&key);
        let (waited, ()) = tokio::join!(pictures.wait(&key, Duration::from_secs(8)), async {
            tokio::task::yield_now().await;
            writer.put(Bytes::from_static(b"one")).unwrap();
        });
        assert_eq!(waited.unwrap().data, "one");
    }
}
