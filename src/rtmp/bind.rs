//! Binding: from an address in the configuration to a socket that listens.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, SockRef, Type};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::stream::Stream;
use crate::config::ListenAddress;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The owner of a socket file and its group may connect.
const FILE_MODE: u32 = 0o660;
/// The owner of the local socket may connect.
const LOCAL_FILE_MODE: u32 = 0o600;

/// How long another server is waited for that is looking at the same directory. It takes a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Bound {
    /// Binds an address, and says which one it has become: port 0 takes a free one.
    pub(super) fn new(address: &ListenAddress) -> Result<(Self, ListenAddress), BindError> {
        let bound = match address {
            ListenAddress::Tcp(address) => tcp(*address),
            ListenAddress::Unix(path) => unix(path, FILE_MODE),
        };
        bound.map_err(|source| BindError {
            address: address.clone(),
            source,
        })
    }

    /// Binds the local socket.
    pub(super) fn local(path: &Path) -> Result<(Self, ListenAddress), BindError> {
        unix(path, LOCAL_FILE_MODE).map_err(|source| BindError {
            address: ListenAddress::Unix(path.to_owned()),
            source,
        })
    }

    /// The next client, with its address if it comes by network.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix { listener, .. } => Ok((Stream::Unix(listener.accept().await?.0), None)),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<(Bound, ListenAddress)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            // So that [::] can stand beside 0.0.0.0, whatever the system's setting is.
            SockRef::from(&socket).set_only_v6(true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = ListenAddress::Tcp(listener.local_addr()?);
    Ok((Bound::Tcp(listener), address))
}

fn unix(path: &Path, mode: u32) -> io::Result<(Bound, ListenAddress)> {
    let _lock = lock_directory(path);
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let _file = SocketFile::new(path)?;
    // Nobody can connect before it listens, so nobody connects before the file has its mode.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG as i32)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok((Bound::Unix { listener, _file }, ListenAddress::Unix(path.to_owned())))
}

/// Keeps servers that start at the same time from taking each other's socket, which does not listen yet, for a dead one. The
/// lock goes with the file. Where it cannot be had, because someone else holds it or the file system has none, the server
/// starts all the same.
fn lock_directory(path: &Path) -> Option<fs::File> {
    let directory = fs::File::open(path.parent()?).ok()?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match directory.try_lock() {
            Ok(()) => return Some(directory),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
}

/// Removes what a server that was killed left behind: a socket at which nobody listens. Anything else stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        let message = "there is a file of that name which is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another program listens there",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// A socket file of ours. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have put its own in the place.
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: ListenAddress,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_socket_file_is_for_owner_and_group_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rtmp.sock");
        let (bound, _) = unix(&path, FILE_MODE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, FILE_MODE);
        assert_eq!(
            unix(&path, FILE_MODE).unwrap_err().kind(),
            io::ErrorKind::AddrInUse,
            "a running server lost its socket"
        );
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rtmp.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file, as a killed server does");
        drop(unix(&path, FILE_MODE).unwrap());

        fs::write(&path, "precious").unwrap();
        assert_eq!(unix(&path, FILE_MODE).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn of_servers_that_find_a_dead_socket_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rtmp.sock");
        for _ in 0..200 {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let runtime = tokio::runtime::Handle::current();
            let start = std::sync::Barrier::new(4);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let server = || {
                    let _runtime = runtime.enter();
                    start.wait();
                    unix(&path, LOCAL_FILE_MODE).ok()
                };
                let servers: Vec<_> = (0..4).map(|_| scope.spawn(server)).collect();
                servers
                    .into_iter()
                    .filter_map(|server| server.join().unwrap())
                    .collect()
            });
            assert_eq!(bound.len(), 1);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn both_families_can_have_the_same_port() {
        let (_v4, address) = tcp(([0, 0, 0, 0], 0).into()).unwrap();
        let port = address.tcp().unwrap().port();
        tcp((std::net::Ipv6Addr::UNSPECIFIED, port).into()).unwrap();
    }
}
