//! One RTMP connection: a task that owns a socket and a session.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use streammill_rtmp::{
    ConnectRequest, Limits, MediaType, MessageStreamId, Rejection, ServerConfig, ServerEvent, ServerSession,
    SessionError,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Context,
    listener::set_no_delay,
    outbox::Outbox,
    play::{Play, drain},
    publish::Publish,
};
use crate::hub::DoorError;

/// Bytes read at a time. Players say little, so all begin small; who fills the room gets more, up to some tens of
/// milliseconds of a fast publisher.
const FIRST_READ_BYTES: usize = 2 * 1024;
const MAX_READ_BYTES: usize = 64 * 1024;

/// Most message streams that publish or play on one connection.
const MAX_ACTIVE_STREAMS: usize = 16;

/// How often waiting players and silent peers are looked at.
const TICK: Duration = Duration::from_secs(1);

/// A connection and what runs on it.
pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    peer: SocketAddr,
    context: Arc<Context>,
    session: ServerSession,
    outbox: Outbox,
    client: Option<Client>,
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
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, context: Arc<Context>) -> Self {
        set_no_delay(&socket);
        let (reader, writer) = socket.into_split();
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
            writer,
            peer,
            session: ServerSession::new(config, rand::random()),
            context,
            outbox: Outbox::default(),
            client: None,
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
        drain(&mut self.session, &mut self.outbox);
        if !matches!(end, End::Left | End::Io(_)) {
            let _ = timeout(TICK, self.say_goodbye()).await;
        }
        match end {
            End::Left => info!("connection closed by the peer"),
            End::Stopped => debug!("connection closed: the server stops"),
            End::Io(error) => info!(%error, "connection lost"),
            End::Silent => info!("connection closed: the peer does not answer"),
            End::Protocol(error) => warn!(%error, "connection closed: the peer broke the protocol"),
            End::Media(error) => warn!(%error, "connection closed: the media cannot be used"),
            End::Idle => info!("connection closed: the stream is not live"),
            End::Refused => debug!("connection closed: the client was refused"),
        }
    }

    /// Sends the rest and waits for the peer to close. A socket that is closed with unread input resets the connection,
    /// and a peer that is reset does not read what it was told.
    async fn say_goodbye(&mut self) -> std::io::Result<()> {
        self.outbox.flush(&mut self.writer, TICK).await?;
        self.writer.shutdown().await?;
        let mut unread = [0; 4096];
        while self.reader.read(&mut unread).await? > 0 {}
        Ok(())
    }

    async fn drive(&mut self, stop: &CancellationToken) -> End {
        let mut input = BytesMut::with_capacity(FIRST_READ_BYTES);
        let mut tick = tokio::time::interval(TICK);
        loop {
            drain(&mut self.session, &mut self.outbox);
            if !self.outbox.is_empty() {
                let flushed = tokio::select! {
                    flushed = self.outbox.flush(&mut self.writer, self.context.settings.timeout) => flushed,
                    () = stop.cancelled() => return End::Stopped,
                };
                if let Err(error) = flushed {
                    return End::Io(error);
                }
            }
            tokio::select! {
                read = self.reader.read_buf(&mut input) => match read {
                    Ok(0) => return End::Left,
                    Ok(read) => {
                        self.last_heard = Instant::now();
                        self.pinged = false;
                        let handled = self.session.handle_input(&input);
                        input.clear();
                        if read == input.capacity() && read < MAX_READ_BYTES {
                            input.reserve(read * 2);
                        }
                        // What came before the mistake still counts: its events are taken first.
                        let taken = self.take_events();
                        if let Err(error) = handled {
                            return End::Protocol(error);
                        }
                        if let Err(end) = taken {
                            return end;
                        }
                    }
                    Err(error) => return End::Io(error),
                },
                (index, event) = Play::next_of(&mut self.plays) => {
                    let chunk_size = self.context.settings.chunk_size;
                    drain(&mut self.session, &mut self.outbox);
                    self.plays[index].deliver(event, chunk_size, &mut self.session, &mut self.outbox);
                }
                _ = tick.tick() => {
                    if let Err(end) = self.look_at_the_clock() {
                        return end;
                    }
                }
                () = stop.cancelled() => return End::Stopped,
            }
        }
    }

    fn take_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.session.poll_event() {
            match event {
                ServerEvent::Connect(request) => self.connect(request)?,
                ServerEvent::Publish(request) => {
                    let admitted = self.admit(|connection, client| {
                        Publish::admit(
                            &connection.context,
                            &client.app,
                            &request,
                            connection.peer,
                            &client.software,
                        )
                    });
                    match admitted {
                        Ok(publish) => {
                            self.session.accept_publish(request.stream);
                            self.publishes.push(publish);
                        }
                        Err(rejection) => {
                            info!(reason = %rejection.description, "publisher refused");
                            self.session.reject_publish(request.stream, &rejection);
                            self.end_if_idle()?;
                        }
                    }
                }
                ServerEvent::Play(request) => {
                    let admitted = self.admit(|connection, client| {
                        Play::admit(
                            &connection.context,
                            &client.app,
                            &request,
                            connection.peer,
                            &client.software,
                        )
                    });
                    match admitted {
                        Ok(play) => {
                            self.session.accept_play(request.stream);
                            self.plays.push(play);
                        }
                        Err(rejection) => {
                            info!(reason = %rejection.description, "player refused");
                            self.session.reject_play(request.stream, &rejection);
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
                        let taken = match kind {
                            MediaType::Audio => publish.door.audio(timestamp.0, payload),
                            MediaType::Video => publish.door.video(timestamp.0, payload),
                            MediaType::Data => publish.door.data(timestamp.0, payload),
                        };
                        taken.map_err(End::Media)?;
                    }
                }
                ServerEvent::PublishEnd { stream } => self.publishes.retain(|publish| publish.stream != stream),
                ServerEvent::PlayEnd { stream } => self.plays.retain(|play| play.stream != stream),
                ServerEvent::Pause { stream, paused } => {
                    let context = self.context.clone();
                    self.on_play(stream, |play| play.pause(&context, paused));
                }
                ServerEvent::ReceiveAudio { stream, on } => self.on_play(stream, |play| play.receive_audio(on)),
                ServerEvent::ReceiveVideo { stream, on } => self.on_play(stream, |play| play.receive_video(on)),
                _ => {}
            }
        }
        Ok(())
    }

    /// A client that was refused and does nothing else is told why, and let go: many wait forever otherwise.
    fn end_if_idle(&self) -> Result<(), End> {
        match self.publishes.is_empty() && self.plays.is_empty() {
            true => Err(End::Refused),
            false => Ok(()),
        }
    }

    fn connect(&mut self, request: ConnectRequest) -> Result<(), End> {
        // Flash-era clients write the default instance out (`live/_definst_`).
        let app = request.app.trim_end_matches('/');
        let app = app.strip_suffix("/_definst_").unwrap_or(app);
        if !self.context.apps.contains_key(app) {
            info!(app, "client refused: there is no such application");
            let description = format!("There is no application '{app}' on this server.");
            let rejection = Rejection::new("NetConnection.Connect.InvalidApp", &description);
            self.session.reject_connect(&rejection);
            return Err(End::Refused);
        }
        self.client = Some(Client {
            app: app.to_owned(),
            software: request.flash_ver.unwrap_or_default(),
        });
        self.session.accept_connect();
        Ok(())
    }

    fn admit<T>(&self, admit: impl FnOnce(&Self, &Client) -> Result<T, Rejection>) -> Result<T, Rejection> {
        let Some(client) = &self.client else {
            return Err(Rejection::new("NetStream.Failed", "Connect to an application first."));
        };
        if self.publishes.len() + self.plays.len() >= MAX_ACTIVE_STREAMS {
            return Err(Rejection::new(
                "NetStream.Failed",
                "This connection has too many streams.",
            ));
        }
        admit(self, client)
    }

    fn on_play(&mut self, stream: MessageStreamId, act: impl FnOnce(&mut Play)) {
        if let Some(play) = self.plays.iter_mut().find(|play| play.stream == stream) {
            act(play);
        }
    }

    fn look_at_the_clock(&mut self) -> Result<(), End> {
        let settings = &self.context.settings;
        let silence = self.last_heard.elapsed();
        if self.client.is_none() && self.opened.elapsed() >= settings.timeout {
            return Err(End::Silent);
        }
        if self.pinged && silence >= settings.ping * 2 {
            return Err(End::Silent);
        }
        if !self.pinged && silence >= settings.ping && self.client.is_some() {
            self.session.ping(self.opened.elapsed().as_millis() as u32);
            self.pinged = true;
        }
        let expired: Vec<_> = self
            .plays
            .iter()
            .filter_map(|play| Some((play.stream, play.expired()?)))
            .collect();
        for (stream, reason) in &expired {
            self.session.stop_play(*stream, reason);
            self.plays.retain(|play| play.stream != *stream);
        }
        match !expired.is_empty() && self.plays.is_empty() && self.publishes.is_empty() {
            true => Err(End::Idle),
            false => Ok(()),
        }
    }

    /// Tells the client's streams why they end, where the end is ours.
    fn tell_ends(&mut self, end: &End) {
        let reason = match end {
            End::Stopped => "The server is stopping.".to_owned(),
            End::Media(error) => error.to_string(),
            End::Left | End::Io(_) | End::Silent | End::Protocol(_) | End::Idle | End::Refused => return,
        };
        for publish in self.publishes.drain(..) {
            self.session.end_publish(publish.stream, &reason);
        }
        for play in self.plays.drain(..) {
            self.session.stop_play(play.stream, &reason);
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
}
