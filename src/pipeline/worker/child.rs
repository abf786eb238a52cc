//! The worker's side: builds what it is told to, feeds it, sends back what comes out.
//!
//! It is the same program, started with `worker`, and its standard input is the socket. When that closes the server is gone,
//! and so is the worker: there is nothing it could do for anyone.

use std::{
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    limits,
    wire::{Order, Reader, WireError, Word, of_product, put_head},
};
use crate::pipeline::{
    StartError,
    blueprint::Blueprint,
    instance::{Instance, Report},
    product::{Emit, Origin},
};

/// Messages that wait to be sent. Elements that make more wait for the server, as they would for a slow disk.
const MAX_WAITING: usize = 64;
/// Written at a time.
const MAX_WRITE: usize = 256 << 10;
const PULSE: Duration = Duration::from_millis(100);
/// How long what is inside may take to come out. The server's patience ends before.
const DRAIN: Duration = Duration::from_secs(60);

type Outbox = mpsc::Sender<(Word, Bytes)>;

/// Works until the server says that it is enough, or is gone.
pub fn run() -> Result<(), WorkerError> {
    // Before anything else has opened a file: standard input becomes what nobody minds to be read.
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(nothing).map_err(std::io::Error::from)?;
    limits::die_with_the_server()?;
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(work(socket));
    // Elements may hang; a process that ends takes them along.
    runtime.shutdown_background();
    ended
}

async fn work(socket: std::os::unix::net::UnixStream) -> Result<(), WorkerError> {
    let (read, write) = UnixStream::from_std(socket)?.into_split();
    let (outbox, waiting) = mpsc::channel(MAX_WAITING);
    let writing = tokio::spawn(send(waiting, write));
    crate::pipeline::start()?;
    let mut orders = Reader::new(read);
    say(&outbox, Word::Ready).await;
    let worked = serve(&mut orders, &outbox).await;
    // What was made is sent before the process goes. It is cut off when the server is gone.
    drop(outbox);
    let _ = writing.await;
    worked
}

/// Builds, feeds and drains one instance.
async fn serve(orders: &mut Reader<OwnedReadHalf>, outbox: &Outbox) -> Result<(), WorkerError> {
    let Some((order, drawn)) = orders.next::<Order>().await? else {
        return Ok(());
    };
    if order != Order::Build {
        return Err(WorkerError::Order);
    }
    let blueprint: Blueprint = serde_json::from_slice(&drawn).map_err(WorkerError::Json)?;
    limits::apply(&blueprint.limits);
    let origin: Origin = Arc::new(OnceLock::new());
    if let Some(known) = blueprint.origin {
        origin.get_or_init(|| known);
    }
    let emit = emit(outbox.clone());
    let at = origin.clone();
    let built = tokio::task::spawn_blocking(move || {
        let mut instance = Instance::build(&blueprint, &at, &emit).map_err(|error| error.to_string())?;
        instance.start().map_err(|failure| failure.reason)?;
        Ok(instance)
    });
    let built = match built.await {
        Ok(built) => built,
        Err(panicked) => Err(panicked.to_string()),
    };
    let mut instance = match built {
        Ok(instance) => instance,
        Err(reason) => {
            say(outbox, Word::Built(Err(reason))).await;
            return Ok(());
        }
    };
    say(outbox, Word::Built(Ok(()))).await;
    let finish = feed(&mut instance, orders, outbox, &origin).await?;
    if finish {
        let report = match instance.drain(DRAIN).await {
            Ok(()) => Report::End,
            Err(failure) => Report::Failure(failure),
        };
        say(outbox, Word::Report(report)).await;
        instance.stop().await;
    }
    Ok(())
}

/// Feeds until the server is done with it (`true`), or gone.
async fn feed(
    instance: &mut Instance,
    orders: &mut Reader<OwnedReadHalf>,
    outbox: &Outbox,
    origin: &Origin,
) -> Result<bool, WorkerError> {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (order, media) = tokio::select! {
            order = orders.next::<Order>() => match order? {
                Some(order) => order,
                None => return Ok(false),
            },
            report = instance.report() => {
                say(outbox, Word::Report(report)).await;
                continue;
            }
            _ = pulse.tick() => {
                // When the way out is full the pulse would only come late, and it is in the products anyway.
                let _ = outbox.try_send((Word::Pulse(instance.pulse()), Bytes::new()));
                continue;
            }
        };
        match order {
            Order::Build => return Err(WorkerError::Order),
            Order::Origin(known) => {
                origin.get_or_init(|| known);
            }
            Order::Track(track) => instance.configure(&track),
            Order::Frame { track, key, dts, pts } => {
                // Refused frames belong to a pipeline that is at its end, and its report tells why.
                let _ = instance.push(track, media, key, dts, pts);
            }
            Order::Finish => return Ok(true),
            Order::Control(number) => {
                let control = serde_json::from_slice(&media).map_err(WorkerError::Json)?;
                let answer = instance.handle().control(&control);
                say(outbox, Word::Answer(number, answer)).await;
            }
        }
    }
}

/// Sends what elements make; they wait while the way is full.
fn emit(outbox: Outbox) -> Emit {
    Arc::new(move |product| {
        let message = of_product(product);
        outbox
            .blocking_send(message)
            .map_err(|_| "the server is gone".to_owned())
    })
}

async fn say(outbox: &Outbox, word: Word) {
    // Nobody is left to hear it when this fails, and reading ends soon.
    let _ = outbox.send((word, Bytes::new())).await;
}

/// Writes what waits, many messages at a time.
async fn send(mut waiting: mpsc::Receiver<(Word, Bytes)>, mut socket: OwnedWriteHalf) -> Result<(), WireError> {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    while waiting.recv_many(&mut messages, MAX_WAITING).await > 0 {
        for (word, media) in messages.drain(..) {
            put_head(&word, media.len(), &mut buffer)?;
            buffer.extend_from_slice(&media);
            if buffer.len() >= MAX_WRITE {
                socket.write_all_buf(&mut buffer).await?;
            }
        }
        socket.write_all_buf(&mut buffer).await?;
    }
    Ok(())
}

/// Why a worker ends without having been told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The system.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// GStreamer.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server's messages.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A blueprint or a control.
    #[error("JSON that cannot be read: {0}")]
    Json(#[source] serde_json::Error),
    /// Orders in a sequence that no server gives them in.
    #[error("an order that does not fit: workers are started by the server, not by hand")]
    Order,
}
