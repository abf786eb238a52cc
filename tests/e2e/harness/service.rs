//! An operator's HTTP service: it notes what it is asked and answers what the test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// A service. Its thread ends with the test's process.
pub(crate) struct Service {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Answers everything with this head, without the line's end behind it, and this body.
    pub(crate) fn answering(head: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!(
            "http://{}/publish?secret=of-the-operator",
            listener.local_addr().expect("bound")
        );
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let note = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, note) = (answer.clone(), note.clone());
                thread::spawn(move || serve(&stream, &answer, &note));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The bodies of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves a connection until the other end closes it.
fn serve(stream: &TcpStream, answer: &str, note: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut asked = note.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(String::from_utf8_lossy(&body).into_owned());
        drop(asked);
        let mut writer = stream;
        writer.write_all(answer.as_bytes()).ok()?;
    }
}
