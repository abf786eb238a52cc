//! Where a server and the programs beside it meet: the well-known local socket of a user.
//!
//! The server and the GStreamer elements are built apart and know nothing of each other, so the rule that both follow to
//! one file is here and nowhere else. [`Surroundings`] is what the rule depends on; a server asks it for the
//! [place to listen at](Surroundings::place_to_listen), everyone else [connects](Surroundings::connect).

#![deny(missing_docs)]
#![forbid(unsafe_code)]

use std::{
    fmt, fs, io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};

/// The file's name in whichever directory it is.
const FILE_NAME: &str = "streammill.sock";
/// For a server that the system runs.
const SYSTEM_DIR: &str = "/run/streammill";
/// For a user whom no login has given a directory.
const SHARED_DIR: &str = "/tmp";
/// Names another socket to programs that connect.
const VARIABLE: &str = "STREAMMILL_SOCKET";

/// What the place of the socket depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The user's own directory for sockets, which logins make: `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The directory of a server that the system runs.
    pub system_dir: PathBuf,
    /// A directory that everyone may write to.
    pub shared_dir: PathBuf,
    /// The user that the process runs as.
    pub user: u32,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            system_dir: SYSTEM_DIR.into(),
            shared_dir: SHARED_DIR.into(),
            user: geteuid().as_raw(),
        }
    }

    /// Where a server of this user listens. In a directory that everyone may write to it makes one of its own.
    pub fn place_to_listen(&self) -> Result<PathBuf, PlaceError> {
        if let Some(dir) = self.runtime_dir().filter(|dir| self.is_own(dir)) {
            return Ok(dir.join(FILE_NAME));
        }
        if self.system_dir.is_dir() && access(&self.system_dir, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
            return Ok(self.system_dir.join(FILE_NAME));
        }
        let dir = self.private_dir();
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(PlaceError::Make { dir, source }),
        }
        self.require_private(&dir)?;
        Ok(dir.join(FILE_NAME))
    }

    /// Where servers that this user may speak to are looked for, in this order.
    pub fn places(&self) -> Vec<PathBuf> {
        let private_dir = self.private_dir();
        let dirs = self.runtime_dir().into_iter().chain([&*self.system_dir, &private_dir]);
        dirs.map(|dir| dir.join(FILE_NAME)).collect()
    }

    /// Connects to the first place where a server listens.
    pub fn connect(&self) -> Result<UnixStream, NoServer> {
        let mut tried = Vec::new();
        for place in self.places() {
            // Whoever makes this directory first would else be taken for the server.
            let private_dir = self.private_dir();
            if place.starts_with(&private_dir)
                && private_dir.exists()
                && let Err(error) = self.require_private(&private_dir)
            {
                tried.push((place, error.to_string()));
                continue;
            }
            match UnixStream::connect(&place) {
                Ok(socket) => return Ok(socket),
                Err(error) => tried.push((place, reason(&error))),
            }
        }
        Err(NoServer { tried })
    }

    /// Paths are taken from the environment only if they mean the same everywhere.
    fn runtime_dir(&self) -> Option<&Path> {
        self.runtime_dir.as_deref().filter(|dir| dir.is_absolute())
    }

    fn private_dir(&self) -> PathBuf {
        self.shared_dir.join(format!("streammill-{}", self.user))
    }

    /// A program that became another user keeps the environment of the first, whose directory is not for its sockets.
    fn is_own(&self, dir: &Path) -> bool {
        fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() == self.user)
    }

    fn require_private(&self, dir: &Path) -> Result<(), PlaceError> {
        let dir = dir.to_owned();
        match fs::symlink_metadata(&dir) {
            Err(source) => Err(PlaceError::Make { dir, source }),
            Ok(found) if !found.is_dir() => Err(PlaceError::NoDirectory { dir }),
            Ok(found) if found.uid() != self.user => Err(PlaceError::Foreign {
                dir,
                owner: found.uid(),
            }),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => Err(PlaceError::Open { dir }),
            Ok(_) => Ok(()),
        }
    }
}

/// Connects to a server: at `socket` if that is given, else where the environment says, else where servers listen by
/// themselves.
pub fn connect(socket: Option<&Path>) -> Result<UnixStream, NoServer> {
    let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    match socket.map(Path::to_owned).or(variable.map(PathBuf::from)) {
        None => Surroundings::of_process().connect(),
        Some(place) => UnixStream::connect(&place).map_err(|error| NoServer {
            tried: vec![(place, reason(&error))],
        }),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there any more".to_owned(),
        io::ErrorKind::PermissionDenied => "it is another user's".to_owned(),
        _ => error.to_string(),
    }
}

/// A server has no place for its socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A directory cannot be made, or looked at.
    #[error("cannot use the directory {}: {source}", dir.display())]
    Make {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a file, or leads elsewhere.
    #[error("{} is not a directory", dir.display())]
    NoDirectory {
        /// The path.
        dir: PathBuf,
    },
    /// It is someone else's, who could listen there in the server's place.
    #[error("the directory {} belongs to user {owner}", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others may enter it.
    #[error("the directory {} is open to other users; it needs mode 0700", dir.display())]
    Open {
        /// The directory.
        dir: PathBuf,
    },
}

/// No server was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoServer {
    tried: Vec<(PathBuf, String)>,
}

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no streammill server was found; tried ")?;
        for (number, (place, reason)) in self.tried.iter().enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            write!(f, "{separator}{} ({reason})", place.display())?;
        }
        write!(
            f,
            ". Start one with `streammill serve`, or say where its socket is: socket=PATH of an element, --socket PATH \
             of a command, or {VARIABLE}"
        )
    }
}

impl std::error::Error for NoServer {}

#[cfg(test)]
mod tests;
