//! The load itself: who connects when, what is counted.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use streammill_rtmp::{ClientEvent, MediaType, RtmpTime};
use tokio::{task::JoinSet, time::sleep_until};

use crate::{client::Client, process::Usage, signal};

/// Players that join at the same moment: more would measure the accept queue.
const JOINING: usize = 50;

/// A player that got nothing for this long is counted as late.
const STALL: Duration = Duration::from_secs(2);

/// Latencies beyond a minute are counted as a minute.
const MAX_LATENCY_MICROS: u64 = 60_000_000;

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) publishers: usize,
    pub(crate) players: usize,
    /// Players beside them that join, read one picture and then nothing more.
    pub(crate) stuck: usize,
    /// Players beside them that wait for a stream nobody publishes.
    pub(crate) idle: usize,
    pub(crate) bitrate: u64,
    pub(crate) measured: Duration,
}

/// What it cost and how well it was served.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) cpu: Duration,
    /// Media bytes that players received.
    pub(crate) delivered: u64,
    pub(crate) latency_p50: Duration,
    pub(crate) latency_p99: Duration,
    pub(crate) latency_max: Duration,
    /// From asking to play to the first key frame.
    pub(crate) join_p50: Duration,
    pub(crate) join_max: Duration,
    pub(crate) resident: u64,
    /// What the server's memory grew by when the idle players came, for each.
    pub(crate) per_idle_player: u64,
    /// Players that were left without data for a while.
    pub(crate) stalled: usize,
}

struct Shared {
    clock: Instant,
    measuring: AtomicBool,
    delivered: AtomicU64,
    stalled: AtomicU64,
    /// Microseconds from sending a picture to its last byte being read.
    latency: Mutex<Histogram<u64>>,
    /// Microseconds from asking to play to the first key frame.
    join: Mutex<Histogram<u64>>,
}

impl Load {
    /// Runs one round against the server at `url` with process `pid`.
    pub(crate) async fn run(self, url: &str, pid: u32) -> anyhow::Result<Figures> {
        let shared = Arc::new(Shared {
            clock: Instant::now(),
            measuring: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            latency: Mutex::new(Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3)?),
            join: Mutex::new(Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3)?),
        });
        let mut tasks = JoinSet::new();
        for number in 0..self.publishers {
            let mut client = Client::connect(url, number as u64).await?;
            client.session.publish(&format!("load{number}"));
            client
                .wait_for(|event| matches!(event, ClientEvent::PublishStarted))
                .await?;
            tasks.spawn(publish(client, self.bitrate, number as u64, shared.clone()));
        }
        let before_idle = Usage::of_tree(pid)?.resident;
        let mut idle = Vec::new();
        for number in 0..self.idle {
            idle.push(join(url, "nobody", 2 << 32 | number as u64).await?.0);
        }
        let per_idle_player = match self.idle {
            0 => 0,
            idle => Usage::of_tree(pid)?.resident.saturating_sub(before_idle) / idle as u64,
        };
        // Publishers have sent a group of pictures by then, so that joiners meet a full cache.
        if self.publishers > 0 {
            sleep_until((Instant::now() + Duration::from_secs(2)).into()).await;
        }
        let mut stuck = Vec::new();
        for number in 0..self.stuck {
            let mut client = join(url, "load0", 3 << 32 | number as u64).await?.0;
            client
                .wait_for(|event| matches!(event, ClientEvent::Media { .. }))
                .await?;
            stuck.push(client);
        }
        let mut joined = 0;
        while joined < self.players {
            let mut joining = JoinSet::new();
            for number in joined..self.players.min(joined + JOINING) {
                let url = url.to_owned();
                let name = format!("load{}", number % self.publishers.max(1));
                joining.spawn(async move { join(&url, &name, 1 << 32 | number as u64).await });
            }
            while let Some(client) = joining.join_next().await {
                let (client, asked) = client??;
                tasks.spawn(play(client, asked, shared.clone()));
                joined += 1;
            }
        }
        // What joiners get from the cache is old by design and not measured.
        sleep_until((Instant::now() + Duration::from_secs(3)).into()).await;

        let before = Usage::of_tree(pid)?;
        shared.measuring.store(true, Ordering::Relaxed);
        sleep_until((Instant::now() + self.measured).into()).await;
        shared.measuring.store(false, Ordering::Relaxed);
        let after = Usage::of_tree(pid)?;
        if let Some(ended) = tasks.try_join_next() {
            ended??;
            anyhow::bail!("a client ended before the load did");
        }
        tasks.shutdown().await;

        let latency = shared
            .latency
            .lock()
            .map_err(|_| anyhow::anyhow!("a player failed while it noted a latency"))?;
        let join = shared
            .join
            .lock()
            .map_err(|_| anyhow::anyhow!("a player failed while it noted its join"))?;
        let quantile = |quantile| Duration::from_micros(latency.value_at_quantile(quantile));
        Ok(Figures {
            cpu: after.cpu - before.cpu,
            delivered: shared.delivered.load(Ordering::Relaxed),
            latency_p50: quantile(0.5),
            latency_p99: quantile(0.99),
            latency_max: Duration::from_micros(latency.max()),
            join_p50: Duration::from_micros(join.value_at_quantile(0.5)),
            join_max: Duration::from_micros(join.max()),
            resident: after.resident,
            per_idle_player,
            stalled: shared.stalled.load(Ordering::Relaxed) as usize,
        })
    }
}

/// Sends pictures on time until it is stopped. Publishers start apart and have key frames at other times, as those of
/// different people do: in step, all their groups of pictures would be longest at once.
async fn publish(mut client: Client, bitrate: u64, number: u64, shared: Arc<Shared>) -> anyhow::Result<()> {
    let interval = Duration::from_nanos(1_000_000_000 / signal::FRAME_RATE);
    let start = Instant::now() + interval.mul_f64(number as f64 * 0.618 % 1.0);
    let phase = number * 31 % signal::GROUP;
    let send =
        |client: &mut Client, kind, millis, body: Bytes| client.session.send_frame(kind, RtmpTime(millis), &body);
    send(
        &mut client,
        MediaType::Video,
        0,
        Bytes::from_static(signal::VIDEO_CONFIG),
    );
    send(
        &mut client,
        MediaType::Audio,
        0,
        Bytes::from_static(signal::AUDIO_CONFIG),
    );
    for number in 0.. {
        sleep_until((start + interval * number as u32).into()).await;
        let millis = (number * 1000 / signal::FRAME_RATE) as u32;
        let is_key = number == 0 || (number + phase).is_multiple_of(signal::GROUP);
        let body = signal::picture(is_key, bitrate, shared.clock.elapsed());
        send(&mut client, MediaType::Video, millis, body);
        client.flush().await?;
        // Acknowledgements and pings want an answer, but reading must not delay the next picture.
        if tokio::time::timeout(Duration::ZERO, client.read())
            .await
            .is_ok_and(|read| !matches!(read, Ok(true)))
        {
            anyhow::bail!("the server closed a publisher's connection");
        }
        while client.session.poll_event().is_some() {}
    }
    Ok(())
}

/// Asks to play, and says when.
async fn join(url: &str, name: &str, seed: u64) -> anyhow::Result<(Client, Instant)> {
    let mut client = Client::connect(url, seed).await?;
    let asked = Instant::now();
    client.session.play(name);
    client
        .wait_for(|event| matches!(event, ClientEvent::PlayStarted))
        .await?;
    Ok((client, asked))
}

async fn play(mut client: Client, asked: Instant, shared: Arc<Shared>) -> anyhow::Result<()> {
    let mut has_picture = false;
    let mut last = Instant::now();
    let mut has_stalled = false;
    loop {
        // What came with the answer to `play` is there already.
        while let Some(event) = client.session.poll_event() {
            let ClientEvent::Media { payload, .. } = event else {
                continue;
            };
            let sent = signal::sent_at(&payload);
            if !has_picture && sent.is_some() {
                has_picture = true;
                note(&shared.join, asked.elapsed());
            }
            if !shared.measuring.load(Ordering::Relaxed) {
                continue;
            }
            shared.delivered.fetch_add(payload.len() as u64, Ordering::Relaxed);
            if let Some(sent) = sent {
                note(&shared.latency, shared.clock.elapsed().saturating_sub(sent));
            }
        }
        client.flush().await?;
        if !client.read().await? {
            anyhow::bail!("the server closed a player's connection");
        }
        let measuring = shared.measuring.load(Ordering::Relaxed);
        if measuring && !has_stalled && last.elapsed() >= STALL {
            has_stalled = true;
            shared.stalled.fetch_add(1, Ordering::Relaxed);
        }
        last = Instant::now();
    }
}

fn note(histogram: &Mutex<Histogram<u64>>, time: Duration) {
    if let Ok(mut histogram) = histogram.lock() {
        histogram.saturating_record(time.as_micros() as u64);
    }
}
