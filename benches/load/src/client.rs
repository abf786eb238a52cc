//! RTMP clients of the load: a socket around a [`ClientSession`].

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use streammill_rtmp::{ClientConfig, ClientEvent, ClientSession};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time a server has for each step of joining.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connected client.
pub(crate) struct Client {
    socket: TcpStream,
    pub(crate) session: ClientSession,
    input: BytesMut,
}

impl Client {
    /// Connects to `rtmp://HOST:PORT/APP`. `seed` stands in for randomness: a load is the same each time.
    pub(crate) async fn connect(url: &str, seed: u64) -> anyhow::Result<Self> {
        let (address, app) = url
            .strip_prefix("rtmp://")
            .and_then(|rest| rest.split_once('/'))
            .with_context(|| format!("{url} is not of the form rtmp://HOST:PORT/APP"))?;
        let socket = timeout(PATIENCE, TcpStream::connect(address)).await??;
        socket.set_nodelay(true)?;
        let mut entropy = [0x5a; 32];
        entropy[..8].copy_from_slice(&seed.to_be_bytes());
        let config = ClientConfig {
            app: app.to_owned(),
            tc_url: url.to_owned(),
            ..ClientConfig::default()
        };
        let mut client = Self {
            socket,
            session: ClientSession::new(config, entropy),
            input: BytesMut::with_capacity(64 * 1024),
        };
        client
            .wait_for(|event| matches!(event, ClientEvent::Connected))
            .await
            .context("connect")?;
        Ok(client)
    }

    /// Sends what the session has to say.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await?;
        }
        Ok(())
    }

    /// Reads once and lets the session take it. False when the server has closed.
    pub(crate) async fn read(&mut self) -> anyhow::Result<bool> {
        self.input.clear();
        let read = self.socket.read_buf(&mut self.input).await?;
        self.session.handle_input(&self.input)?;
        Ok(read > 0)
    }

    /// Goes on until an event that is asked for comes.
    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&ClientEvent) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                self.flush().await?;
                while let Some(event) = self.session.poll_event() {
                    if wanted(&event) {
                        return Ok(());
                    }
                    if let ClientEvent::Rejected { .. } = event {
                        bail!("the server refused: {event:?}");
                    }
                }
                if !self.read().await? {
                    bail!("the server closed the connection");
                }
            }
        };
        timeout(PATIENCE, wait).await?
    }
}
