//! A relay between a client and the server: it says something of its own first, as load balancers do, and it reaches
//! socket files, which the clients of these tests cannot.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    thread,
};

/// Starts a relay to a TCP address that begins each connection with `preface`. Returns its own address.
pub(crate) fn relay_to(server: &str, preface: &[u8]) -> String {
    let (server, preface) = (server.to_owned(), preface.to_vec());
    relay(move || {
        let mut upstream = TcpStream::connect(&server)?;
        upstream.write_all(&preface)?;
        Ok((upstream.try_clone()?, upstream.try_clone()?, move || {
            upstream.shutdown(Shutdown::Write)
        }))
    })
}

/// Starts a relay to a socket file. Returns its own address.
pub(crate) fn relay_to_file(path: &Path) -> String {
    let path = path.to_owned();
    relay(move || {
        let upstream = UnixStream::connect(&path)?;
        Ok((upstream.try_clone()?, upstream.try_clone()?, move || {
            upstream.shutdown(Shutdown::Write)
        }))
    })
}

/// The threads end with their connections, or with the test's process.
fn relay<R, W, E>(connect: impl Fn() -> io::Result<(R, W, E)> + Send + 'static) -> String
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
    E: FnOnce() -> io::Result<()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A server that is gone is for the client to notice.
            let Ok((mut from_server, mut to_server, end)) = connect() else {
                continue;
            };
            let (mut from_client, mut to_client) = (client.try_clone().expect("a second handle"), client);
            thread::spawn(move || {
                let _ = io::copy(&mut from_client, &mut to_server);
                let _ = end();
            });
            thread::spawn(move || {
                let _ = io::copy(&mut from_server, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
        }
    });
    address
}
