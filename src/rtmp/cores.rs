//! Cores: threads that serve RTMP connections, each with an event loop of its own.
//!
//! A frame is little work and there are many of them. On a shared pool each one may wake a second thread to see whether
//! there is more to do, and that costs more than the work; here a thread takes all that its sockets have for it and then
//! sleeps. A connection stays on the core it was given.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads. They end when this is dropped, with whatever still runs on them.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
    turn: AtomicUsize,
    _alive: DropGuard,
}

/// One thread's event loop.
#[derive(Clone, Debug)]
pub(super) struct Core {
    handle: Handle,
}

impl Cores {
    /// Starts `count` threads, one at least.
    pub fn start(count: usize) -> io::Result<Self> {
        let alive = CancellationToken::new();
        let mut cores = Vec::new();
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            cores.push(Core {
                handle: runtime.handle().clone(),
            });
            let ended = alive.clone().cancelled_owned();
            thread::Builder::new()
                .name(format!("rtmp-{number}"))
                .spawn(move || runtime.block_on(ended))?;
        }
        Ok(Self {
            cores,
            turn: AtomicUsize::new(0),
            _alive: alive.drop_guard(),
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.cores.len()
    }

    /// The core for the next connection.
    pub(super) fn next(&self) -> &Core {
        self.get(self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// A core by number, of which there may be more than cores.
    pub(super) fn get(&self, number: usize) -> &Core {
        &self.cores[number % self.cores.len()]
    }
}

impl Core {
    /// For sockets and tasks that are to be served here.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
