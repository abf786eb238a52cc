//! One RTMP connection: a task that reads a socket, drives its session and watches the clock.
//!
//! What a player is sent comes from the [fan-out](super::fan) and past this task, by way of the connection's
//! [`Line`]; a player that keeps up never wakes it.

use std::{
    cell::RefCell,
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use streammill_rtmp::{
    Capabilities, ConnectRequest, Limits, MediaType, MessageStreamId, PublishRequest, Rejection, ServerConfig,
    ServerEvent, ServerSession, SessionError, status,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Context,
    asking::{Answered, Asking},
    limits::Slot,
    line::Line,
    metadata, patience,
    play::Play,
    publish::Publish,
    socket::{Reader, Writer},
    vhost::host_of,
};
use crate::{
    callback::{Caller, Denied, PublishCall, Reply},
    config::{App, CallbackUrl},
    hub::{DoorError, Packet},
};

/// Bytes read at a time, by all connections of a thread into one buffer: tens of milliseconds of a fast publisher.
const READ_BYTES: usize = 64 * 1024;

/// Most message streams that publish or play on one connection.
const MAX_ACTIVE_STREAMS: usize = 16;

/// How often waiting players and silent peers are looked at.
const TICK: Duration = Duration::from_secs(1);
/// The same where nothing happens but waiting.
const LONGEST_TICK: Duration = Duration::from_secs(5);

thread_local! {
    /// What was read is taken at once, so connections need no buffer of their own.
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
    /// Packets on their way from the hub to a line.
    static PACKETS: RefCell<Vec<Arc<Packet>>> = const { RefCell::new(Vec::new()) };
}

/// A connection and what runs on it.
pub(super) struct Connection {
    reader: Reader,
    line: Arc<Line>,
    peer: Option<SocketAddr>,
    refusal: Option<&'static str>,
    context: Arc<Context>,
    session: ServerSession,
    client: Option<Client>,
    asking: Asking,
    publishes: Vec<Publish>,
    plays: Vec<Play>,
    opened: Instant,
    last_heard: Instant,
    pinged: bool,
}

/// What `connect` told.
struct Client {
    app: String,
    software: String,
    caller: Caller,
    capabilities: Capabilities,
    _place: Slot<String>,
}

impl Connection {
    /// With a `refusal` it serves only to tell the client, when it connects, why it cannot stay.
    pub(super) fn new(
        reader: Reader,
        writer: Writer,
        peer: Option<SocketAddr>,
        refusal: Option<&'static str>,
        context: Arc<Context>,
    ) -> Self {
        let settings = &context.settings;
        let config = ServerConfig {
            chunk_size: settings.chunk_size,
            ack_window: settings.ack_window,
            limits: Limits {
                max_message: settings.max_message,
                ..Limits::default()
            },
        };
        let now = Instant::now();
        Self {
            reader,
            line: Arc::new(Line::new(writer, settings.chunk_size)),
            peer,
            refusal,
            session: ServerSession::new(config, rand::random()),
            context,
            client: None,
            asking: Asking::default(),
            publishes: Vec::new(),
            plays: Vec::new(),
            opened: now,
            last_heard: now,
            pinged: false,
        }
    }

    /// Drives the connection until the peer leaves, errs, is silent for too long, or the server stops.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let end = self.drive(&stop).await;
        // What the session still has to say (why it ends, above all) is worth a moment.
        self.tell_ends(&end);
        self.send();
        if !matches!(end, End::Left | End::Io(_)) {
            let _ = timeout(TICK, self.say_goodbye()).await;
        }
        self.line.close();
        match end {
            End::Left => info!("connection closed by the peer"),
            End::Stopped => debug!("connection closed: the server stops"),
            End::Io(error) => info!(%error, "connection lost"),
            End::Silent => info!("connection closed: the peer does not answer"),
            End::Protocol(error) => warn!(%error, "connection closed: the peer broke the protocol"),
            End::Media(error) => warn!(%error, "connection closed: the media cannot be used"),
            End::Idle => info!("connection closed: the stream is not live"),
            End::Unwanted(reason) => info!(reason, "connection closed: the publisher has to go"),
            End::Refused => debug!("connection closed: the client was refused"),
        }
    }

    /// Sends the rest and waits for the peer to close. A socket that is closed with unread input resets the connection,
    /// and a peer that is reset does not read what it was told.
    async fn say_goodbye(&mut self) -> std::io::Result<()> {
        while let Some(writer) = self.line.full() {
            writer.writable().await?;
            PACKETS.with_borrow_mut(|packets| self.line.resume(packets));
        }
        self.line.close();
        let mut unread = [0; 4096];
        while poll_fn(|cx| self.reader.poll_read(cx, &mut unread)).await? > 0 {}
        Ok(())
    }

    async fn drive(&mut self, stop: &CancellationToken) -> End {
        let stopped = stop.cancelled();
        let mut stopped = std::pin::pin!(stopped);
        let tick = tokio::time::sleep(TICK);
        let mut tick = std::pin::pin!(tick);
        let look = tokio::time::sleep(Duration::ZERO);
        let mut look = std::pin::pin!(look);
        loop {
            self.send();
            let full = self.line.full();
            // What waits for little may have become what waits for much in the meantime.
            if tick.deadline() > Instant::now() + self.pace() {
                tick.as_mut().reset(Instant::now() + self.pace());
            }
            let is_patient = self.choose_patience();
            if is_patient && look.is_elapsed() {
                look.as_mut().reset(patience::next_look(Instant::now()));
            }
            let step = tokio::select! {
                step = next_input(&mut self.reader, &mut self.session), if full.is_none() || self.line.may_listen() => {
                    self.take_input(step)
                }
                () = &mut look, if is_patient => match input_now(&mut self.reader, &mut self.session) {
                    Some(input) => self.take_input(input),
                    None => Ok(()),
                },
                index = Play::next_start(&mut self.plays) => {
                    self.feed(index);
                    Ok(())
                }
                () = self.line.attention.notified() => self.attend(),
                answered = self.asking.next() => self.take_answer(answered),
                Ok(()) = async { match &full { Some(writer) => writer.writable().await, None => std::future::pending().await } } => {
                    PACKETS.with_borrow_mut(|packets| self.line.resume(packets));
                    Ok(())
                }
                () = &mut tick => {
                    let looked = self.look_at_the_clock();
                    tick.as_mut().reset(Instant::now() + self.pace());
                    looked
                }
                () = &mut stopped => return End::Stopped,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Reads frame by frame while someone watches or plays, and now and then while nobody does.
    fn choose_patience(&mut self) -> bool {
        let is_unwatched = |publish: &Publish| !publish.door.publication().is_watched();
        let has_time = self.plays.is_empty() && !self.publishes.is_empty() && self.publishes.iter().all(is_unwatched);
        self.reader.set_patient(has_time)
    }

    /// Gives the line what the session wants sent.
    fn send(&mut self) {
        let session = &mut self.session;
        let mut messages = std::iter::from_fn(|| session.poll_output()).peekable();
        if messages.peek().is_some() {
            self.line.send(messages);
        }
    }

    fn take_input(&mut self, input: std::io::Result<Input>) -> Result<(), End> {
        match input.map_err(End::Io)? {
            Input::End => Err(End::Left),
            Input::Taken(handled) => {
                self.last_heard = Instant::now();
                self.pinged = false;
                // What came before the mistake still counts: its events are taken first.
                let taken = self.take_events();
                handled.map_err(End::Protocol)?;
                taken
            }
        }
    }

    /// Starts to feed a play whose publication has begun.
    fn feed(&mut self, index: usize) {
        let play = &mut self.plays[index];
        let Some((feed, is_return)) = play.feed() else { return };
        if is_return {
            play.tell_return(&mut self.session);
        }
        let (stream, longest_hold) = (play.stream, play.longest_hold);
        let started = feed.subscriber.publication().zip(feed.subscriber.head());
        // The statuses go before the media they announce.
        self.send();
        PACKETS.with_borrow_mut(|packets| self.line.open(feed, packets));
        if let Some((publication, head)) = started {
            self.context
                .fan
                .join(publication, head, longest_hold, self.line.clone(), stream);
        }
    }

    /// Does what the line calls for.
    fn attend(&mut self) -> Result<(), End> {
        for stream in self.line.ended() {
            let Some(subscriber) = self.line.close_feed(stream) else {
                continue;
            };
            if let Some(play) = self.plays.iter_mut().find(|play| play.stream == stream) {
                play.tell_end(&mut self.session);
                play.wait(subscriber);
            }
        }
        match self.line.failure(self.context.settings.timeout) {
            Some(error) => Err(End::Io(error)),
            None => Ok(()),
        }
    }

    fn take_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.session.poll_event() {
            match event {
                ServerEvent::Connect(request) => self.connect(request)?,
                ServerEvent::Publish(request) => match self.service() {
                    None => self.publish(&request, &Reply::default())?,
                    Some((service, caller)) => {
                        let call = PublishCall {
                            caller,
                            name: request.name.clone(),
                            args: request.args.clone(),
                            kind: request.kind.clone(),
                        };
                        self.asking.ask(self.context.callbacks.clone(), service, call, request);
                    }
                },
                ServerEvent::Play(request) => {
                    let admitted = self.admit(|connection, client| {
                        Play::admit(
                            &connection.context,
                            &client.app,
                            &request,
                            connection.peer,
                            &client.software,
                            &client.capabilities,
                        )
                    });
                    match admitted {
                        Ok(play) => {
                            if self.session.accept_play(request.id) {
                                self.plays.push(play);
                            }
                        }
                        Err(rejection) => {
                            info!(reason = %rejection.description, "player refused");
                            self.session.reject_play(request.id, &rejection);
                            self.end_if_idle()?;
                        }
                    }
                }
                ServerEvent::Media {
                    stream,
                    kind,
                    timestamp,
                    payload,
                } => {
                    if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.stream == stream) {
                        publish.messages += u64::from(kind != MediaType::Data);
                        let taken = match kind {
                            MediaType::Audio => publish.door.audio(timestamp.0, payload),
                            MediaType::Video => publish.door.video(timestamp.0, payload),
                            MediaType::Data => match metadata::apply(publish.metadata, payload) {
                                Some(payload) => publish.door.data(timestamp.0, payload),
                                None => Ok(()),
                            },
                        };
                        taken.map_err(End::Media)?;
                    }
                }
                ServerEvent::PublishEnd { stream } => self.publishes.retain(|publish| publish.stream != stream),
                ServerEvent::PlayEnd { stream } => self.end_play(stream),
                ServerEvent::Pause { stream, paused: true } => {
                    let fed = self.line.close_feed(stream);
                    self.on_play(stream, |play| play.pause(fed));
                }
                ServerEvent::Pause { stream, paused: false } => self.on_play(stream, Play::unpause),
                ServerEvent::ReceiveAudio { stream, on } => {
                    self.line.with_feed(stream, |feed| feed.shape.wants_audio = on);
                    self.on_play(stream, |play| play.receive_audio(on));
                }
                ServerEvent::ReceiveVideo { stream, on } => {
                    self.line.with_feed(stream, |feed| feed.shape.wants_video = on);
                    self.on_play(stream, |play| play.receive_video(on));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Who has to be asked about this client's publishing, and what is said of it. Not where it is refused anyway.
    fn service(&self) -> Option<(CallbackUrl, Caller)> {
        let client = self.client.as_ref().filter(|_| self.has_room())?;
        let service = self.context.apps.get(&client.app)?.on_publish.clone()?;
        Some((service, client.caller.clone()))
    }

    fn take_answer(&mut self, answered: Answered) -> Result<(), End> {
        let Answered { request, verdict } = answered;
        match verdict {
            Ok(reply) => self.publish(&request, &reply)?,
            Err(Denied(reason)) => {
                self.refuse_publish(&request, &Rejection::new(status::PUBLISH_BAD_NAME, &reason))?;
            }
        }
        self.take_events()
    }

    /// Lets a publisher in who was allowed to.
    fn publish(&mut self, request: &PublishRequest, reply: &Reply) -> Result<(), End> {
        let admitted = self.admit(|connection, client| {
            Publish::admit(
                &connection.context,
                &client.app,
                request,
                reply,
                connection.peer,
                &client.software,
            )
        });
        match admitted {
            Ok(publish) => {
                // One that is no longer wanted gives its name back here.
                if self.session.accept_publish(request.id) {
                    (self.context.wishes.0)(publish.door.publication().key(), reply);
                    self.publishes.push(publish);
                }
                Ok(())
            }
            Err(rejection) => self.refuse_publish(request, &rejection),
        }
    }

    fn refuse_publish(&mut self, request: &PublishRequest, rejection: &Rejection) -> Result<(), End> {
        info!(reason = %rejection.description, "publisher refused");
        self.session.reject_publish(request.id, rejection);
        self.end_if_idle()
    }

    /// A client that was refused and does nothing else is told why, and let go: many wait forever otherwise.
    fn end_if_idle(&self) -> Result<(), End> {
        match self.publishes.is_empty() && self.plays.is_empty() && self.asking.len() == 0 {
            true => Err(End::Refused),
            false => Ok(()),
        }
    }

    fn connect(&mut self, request: ConnectRequest) -> Result<(), End> {
        // Flash-era clients write the default instance out (`live/_definst_`).
        let app = request.app.trim_end_matches('/');
        let app = app.strip_suffix("/_definst_").unwrap_or(app);
        if let Some(reason) = self.refusal {
            return self.refuse(status::CONNECT_REJECTED, reason);
        }
        let host = request.tc_url.as_deref().and_then(host_of);
        let Some(name) = self.context.vhosts.resolve(host, app).map(str::to_owned) else {
            let description = format!("There is no application '{app}' on this server.");
            return self.refuse(status::CONNECT_INVALID_APP, &description);
        };
        let limit = self.context.apps.get(&name).map_or(usize::MAX, App::max_connections);
        let Some(place) = self.context.clients.apps.take(name.clone(), limit) else {
            let description = format!("The application '{app}' has no room for another connection.");
            return self.refuse(status::CONNECT_REJECTED, &description);
        };
        let software = request.flash_ver.unwrap_or_default();
        let caller = Caller {
            app: name.clone(),
            flash_ver: software.clone(),
            swf_url: request.swf_url.unwrap_or_default(),
            tc_url: request.tc_url.unwrap_or_default(),
            page_url: request.page_url.unwrap_or_default(),
            address: self.peer.map(|peer| peer.ip()),
            number: self.context.connections.fetch_add(1, Ordering::Relaxed) + 1,
        };
        self.client = Some(Client {
            app: name,
            software,
            caller,
            capabilities: request.capabilities,
            _place: place,
        });
        self.session.accept_connect().map_err(End::Protocol)
    }

    /// Says why, and ends.
    fn refuse(&mut self, code: status::Code, reason: &str) -> Result<(), End> {
        info!(reason, "client refused");
        self.session.reject_connect(&Rejection::new(code, reason));
        Err(End::Refused)
    }

    fn admit<T>(&self, admit: impl FnOnce(&Self, &Client) -> Result<T, Rejection>) -> Result<T, Rejection> {
        let Some(client) = &self.client else {
            return Err(Rejection::new(status::FAILED, "Connect to an application first."));
        };
        if !self.has_room() {
            return Err(Rejection::new(status::FAILED, "This connection has too many streams."));
        }
        admit(self, client)
    }

    fn has_room(&self) -> bool {
        self.publishes.len() + self.plays.len() + self.asking.len() < MAX_ACTIVE_STREAMS
    }

    fn end_play(&mut self, stream: MessageStreamId) {
        self.line.close_feed(stream);
        self.plays.retain(|play| play.stream != stream);
    }

    fn on_play(&mut self, stream: MessageStreamId, act: impl FnOnce(&mut Play)) {
        if let Some(play) = self.plays.iter_mut().find(|play| play.stream == stream) {
            act(play);
        }
    }

    /// How often the clock has to be looked at. Thousands of players that merely wait should cost next to nothing.
    fn pace(&self) -> Duration {
        let is_quiet = self.client.is_some() && self.publishes.is_empty() && !self.pinged;
        let settings = &self.context.settings;
        match is_quiet && self.plays.iter().all(Play::is_waiting) {
            true => (settings.ping.min(settings.timeout) / 4).clamp(TICK, LONGEST_TICK),
            false => TICK,
        }
    }

    fn look_at_the_clock(&mut self) -> Result<(), End> {
        let settings = &self.context.settings;
        let silence = self.last_heard.elapsed();
        if self.client.is_none() && self.opened.elapsed() >= settings.timeout {
            return Err(End::Silent);
        }
        if self.pinged && silence >= settings.ping + settings.ping_timeout {
            return Err(End::Silent);
        }
        if !self.pinged && silence >= settings.ping && self.client.is_some() {
            self.session.ping(self.opened.elapsed().as_millis() as u32);
            self.pinged = true;
        }
        if let Some(error) = self.line.failure(settings.timeout) {
            return Err(End::Io(error));
        }
        let now = std::time::Instant::now();
        let objections = self.publishes.iter_mut().find_map(|publish| publish.objection(now));
        if let Some(reason) = objections {
            return Err(End::Unwanted(reason));
        }
        let unreadable = self
            .plays
            .iter_mut()
            .filter_map(|play| Some((play.stream, play.objection()?)));
        let unreadable: Vec<_> = unreadable.collect();
        for (stream, rejection) in &unreadable {
            info!(reason = %rejection.description, "player refused");
            self.session.fail_play(*stream, rejection);
            self.end_play(*stream);
        }
        let expired: Vec<_> = self
            .plays
            .iter()
            .filter_map(|play| Some((play.stream, play.expired()?)))
            .collect();
        for (stream, reason) in &expired {
            self.session.stop_play(*stream, reason);
            self.end_play(*stream);
        }
        let is_idle = self.plays.is_empty() && self.publishes.is_empty();
        match (unreadable.is_empty(), expired.is_empty()) {
            (false, _) if is_idle => Err(End::Refused),
            (true, false) if is_idle => Err(End::Idle),
            _ => Ok(()),
        }
    }

    /// Tells the client's streams why they end, where the end is ours.
    fn tell_ends(&mut self, end: &End) {
        let reason = match end {
            End::Stopped => "The server is stopping.".to_owned(),
            End::Media(error) => error.to_string(),
            End::Unwanted(reason) => reason.clone(),
            End::Left | End::Io(_) | End::Silent | End::Protocol(_) | End::Idle | End::Refused => return,
        };
        for publish in self.publishes.drain(..) {
            self.session.end_publish(publish.stream, &reason);
        }
        for play in std::mem::take(&mut self.plays) {
            self.line.close_feed(play.stream);
            self.session.stop_play(play.stream, &reason);
        }
    }
}

/// What a read gave.
enum Input {
    /// The session has taken bytes, or found them wrong.
    Taken(Result<(), SessionError>),
    /// The peer sends no more.
    End,
}

/// Reads once, and lets the session take it. Cancelling loses nothing.
async fn next_input(reader: &mut Reader, session: &mut ServerSession) -> std::io::Result<Input> {
    poll_fn(|cx| {
        INPUT.with_borrow_mut(|input| {
            let read = std::task::ready!(reader.poll_read(cx, input));
            Poll::Ready(read.map(|read| Input::take(&input[..read], session)))
        })
    })
    .await
}

/// As [`next_input`], if there is something now.
fn input_now(reader: &mut Reader, session: &mut ServerSession) -> Option<std::io::Result<Input>> {
    INPUT.with_borrow_mut(|input| match reader.read_now(input) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        read => Some(read.map(|read| Input::take(&input[..read], session))),
    })
}

impl Input {
    fn take(bytes: &[u8], session: &mut ServerSession) -> Self {
        match bytes {
            [] => Self::End,
            bytes => Self::Taken(session.handle_input(bytes)),
        }
    }
}

/// Why a connection ends.
enum End {
    Left,
    Stopped,
    Io(std::io::Error),
    Silent,
    Protocol(SessionError),
    Media(DoorError),
    Idle,
    Refused,
    /// The publisher has to go.
    Unwanted(String),
}
