//! Sessions: a number of places that all processes share, as those of a driver.
//!
//! A place is a file that is locked. The system unlocks it when the process ends, however it does.

use std::{
    fs::{File, OpenOptions},
    path::Path,
};

/// An open session. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Session {
    _place: Option<File>,
}

impl Session {
    /// Opens one of `most` in a directory; without a number or a directory there are as many as one likes.
    pub(crate) fn open(directory: Option<&Path>, most: u32) -> Result<Self, String> {
        let Some(directory) = directory.filter(|_| most > 0) else {
            return Ok(Self { _place: None });
        };
        for number in 0..most {
            let path = directory.join(format!("session-{number}"));
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
            if file.try_lock().is_ok() {
                return Ok(Self { _place: Some(file) });
            }
        }
        Err(format!("out of memory: {most} sessions are open"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_are_as_many_sessions_as_are_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Session::open(Some(dir.path()), 2);
        let (one, _two) = (open().unwrap(), open().unwrap());
        assert_eq!(open().unwrap_err(), "out of memory: 2 sessions are open");
        drop(one);
        open().unwrap();
        assert!(Session::open(Some(dir.path()), 0).is_ok() && Session::open(None, 2).is_ok());
    }
}
