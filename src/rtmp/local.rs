//! The local socket: where programs of the same user find the server without being told.

use std::error::Error;

use streammill_local_socket::{PlaceError, Surroundings};
use tracing::warn;

use super::{bind::BindError, listener::Listener};
use crate::config::LocalSocket;

/// Binds the local socket, if there is to be one.
///
/// Where nobody chose its place, a server does without one that it cannot have: another server of the same user has it, or
/// there is no directory for it. A place that was chosen and cannot be had is an error.
pub fn bind_local(setting: &LocalSocket) -> Result<Option<Listener>, BindError> {
    match setting {
        LocalSocket::Off => Ok(None),
        LocalSocket::At(path) => Listener::bind_local(path).map(Some),
        LocalSocket::Auto => match bind_where_it_is_looked_for() {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
                warn!(
                    "no local socket, so gst-launch and preview do not find this server by themselves: {error}{cause}"
                );
                Ok(None)
            }
        },
    }
}

fn bind_where_it_is_looked_for() -> Result<Listener, NoLocalSocket> {
    let path = Surroundings::of_process().place_to_listen()?;
    Ok(Listener::bind_local(&path)?)
}

#[derive(Debug, thiserror::Error)]
enum NoLocalSocket {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Bind(#[from] BindError),
}
