//! Each test has a file system of its own below a temporary directory.

#![allow(clippy::unwrap_used)]

use std::os::unix::{fs::symlink, net::UnixListener};

use tempfile::TempDir;

use super::*;

/// Surroundings in a fresh directory, in which nothing exists yet but `tmp`.
fn surroundings() -> (TempDir, Surroundings) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("tmp")).unwrap();
    let surroundings = Surroundings {
        runtime_dir: Some(root.path().join("user")),
        system_dir: root.path().join("system"),
        shared_dir: root.path().join("tmp"),
        user: geteuid().as_raw(),
    };
    (root, surroundings)
}

#[test]
fn a_server_listens_in_the_users_directory_then_the_systems_then_its_own() {
    let (root, surroundings) = surroundings();
    let user = surroundings.user;
    let own = root.path().join(format!("tmp/streammill-{user}"));
    assert_eq!(surroundings.place_to_listen().unwrap(), own.join(FILE_NAME));
    assert_eq!(fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
    assert_eq!(surroundings.place_to_listen().unwrap(), own.join(FILE_NAME), "again");

    fs::create_dir(root.path().join("system")).unwrap();
    assert_eq!(
        surroundings.place_to_listen().unwrap(),
        root.path().join("system/streammill.sock")
    );
    fs::create_dir(root.path().join("user")).unwrap();
    assert_eq!(
        surroundings.place_to_listen().unwrap(),
        root.path().join("user/streammill.sock")
    );
}

#[test]
fn what_is_another_users_is_not_listened_in() {
    let (root, mut surroundings) = surroundings();
    fs::create_dir(root.path().join("user")).unwrap();
    let ours = surroundings.user;
    surroundings.user += 1;
    // The user's directory is not this one's any more, so the next place is taken; and that is made by the process, whose
    // user is not the one that was asked for.
    let error = surroundings.place_to_listen().unwrap_err();
    assert!(
        matches!(error, PlaceError::Foreign { owner, .. } if owner == ours),
        "{error}"
    );
}

#[test]
fn a_directory_that_others_may_enter_or_that_leads_elsewhere_is_refused() {
    let (root, surroundings) = surroundings();
    let own = root.path().join(format!("tmp/streammill-{}", surroundings.user));
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let error = surroundings.place_to_listen().unwrap_err();
    assert!(matches!(error, PlaceError::Open { .. }), "{error}");

    fs::remove_dir(&own).unwrap();
    fs::create_dir(root.path().join("elsewhere")).unwrap();
    symlink(root.path().join("elsewhere"), &own).unwrap();
    let error = surroundings.place_to_listen().unwrap_err();
    assert!(matches!(error, PlaceError::NoDirectory { .. }), "{error}");
}

#[test]
fn a_client_finds_the_server_wherever_it_listens() {
    let (root, surroundings) = surroundings();
    for dir in [None, Some("system"), Some("user")] {
        if let Some(dir) = dir {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let place = surroundings.place_to_listen().unwrap();
        let listener = UnixListener::bind(&place).unwrap();
        surroundings.connect().unwrap();
        // The file stays, as it does when a server is killed: the next place is tried.
        drop(listener);
        assert!(surroundings.connect().is_err());
    }
}

#[test]
fn a_client_does_not_speak_to_who_made_the_directory_in_a_shared_place() {
    let (_root, surroundings) = surroundings();
    let place = surroundings.place_to_listen().unwrap();
    let _listener = UnixListener::bind(&place).unwrap();
    fs::set_permissions(place.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = surroundings.connect().unwrap_err().to_string();
    assert!(error.contains("open to other users"), "{error}");
}

#[test]
fn the_error_names_every_place_and_what_to_do() {
    let (_root, surroundings) = surroundings();
    let error = surroundings.connect().unwrap_err().to_string();
    for place in surroundings.places() {
        let tried = format!("{} (there is no such file)", place.display());
        assert!(error.contains(&tried), "{error}");
    }
    assert!(
        error.contains("streammill serve") && error.contains(VARIABLE),
        "{error}"
    );
}

#[test]
fn a_relative_directory_from_the_environment_is_left_out() {
    let (_root, mut surroundings) = surroundings();
    surroundings.runtime_dir = Some("run".into());
    assert_eq!(surroundings.places().len(), 2);
}
