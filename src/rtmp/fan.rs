//! The fan-out: the tasks that write a stream to its players.
//!
//! A frame wakes one task for many players, not a task each: that, and one system call a player, is what a frame costs. A
//! stream with many players is shared out to as many tasks as there are cores; a task writes to one player after the
//! other and never waits for one.
//!
//! System calls are what fan-out costs, so writes are merged when there are many to make: see [`hold`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use streammill_rtmp::MessageStreamId;
use tokio::{
    sync::{Notify, watch},
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    cores::Cores,
    feed::Round,
    line::{Line, Served},
};
use crate::hub::{Packet, PublicationId};

/// Players of one stream that one task serves before another is started.
const SHARD_PLAYERS: usize = 512;

/// Players served before other tasks of the thread get their turn: about half a millisecond of writing.
const TURN: usize = 64;

/// Writes a second that a core is asked to make before writes are merged. At some ten microseconds each that is a
/// hundredth of its time.
const WRITES_PER_CORE: usize = 1500;

/// How long the first packet of a batch is held for more to come.
///
/// Few players are sent each packet at once. The more there are, the longer is the wait, so that their writes stay
/// within what the cores can do with ease, and no longer than `longest`.
pub(super) fn hold(players: usize, cores: usize, longest: Duration) -> Duration {
    let budget = (WRITES_PER_CORE * cores.max(1)) as f64;
    let wanted = Duration::from_secs_f64(players as f64 / budget);
    // A wait of a few milliseconds merges nothing.
    match wanted {
        wanted if wanted < Duration::from_millis(5) => Duration::ZERO,
        wanted => wanted.min(longest),
    }
}

/// Gives players to the tasks that write to them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FanOut {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    streams: Mutex<HashMap<PublicationId, Vec<Arc<Shard>>>>,
    /// Over all streams.
    players: AtomicUsize,
    cores: Arc<Cores>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The players of a publication that one task serves.
#[derive(Debug)]
struct Shard {
    joining: Mutex<Vec<Player>>,
    players: AtomicUsize,
    wake: Notify,
}

#[derive(Debug)]
struct Player {
    line: Arc<Line>,
    stream: MessageStreamId,
}

impl FanOut {
    /// Tasks run on `cores`, are known to `tasks` and end when `stop` is cancelled.
    pub fn new(cores: Arc<Cores>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            shared: Arc::new(Shared {
                streams: Mutex::default(),
                players: AtomicUsize::new(0),
                cores,
                tasks,
                stop,
            }),
        }
    }

    /// Serves a feed of `line` from now on whenever `head` moves, holding packets no longer than `longest_hold`.
    pub(super) fn join(
        &self,
        publication: PublicationId,
        head: watch::Receiver<u64>,
        longest_hold: Duration,
        line: Arc<Line>,
        stream: MessageStreamId,
    ) {
        let shared = &self.shared;
        let mut streams = shared.streams();
        let shards = streams.entry(publication).or_default();
        let count = |shard: &Arc<Shard>| shard.players.load(Ordering::Relaxed);
        let players: usize = shards.iter().map(count).sum();
        let shard = if shards.len() < shards_for(players + 1, shared.cores.count()) {
            let shard = Arc::new(Shard {
                joining: Mutex::default(),
                players: AtomicUsize::new(0),
                wake: Notify::new(),
            });
            // A stream's first task runs on any core, the next one on another.
            let core = shared.cores.get(publication.0 as usize + shards.len());
            shards.push(shard.clone());
            let serve = serve(shared.clone(), publication, shard.clone(), head, longest_hold);
            shared.tasks.spawn_on(serve, core.handle());
            shard
        } else {
            // There is one at least, because one player has a task.
            let Some(shard) = shards.iter().min_by_key(|shard| count(shard)) else {
                return;
            };
            shard.clone()
        };
        shard.players.fetch_add(1, Ordering::Relaxed);
        shared.players.fetch_add(1, Ordering::Relaxed);
        shard.joining().push(Player { line, stream });
        // Under the lock of the streams, so that a task which finds itself without players does not end now.
        shard.wake.notify_one();
    }
}

/// Tasks that a stream with this many players is shared out to.
fn shards_for(players: usize, cores: usize) -> usize {
    players.div_ceil(SHARD_PLAYERS).clamp(1, cores.max(1))
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, HashMap<PublicationId, Vec<Arc<Shard>>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a shard, unless someone is joining it.
    fn forget(&self, publication: PublicationId, shard: &Arc<Shard>) -> bool {
        let mut streams = self.streams();
        if !shard.joining().is_empty() {
            return false;
        }
        if let Some(shards) = streams.get_mut(&publication) {
            shards.retain(|known| !Arc::ptr_eq(known, shard));
            if shards.is_empty() {
                streams.remove(&publication);
            }
        }
        true
    }
}

impl Shard {
    fn joining(&self) -> MutexGuard<'_, Vec<Player>> {
        self.joining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a shard. It ends with its last player.
async fn serve(
    shared: Arc<Shared>,
    publication: PublicationId,
    shard: Arc<Shard>,
    mut head: watch::Receiver<u64>,
    longest_hold: Duration,
) {
    let stopped = shared.stop.cancelled();
    let mut stopped = std::pin::pin!(stopped);
    let mut players: Vec<Player> = Vec::new();
    let mut scratch = Vec::new();
    loop {
        let mut round = Round::default();
        for index in (0..players.len()).rev() {
            let player = &players[index];
            let served = player.line.serve_alike(player.stream, &mut round, &mut scratch);
            settle(&mut players, index, served, &shared, &shard);
            if index % TURN == TURN - 1 {
                yield_now().await;
            }
        }
        loop {
            // Who joins looks after two who are there, so that those who left a silent stream are forgotten, too.
            let joining = std::mem::take(&mut *shard.joining());
            for joining in joining {
                for _ in 0..2.min(players.len()) {
                    let index = rand::random_range(0..players.len());
                    serve_one(&mut players, index, &shared, &shard, &mut scratch);
                }
                players.push(joining);
                let last = players.len() - 1;
                serve_one(&mut players, last, &shared, &shard, &mut scratch);
            }
            scratch.clear();
            if players.is_empty() && shared.forget(publication, &shard) {
                return;
            }
            tokio::select! {
                // A publication that is gone has ended all feeds, so the next round is the last.
                _ = head.changed() => break,
                () = shard.wake.notified() => {}
                () = &mut stopped => return,
            }
        }
        let players_of_all = shared.players.load(Ordering::Relaxed);
        let hold = hold(players_of_all, shared.cores.count(), longest_hold);
        if !hold.is_zero() {
            tokio::select! {
                () = sleep_until(Instant::now() + hold) => {}
                () = &mut stopped => return,
            }
        }
        head.borrow_and_update();
    }
}

fn serve_one(players: &mut Vec<Player>, index: usize, shared: &Shared, shard: &Shard, scratch: &mut Vec<Arc<Packet>>) {
    let player = &players[index];
    let served = player.line.serve(player.stream, scratch);
    settle(players, index, served, shared, shard);
}

fn settle(players: &mut Vec<Player>, index: usize, served: Served, shared: &Shared, shard: &Shard) {
    if served == Served::Gone {
        players.swap_remove(index);
        shard.players.fetch_sub(1, Ordering::Relaxed);
        shared.players.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(85);

    #[test]
    fn few_players_wait_for_nothing_and_many_no_longer_than_they_are_said_to() {
        assert_eq!(hold(1, 2, LONGEST), Duration::ZERO);
        assert_eq!(hold(10, 2, LONGEST), Duration::ZERO);
        assert_eq!(hold(60, 2, LONGEST), Duration::from_millis(20));
        assert_eq!(hold(300, 2, LONGEST), LONGEST);
        assert_eq!(hold(100_000, 2, LONGEST), LONGEST);
        assert_eq!(hold(300, 16, LONGEST), Duration::from_micros(12_500));
        assert_eq!(
            hold(100_000, 2, Duration::ZERO),
            Duration::ZERO,
            "low latency is kept whatever the load"
        );
    }

    #[test]
    fn a_stream_takes_a_task_more_for_so_many_players_and_no_more_than_cores() {
        let shards = |players| shards_for(players, 2);
        assert_eq!([1, 512, 513, 3000].map(shards), [1, 1, 2, 2]);
    }
}
