//! The keeper of a worker's process: carries orders to it and words from it, watches it, and sees it to its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use gststreammill::Level;
use rustix::process::Pid;
use streammill_media::{MediaTime, TrackKey};
use tokio::{
    io::AsyncWriteExt,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, oneshot},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    held,
    process::{GRACE, Process, SHORT_GRACE},
    usage::{Usage, usage},
    wire::{Order, Reader, WireError, Word, product, put_head},
};
use crate::pipeline::{
    control::Answer,
    instance::{Failure, Report},
    product::Emit,
    stages::Stages,
    vitals::{Account, Duty, Pulse, Vitals},
};

/// How often it is looked how a worker is.
const LOOK: Duration = Duration::from_millis(250);
/// Frames shorter than this are copied behind their heads to be written in one piece.
const SMALL: usize = 16 << 10;

/// What a keeper works with.
pub(super) struct Kept {
    pub(super) orders: mpsc::Receiver<(Order, Bytes)>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) built: Option<oneshot::Sender<Result<(), String>>>,
    pub(super) emit: Emit,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: CancellationToken,
    /// Most bytes of memory it may occupy.
    pub(super) memory: Option<u64>,
    pub(super) duty: Duty,
}

/// What the keeper and the holder of a worker both know.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    process: Option<Pid>,
    state: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    account: Account,
    vitals: Vitals,
    stages: Stages,
    usage: Usage,
    answers: BTreeMap<u32, oneshot::Sender<Result<Answer, String>>>,
    next_question: u32,
    is_finishing: bool,
}

impl Shared {
    pub(super) fn new(process: Option<Pid>) -> Self {
        Self {
            started: Instant::now(),
            process,
            state: Mutex::new(Known {
                account: Account::default(),
                vitals: Vitals::new(Duration::ZERO),
                stages: Stages::default(),
                usage: process.and_then(usage).unwrap_or_default(),
                answers: BTreeMap::new(),
                next_question: 0,
                is_finishing: false,
            }),
        }
    }

    pub(super) fn level(&self, track: TrackKey) -> Level {
        held(&self.state).account.level(track)
    }

    pub(super) fn fed(&self, track: TrackKey, bytes: usize, dts: MediaTime) {
        let (mut known, now) = (held(&self.state), self.started.elapsed());
        known.account.sent(track, bytes, dts, now);
        known.vitals.fed(now);
    }

    pub(super) fn stages(&self) -> Stages {
        held(&self.state).stages.clone()
    }

    pub(super) fn usage(&self) -> Usage {
        held(&self.state).usage
    }

    /// A number for a question, and its answer.
    pub(super) fn ask(&self) -> (u32, oneshot::Receiver<Result<Answer, String>>) {
        let (answer, awaited) = oneshot::channel();
        let mut known = held(&self.state);
        // Those who no longer wait are forgotten with the next question.
        known.answers.retain(|_, answer| !answer.is_closed());
        let number = known.next_question;
        known.next_question = number.wrapping_add(1);
        known.answers.insert(number, answer);
        (number, awaited)
    }

    /// It is being brought to its end, which takes as long as its holder is willing to wait.
    pub(super) fn finish(&self) {
        held(&self.state).is_finishing = true;
    }

    fn heard(&self, pulse: Option<Pulse>, made: bool) {
        let now = self.started.elapsed();
        let mut known = held(&self.state);
        known.vitals.beat(now);
        if made {
            known.vitals.made(now);
        }
        let Some(pulse) = pulse else { return };
        for (track, amount) in &pulse.taken {
            known.account.taken(*track, *amount, now);
        }
        known.stages = pulse.stages;
    }

    /// Looks how it is. Answers with what is wrong.
    fn look(&self, kept: &Watch) -> Option<String> {
        let usage = self.process.and_then(usage);
        let now = self.started.elapsed();
        let mut known = held(&self.state);
        if let Some(usage) = usage {
            known.usage = usage;
        }
        if let Some(limit) = kept.memory
            && known.usage.memory > limit
        {
            let mib = |bytes: u64| bytes >> 20;
            return Some(format!(
                "it uses {} MiB of memory and may use {} MiB",
                mib(known.usage.memory),
                mib(limit)
            ));
        }
        if known.is_finishing {
            return None;
        }
        let ailment = known.vitals.ailment(now, &known.account, kept.duty);
        ailment.map(|ailment| ailment.to_string())
    }
}

struct Watch {
    memory: Option<u64>,
    duty: Duty,
}

/// Keeps a process until it ends, or has to.
pub(super) async fn keep(mut process: Process, kept: Kept) {
    let Kept {
        orders,
        reports,
        mut built,
        emit,
        shared,
        stop,
        memory,
        duty,
    } = kept;
    let watch = Watch { memory, duty };
    let (mut has_ended, mut grace) = (false, GRACE);
    let reason = {
        let carry = carry(orders, &mut process.write);
        let hear = hear(&mut process.read, &shared, &emit, &reports, &mut built, &mut has_ended);
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            heard = hear => match heard {
                // Its socket has closed; how the process ended is the reason.
                Ok(()) => Some(None),
                Err(reason) => Some(Some(reason)),
            },
            ailment = ailing(&shared, &watch) => {
                // It listens to nothing, and another one waits for its device.
                grace = SHORT_GRACE;
                Some(Some(ailment))
            }
            never = carry => match never {},
        }
    };
    let how = process.end(grace).await;
    if let Some(reason) = reason
        && !has_ended
    {
        let failure = Failure::from(reason.unwrap_or(how));
        // Full only if the holder reads no more.
        let _ = reports.try_send(Report::Failure(failure));
    }
}

/// Carries orders to the process, for as long as anyone gives any.
async fn carry(mut orders: mpsc::Receiver<(Order, Bytes)>, socket: &mut OwnedWriteHalf) -> std::convert::Infallible {
    let mut waiting = Vec::new();
    let mut buffer = BytesMut::new();
    'carrying: while orders.recv_many(&mut waiting, 64).await > 0 {
        for (order, media) in waiting.drain(..) {
            if put_head(&order, media.len(), &mut buffer).is_err() {
                continue;
            }
            if media.len() <= SMALL {
                buffer.extend_from_slice(&media);
                continue;
            }
            if socket.write_all_buf(&mut buffer).await.is_err() || socket.write_all(&media).await.is_err() {
                break 'carrying;
            }
        }
        if socket.write_all_buf(&mut buffer).await.is_err() {
            break;
        }
    }
    // Whether the process is there is for its own words to tell.
    std::future::pending().await
}

/// Hears the process until its socket closes, or it says what cannot be.
async fn hear(
    socket: &mut Reader<OwnedReadHalf>,
    shared: &Shared,
    emit: &Emit,
    reports: &mpsc::Sender<Report>,
    built: &mut Option<oneshot::Sender<Result<(), String>>>,
    has_ended: &mut bool,
) -> Result<(), String> {
    loop {
        let (word, media) = match socket.next::<Word>().await {
            Ok(Some(message)) => message,
            // A process that dies with orders unread resets its socket.
            Ok(None) | Err(WireError::Socket(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let (mut pulse, mut made) = (None, false);
        match word {
            Word::Ready => {}
            Word::Built(result) => {
                if let Some(built) = built.take() {
                    // Nobody waits for it any more: then the worker is about to be ended.
                    let _ = built.send(result);
                }
            }
            Word::Made { output, pad, kind } => {
                made = true;
                emit(product(output, pad, kind, media))?;
            }
            Word::Report(report) => {
                *has_ended |= report == Report::End;
                let _ = reports.try_send(report);
            }
            Word::Pulse(beat) => pulse = Some(beat),
            Word::Answer(number, answer) => {
                let waiting = held(&shared.state).answers.remove(&number);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(answer);
                }
            }
        }
        shared.heard(pulse, made);
    }
}

/// Comes back when something is wrong with the process, and says what.
async fn ailing(shared: &Shared, watch: &Watch) -> String {
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        if let Some(ailment) = shared.look(watch) {
            return ailment;
        }
    }
}
