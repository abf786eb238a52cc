//! Bit rates and frame rates: what the hub's counters grew by over the last ten seconds.
//!
//! nginx-rtmp's `bw_*` are averages over ten seconds too, so a script that reads `/stat` finds the numbers it knows.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::hub::{PublicationId, StreamKey, StreamSnapshot, SubscriberId};

/// How long the average is taken over.
const WINDOW: Duration = Duration::from_secs(10);

/// How often [`Meter::sample`] wants to be called.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// The rates of all live streams.
#[derive(Debug, Default)]
pub(super) struct Meter {
    streams: HashMap<StreamKey, Series>,
}

/// What a stream does at present.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Bits received a second.
    pub(super) bits_in: u64,
    /// The video among them.
    pub(super) video_bits: u64,
    /// The audio among them.
    pub(super) audio_bits: u64,
    /// Bits sent a second, to viewers and pipelines.
    pub(super) bits_out: u64,
    /// Pictures received a second.
    pub(super) frames: f64,
    /// Bytes sent since the publication began, to all who came and went.
    pub(super) bytes_out: u64,
}

#[derive(Debug)]
struct Series {
    publication: PublicationId,
    samples: VecDeque<Sample>,
    bytes_out: u64,
    /// What each subscriber had been sent when it was last looked at.
    sent: HashMap<SubscriberId, u64>,
    /// What the HLS viewers had.
    sent_by_hls: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    bytes_in: u64,
    video_bytes: u64,
    audio_bytes: u64,
    video_frames: u64,
    bytes_out: u64,
}

impl Meter {
    /// Notes where the counters stand. `sent_by_hls` knows what a stream's HLS viewers were sent; it may start over.
    pub(super) fn sample(&mut self, now: Instant, streams: &[StreamSnapshot], sent_by_hls: impl Fn(&StreamKey) -> u64) {
        let is_live = |key: &StreamKey| {
            let at = streams.binary_search_by(|stream| stream.key.cmp(key));
            at.is_ok_and(|index| streams[index].live.is_some())
        };
        self.streams.retain(|key, _| is_live(key));
        for stream in streams {
            let Some(live) = &stream.live else { continue };
            let fresh = || Series::new(live.id, now.checked_sub(live.uptime).unwrap_or(now));
            let series = self.streams.entry(stream.key.clone()).or_insert_with(fresh);
            if series.publication != live.id {
                *series = fresh();
            }
            let bytes_out = series.count_out(stream, sent_by_hls(&stream.key));
            series.samples.push_back(Sample {
                at: now,
                bytes_in: live.bytes_in,
                video_bytes: live.video_bytes,
                audio_bytes: live.audio_bytes,
                video_frames: live.video_frames,
                bytes_out,
            });
            while series
                .samples
                .get(1)
                .is_some_and(|second| now.duration_since(second.at) >= WINDOW)
            {
                series.samples.pop_front();
            }
        }
    }

    /// The rates of a stream; nothing of one that is not live.
    pub(super) fn rates(&self, key: &StreamKey) -> Rates {
        self.streams.get(key).map_or_else(Rates::default, Series::rates)
    }
}

impl Series {
    fn new(publication: PublicationId, began: Instant) -> Self {
        let nothing = Sample {
            at: began,
            bytes_in: 0,
            video_bytes: 0,
            audio_bytes: 0,
            video_frames: 0,
            bytes_out: 0,
        };
        Self {
            publication,
            samples: VecDeque::from([nothing]),
            bytes_out: 0,
            sent: HashMap::new(),
            sent_by_hls: 0,
        }
    }

    fn count_out(&mut self, stream: &StreamSnapshot, sent_by_hls: u64) -> u64 {
        self.bytes_out += match sent_by_hls.checked_sub(self.sent_by_hls) {
            Some(grown) => grown,
            None => sent_by_hls,
        };
        self.sent_by_hls = sent_by_hls;
        let before = std::mem::take(&mut self.sent);
        for subscriber in &stream.subscribers {
            let known = before.get(&subscriber.id).copied().unwrap_or(0);
            self.bytes_out += subscriber.bytes_out.saturating_sub(known);
            self.sent.insert(subscriber.id, subscriber.bytes_out);
        }
        self.bytes_out
    }

    fn rates(&self) -> Rates {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return Rates::default();
        };
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let rate = |counter: fn(&Sample) -> u64| match seconds {
            0.0 => 0.0,
            _ => counter(last).saturating_sub(counter(first)) as f64 / seconds,
        };
        let bits = |counter| (rate(counter) * 8.0).round() as u64;
        Rates {
            bits_in: bits(|sample| sample.bytes_in),
            video_bits: bits(|sample| sample.video_bytes),
            audio_bits: bits(|sample| sample.audio_bytes),
            bits_out: bits(|sample| sample.bytes_out),
            frames: rate(|sample| sample.video_frames),
            bytes_out: self.bytes_out,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::hub::{Interest, LiveSnapshot, Origin, Protocol, SubscriberSnapshot};

    fn key() -> StreamKey {
        StreamKey::new("live", "x").unwrap()
    }

    fn stream(second: u64, subscribers: &[(u64, u64)]) -> Vec<StreamSnapshot> {
        let origin = Origin::Pipeline {
            template: String::new(),
            ancestors: Vec::new(),
        };
        vec![StreamSnapshot {
            key: key(),
            live: Some(LiveSnapshot {
                id: PublicationId(1),
                origin,
                since: SystemTime::now(),
                uptime: Duration::from_secs(second),
                tracks: Arc::default(),
                bytes_in: 1000 * second,
                video_bytes: 900 * second,
                audio_bytes: 100 * second,
                video_frames: 25 * second,
                audio_frames: 0,
                last_dts_millis: 0,
            }),
            subscribers: subscribers
                .iter()
                .map(|&(id, bytes_out)| SubscriberSnapshot {
                    id: SubscriberId(id),
                    interest: Interest {
                        protocol: Protocol::Rtmp,
                        peer: None,
                        software: String::new(),
                        from_cache: true,
                        wait_for_key_frame: true,
                    },
                    since: SystemTime::now(),
                    uptime: Duration::ZERO,
                    bytes_out,
                    dropped: 0,
                })
                .collect(),
        }]
    }

    #[test]
    fn rates_are_what_the_counters_grew_by() {
        let (mut meter, start) = (Meter::default(), Instant::now() + Duration::from_secs(3600));
        assert_eq!(meter.rates(&key()), Rates::default());
        for second in 1..=30 {
            meter.sample(
                start + Duration::from_secs(second),
                &stream(second, &[(1, 500 * second)]),
                |_| 0,
            );
        }
        let rates = meter.rates(&key());
        assert_eq!((rates.bits_in, rates.video_bits, rates.audio_bits), (8000, 7200, 800));
        assert_eq!((rates.bits_out, rates.frames, rates.bytes_out), (4000, 25.0, 15_000));
        assert!(meter.streams[&key()].samples.len() <= 12);
    }

    #[test]
    fn the_first_look_at_a_stream_gives_its_average_so_far() {
        let (mut meter, start) = (Meter::default(), Instant::now() + Duration::from_secs(3600));
        meter.sample(start, &stream(5, &[]), |_| 0);
        assert_eq!(meter.rates(&key()).bits_in, 8000);
    }

    #[test]
    fn what_was_sent_to_viewers_who_left_stays_counted() {
        let (mut meter, start) = (Meter::default(), Instant::now() + Duration::from_secs(3600));
        meter.sample(start, &stream(1, &[(1, 100), (2, 50)]), |_| 0);
        meter.sample(start + PERIOD, &stream(2, &[(2, 60)]), |_| 0);
        meter.sample(start + 2 * PERIOD, &stream(3, &[(2, 60), (3, 5)]), |_| 0);
        assert_eq!(meter.rates(&key()).bytes_out, 165);
    }

    #[test]
    fn what_went_out_by_hls_counts_too_even_when_its_count_starts_over() {
        let (mut meter, start) = (Meter::default(), Instant::now() + Duration::from_secs(3600));
        for (second, sent) in [(0, 100), (1, 150), (2, 30)] {
            meter.sample(start + second * PERIOD, &stream(1, &[]), |_| sent);
        }
        assert_eq!(meter.rates(&key()).bytes_out, 180);
    }

    #[test]
    fn a_stream_that_ended_is_forgotten() {
        let (mut meter, now) = (Meter::default(), Instant::now() + Duration::from_secs(3600));
        meter.sample(now, &stream(1, &[]), |_| 0);
        meter.sample(now, &[], |_| 0);
        assert!(meter.streams.is_empty());
    }
}
