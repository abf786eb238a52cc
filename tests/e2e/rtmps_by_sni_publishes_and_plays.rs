//! Over TLS everything is as it is without, and each host is shown the certificate that has its name.

use std::fs;

use crate::harness::{Certificate, Publish, Server, poll_until, probe, seconds};

fn server(certificates: &[&Certificate]) -> (Server, String) {
    let certificates: Vec<_> = certificates.iter().map(|one| one.in_configuration()).collect();
    let server = Server::start(&format!(
        "rtmp.tls_listen = [\"127.0.0.1:0\"]\ntls.certificates = [{}]\n[apps.live]\n",
        certificates.join(", ")
    ));
    let url = server.rtmp_listeners()[1].clone();
    let address = url.strip_prefix("rtmps://").expect("the second listener is for RTMPS");
    let address = address.to_owned();
    (server, address)
}

#[test]
fn a_stream_goes_in_and_out_through_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, address) = server(&[&Certificate::issue(folder.path(), "own", &["localhost"])]);
    let url = format!("rtmps://{address}/live/test");
    let _publisher = Publish::new().bit_rate("4M").to(&url);
    let seen = poll_until(seconds(30), "the stream over TLS", || {
        probe(&url, 6).ok().filter(|seen| !seen.video().is_empty())
    });
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(4.0);
    let plain = probe(&server.rtmp("live/test"), 1).expect("the same stream without TLS");
    assert_eq!(plain.tracks, seen.tracks);
}

#[test]
fn each_host_is_shown_its_own_certificate_and_the_first_goes_to_all_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = Certificate::issue(folder.path(), "first", &["a.example.com", "127.0.0.1"]);
    let wildcard = Certificate::issue(folder.path(), "wildcard", &["*.example.com"]);
    let exact = Certificate::issue(folder.path(), "exact", &["b.example.com"]);
    let (_server, address) = server(&[&first, &wildcard, &exact]);
    assert!(first.is_shown(&address, "a.example.com"));
    assert!(
        exact.is_shown(&address, "B.example.com"),
        "a wildcard went before the very name"
    );
    assert!(wildcard.is_shown(&address, "c.example.com"));
    // A client that knows an address only cannot ask for a name.
    assert!(first.is_shown(&address, "127.0.0.1"));
    assert!(!wildcard.is_shown(&address, "a.example.com"));
    assert!(!exact.is_shown(&address, "c.example.com"));
    assert!(
        !wildcard.is_shown(&address, "d.c.example.com"),
        "a wildcard stood for two labels"
    );
}

#[test]
fn new_certificates_are_shown_without_a_restart_and_bad_files_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = Certificate::issue(folder.path(), "own", &["localhost"]);
    let (server, address) = server(&[&old]);
    assert!(old.is_shown(&address, "localhost"));

    fs::write(&old.key, "-----BEGIN PRIVATE KEY-----\nVerySecretButBroken\n").expect("the key is spoiled");
    poll_until(seconds(20), "the log to say that the files cannot be used", || {
        server.log().contains("the old ones stay").then_some(())
    });
    assert!(server.log().contains("own.key"), "the file is not named");
    assert!(!server.log().contains("VerySecret"), "a key got into the log");
    assert!(old.is_shown(&address, "localhost"));

    let new = Certificate::issue(folder.path(), "own", &["localhost"]);
    poll_until(seconds(20), "the new certificate", || {
        new.is_shown(&address, "localhost").then_some(())
    });
    assert!(!old.is_shown(&address, "localhost"));
}

#[test]
fn what_speaks_no_tls_costs_nobody_else_anything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = Certificate::issue(folder.path(), "own", &["localhost"]);
    let (_server, address) = server(&[&own]);
    let mut wire = crate::harness::wire::Wire::dial(&address);
    wire.send(&[3; 1537]);
    wire.is_hung_up_on(seconds(20), "a client without TLS");
    assert!(own.is_shown(&address, "localhost"));
}
