//! Certificates for tests, and a client that believes in some of them.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};

/// A certificate that vouches for itself, with its key, in files.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Writes `FILE.pem` and `FILE.key` in `folder`, for the hosts in `names`.
    pub(crate) fn issue(folder: &Path, file: &str, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let issued = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (cert, key) = (folder.join(format!("{file}.pem")), folder.join(format!("{file}.key")));
        fs::write(&cert, issued.cert.pem()).expect("the certificate is written");
        fs::write(&key, issued.signing_key.serialize_pem()).expect("the key is written");
        let der = issued.cert.der().clone();
        Self { der, cert, key }
    }

    /// As it stands in `tls.certificates`.
    pub(crate) fn in_configuration(&self) -> String {
        format!("{{ cert = {:?}, key = {:?} }}", self.cert, self.key)
    }

    /// True if the server at `address` shows this certificate to a client that asks for `name`.
    pub(crate) fn is_shown(&self, address: &str, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a host");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut socket = TcpStream::connect(address).expect("the server takes connections");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout can be set");
        let mut stream = rustls::Stream::new(&mut client, &mut socket);
        // C0 and C1, so that S0 comes back through the tunnel.
        let mut hello = [0; 1537];
        hello[0] = 3;
        let mut answer = [0];
        let answered = stream.write_all(&hello).and_then(|()| stream.read_exact(&mut answer));
        answered.is_ok() && answer == [3]
    }
}
