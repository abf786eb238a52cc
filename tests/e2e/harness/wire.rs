//! An RTMP publisher written out by hand, which sends what a well-behaved client never would.
//!
//! It shares no code with the server, so a misreading of the protocol cannot hide by being made on both sides. Its
//! chunks are as large as its messages, which spares it all chunking.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::poll_until;

const CHUNK_SIZE: u32 = 1 << 20;

/// Message types, section 5.4 and 7.1 of the RTMP specification.
pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const COMMAND: u8 = 20;

/// An AMF0 value.
pub(crate) enum Amf<'a> {
    Number(f64),
    Text(&'a str),
    Null,
    Object(&'a [(&'a str, &'a str)]),
}

/// A connection to the server.
pub(crate) struct Wire {
    socket: TcpStream,
    /// What the server has sent after the handshake.
    heard: Vec<u8>,
    closed: bool,
}

impl Wire {
    /// Connects, and says nothing yet.
    pub(crate) fn dial(address: &str) -> Self {
        let socket = TcpStream::connect(address).expect("the server takes connections");
        socket
            .set_write_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout can be set");
        let heard = Vec::new();
        Self {
            socket,
            heard,
            closed: false,
        }
    }

    /// Connects and shakes hands (section 5.2), then sets the chunk size.
    pub(crate) fn greet(address: &str) -> Self {
        let mut wire = Self::dial(address);
        let mut first = [0x5a; 1537];
        first[0] = 3;
        first[1..9].fill(0);
        wire.send(&first);
        let mut answer = [0; 3073];
        wire.socket.read_exact(&mut answer).expect("S0, S1 and S2");
        wire.send(&answer[1..1537]);
        wire.message(1, 0, 0, &CHUNK_SIZE.to_be_bytes());
        wire
    }

    /// Greets and connects to `app`.
    pub(crate) fn connect(address: &str, app: &str) -> Self {
        let mut wire = Self::greet(address);
        let url = format!("rtmp://{address}/{app}");
        let about = [("app", app), ("type", "nonprivate"), ("tcUrl", &url)];
        wire.command(0, "connect", &[Amf::Number(1.0), Amf::Object(&about)]);
        wire
    }

    /// Asks to publish `name` on stream 1.
    pub(crate) fn publish(&mut self, name: &str) {
        self.command(0, "createStream", &[Amf::Number(2.0), Amf::Null]);
        self.command(
            1,
            "publish",
            &[Amf::Number(3.0), Amf::Null, Amf::Text(name), Amf::Text("live")],
        );
    }

    /// Asks to play `name` on stream 1.
    pub(crate) fn play(&mut self, name: &str) {
        self.command(0, "createStream", &[Amf::Number(2.0), Amf::Null]);
        self.command(1, "play", &[Amf::Number(3.0), Amf::Null, Amf::Text(name)]);
    }

    /// Sends bytes as they are. A server that has hung up already is no failure of the sender.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.socket.write_all(bytes).is_err() {
            self.closed = true;
        }
    }

    /// Sends a message as one chunk of type 0 (section 5.3.1.2.1).
    pub(crate) fn message(&mut self, kind: u8, stream: u32, timestamp: u32, payload: &[u8]) {
        let chunk_stream = if kind == COMMAND { 3 } else { kind.max(2) };
        let length = u32::try_from(payload.len()).expect("a message is short");
        let mut bytes = vec![chunk_stream];
        bytes.extend_from_slice(&timestamp.min(0xff_ffff).to_be_bytes()[1..]);
        bytes.extend_from_slice(&length.to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend_from_slice(&stream.to_le_bytes());
        if timestamp >= 0xff_ffff {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
        }
        bytes.extend_from_slice(payload);
        self.send(&bytes);
    }

    /// Sends a command.
    pub(crate) fn command(&mut self, stream: u32, name: &str, arguments: &[Amf<'_>]) {
        let mut payload = Vec::new();
        write(&mut payload, &Amf::Text(name));
        for argument in arguments {
            write(&mut payload, argument);
        }
        self.message(COMMAND, stream, 0, &payload);
    }

    /// Sends the tags of an FLV file on stream 1, `from` added to their timestamps, at the pace of their timestamps or
    /// all at once. Returns the last timestamp.
    pub(crate) fn play_flv(&mut self, file: &[u8], from: u32, in_real_time: bool) -> u32 {
        let begin = Instant::now();
        let mut last = from;
        for (kind, timestamp, body) in tags(file) {
            let due = Duration::from_millis(timestamp.into());
            if let Some(early) = due.checked_sub(begin.elapsed()).filter(|_| in_real_time) {
                thread::sleep(early);
            }
            last = from + timestamp;
            self.message(kind, 1, last, body);
        }
        last
    }

    /// Waits until the server has said one of `words`, and returns which.
    pub(crate) fn hears<'w>(&mut self, deadline: Duration, words: &[&'w str]) -> &'w str {
        poll_until(deadline, &format!("the server to say one of {words:?}"), || {
            self.listen();
            let said = |word: &str| self.heard.windows(word.len()).any(|part| part == word.as_bytes());
            let found = words.iter().copied().find(|word| said(word));
            assert!(
                found.is_some() || !self.closed,
                "the server hung up without saying one of {words:?}"
            );
            found
        })
    }

    /// Waits until the server has hung up.
    pub(crate) fn is_hung_up_on(&mut self, deadline: Duration, why: &str) {
        poll_until(deadline, &format!("the server to hang up on {why}"), || {
            self.listen();
            self.closed.then_some(())
        });
    }

    fn listen(&mut self) {
        self.socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a timeout can be set");
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(length) => self.heard.extend_from_slice(&buffer[..length]),
            Err(error) => {
                let is_quiet = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                self.closed |= !is_quiet;
            }
        }
    }
}

fn write(out: &mut Vec<u8>, value: &Amf<'_>) {
    let text = |out: &mut Vec<u8>, text: &str| {
        let length = u16::try_from(text.len()).expect("a short string");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    match value {
        Amf::Number(number) => {
            out.push(0);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Amf::Text(words) => {
            out.push(2);
            text(out, words);
        }
        Amf::Null => out.push(5),
        Amf::Object(fields) => {
            out.push(3);
            for (key, words) in *fields {
                text(out, key);
                out.push(2);
                text(out, words);
            }
            out.extend_from_slice(&[0, 0, 9]);
        }
    }
}

/// Type, timestamp and body of each audio and video tag of an FLV file.
fn tags(file: &[u8]) -> impl Iterator<Item = (u8, u32, &[u8])> {
    let mut rest = &file[13..];
    std::iter::from_fn(move || {
        loop {
            let header = rest.get(..11)?;
            let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
            let timestamp = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
            let (kind, body) = (header[0], rest.get(11..11 + length)?);
            rest = rest.get(11 + length + 4..)?;
            if matches!(kind, AUDIO | VIDEO) {
                return Some((kind, timestamp, body));
            }
        }
    })
}
