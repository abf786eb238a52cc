//! The PROXY protocol, versions 1 and 2: how a load balancer says whose connection it passes on.
//!
//! A parser over bytes, and no more: whether to look for a header is decided by the address it would come from, because
//! whoever is believed here can claim any address. What follows the header belongs to the client, so the parser says how
//! many bytes may be read without touching it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// First bytes of version 2 (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of version 2 before the addresses.
const V2_HEAD: usize = 16;

/// First bytes of version 1 (§2.1).
const V1_START: &[u8; 6] = b"PROXY ";

/// Longest header of version 1, line end included.
const V1_MAX: usize = 107;

/// Shortest header of version 1, `PROXY UNKNOWN` with its line end. Version 2 has none as short.
const V1_MIN: usize = 15;

/// Most bytes of addresses and extensions of version 2 that are taken. Extensions are certificates' names and the like.
const V2_MAX: usize = 4096;

/// What the bytes so far mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// At least so many bytes more belong to the header.
    Incomplete(usize),
    /// All of it is there.
    Complete(Client),
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// This address's.
    Address(SocketAddr),
    /// The proxy's own, for a health check, or one that it cannot name.
    Proxy,
}

/// Reads a header from the first bytes of a connection. It never asks for a byte behind the header's end.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, ProxyError> {
    let begins = |expected: &[u8]| bytes.iter().zip(expected).all(|(byte, expected)| byte == expected);
    if begins(V1_START) {
        parse_v1(bytes)
    } else if begins(SIGNATURE) {
        parse_v2(bytes)
    } else {
        Err(ProxyError::Missing)
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Header, ProxyError> {
    if bytes.len() < V1_MIN {
        return Ok(Header::Incomplete(V1_MIN - bytes.len()));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        return match bytes.len() {
            // The line end is all that is sure to come, or the half of it.
            _ if bytes.contains(&b'\n') => Err(ProxyError::Malformed),
            length if length < V1_MAX => Ok(Header::Incomplete(if bytes.ends_with(b"\r") { 1 } else { 2 })),
            _ => Err(ProxyError::TooLong),
        };
    };
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (source, target, ports) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(Header::Complete(Client::Proxy)),
        ["PROXY", "TCP4", source, target, ports @ ..] => {
            (source.parse().map(IpAddr::V4), target.parse().map(IpAddr::V4), ports)
        }
        ["PROXY", "TCP6", source, target, ports @ ..] => {
            (source.parse().map(IpAddr::V6), target.parse().map(IpAddr::V6), ports)
        }
        _ => return Err(ProxyError::Malformed),
    };
    match (source, target, ports) {
        (Ok(source), Ok(_), [port, target_port]) => {
            let port = parse_port(port)
                .zip(parse_port(target_port))
                .ok_or(ProxyError::Malformed)?;
            Ok(Header::Complete(Client::Address(SocketAddr::new(source, port.0))))
        }
        _ => Err(ProxyError::Malformed),
    }
}

/// Digits alone, which the standard library's reading does not ask for.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn parse_v2(bytes: &[u8]) -> Result<Header, ProxyError> {
    let Some((head, rest)) = bytes.split_at_checked(V2_HEAD) else {
        return Ok(Header::Incomplete(V2_HEAD - bytes.len()));
    };
    let (command, family) = (head[12], head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if command >> 4 != 2 {
        return Err(ProxyError::Version(command >> 4));
    }
    if length > V2_MAX {
        return Err(ProxyError::TooLong);
    }
    if rest.len() < length {
        return Ok(Header::Incomplete(length - rest.len()));
    }
    let addresses = &rest[..length];
    let client = match (command & 0xf, family) {
        // LOCAL: whatever the addresses are, they are to be ignored.
        (0, _) => Client::Proxy,
        // IPv4 and IPv6 over a stream: source, target, source's port, target's port. What follows are extensions.
        (1, 0x11) => match *addresses {
            [a, b, c, d, _, _, _, _, high, low, _, _, ..] => Client::Address(SocketAddr::new(
                Ipv4Addr::new(a, b, c, d).into(),
                u16::from_be_bytes([high, low]),
            )),
            _ => return Err(ProxyError::Malformed),
        },
        (1, 0x21) => match addresses.first_chunk::<36>() {
            Some(addresses) => {
                let mut source = [0; 16];
                source.copy_from_slice(&addresses[..16]);
                let port = u16::from_be_bytes([addresses[32], addresses[33]]);
                Client::Address(SocketAddr::new(Ipv6Addr::from(source).into(), port))
            }
            None => return Err(ProxyError::Malformed),
        },
        // Unix sockets, datagrams and what is yet to be invented: the connection is real, its address cannot be told.
        (1, _) => Client::Proxy,
        (command, _) => return Err(ProxyError::Command(command)),
    };
    Ok(Header::Complete(client))
}

/// Why the bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ProxyError {
    /// They begin like none.
    #[error("no PROXY header comes first")]
    Missing,
    /// They begin like one and go on otherwise.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// More than any header needs.
    #[error("the PROXY header is too long")]
    TooLong,
    /// A version that is not known.
    #[error("version {0} of the PROXY protocol is not known")]
    Version(u8),
    /// A command that is not known.
    #[error("command {0} of the PROXY protocol is not known")]
    Command(u8),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    fn client(bytes: &[u8]) -> Client {
        match parse(bytes) {
            Ok(Header::Complete(client)) => client,
            other => panic!("{other:?}"),
        }
    }

    fn address(text: &str) -> Client {
        Client::Address(text.parse().unwrap())
    }

    fn good() -> Vec<(Vec<u8>, Client)> {
        let mut v4 = vec![192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x07, 0x8f];
        let v4_plain = v2(0x21, 0x11, &v4);
        // An extension of type 4, which carries nothing.
        v4.extend([4, 0, 2, 0, 0]);
        let mut v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        v6.extend([0; 16]);
        v6.extend([0x30, 0x39, 0x07, 0x8f]);
        vec![
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 1935\r\n".to_vec(),
                address("192.0.2.7:12345"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 12345 1935\r\n".to_vec(),
                address("[2001:db8::7]:12345"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Client::Proxy),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Client::Proxy),
            (v4_plain, address("192.0.2.7:12345")),
            (v2(0x21, 0x11, &v4), address("192.0.2.7:12345")),
            (v2(0x21, 0x21, &v6), address("[2001:db8::7]:12345")),
            (v2(0x20, 0x00, &[]), Client::Proxy),
            (v2(0x20, 0x11, &v4), Client::Proxy),
            (v2(0x21, 0x31, &[0; 216]), Client::Proxy),
        ]
    }

    #[test]
    fn headers_of_both_versions_name_the_client() {
        for (bytes, expected) in good() {
            assert_eq!(client(&bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn read_as_the_parser_asks_a_header_ends_where_it_ends() {
        for (bytes, expected) in good() {
            let mut read = 0;
            let found = loop {
                match parse(&bytes[..read]) {
                    Ok(Header::Incomplete(more)) => {
                        assert!(more > 0);
                        read += more;
                        assert!(read <= bytes.len(), "asked for the client's bytes");
                    }
                    Ok(Header::Complete(client)) => break client,
                    Err(error) => panic!("{error} after {read} bytes of {}", bytes.escape_ascii()),
                }
            };
            assert_eq!((found, read), (expected, bytes.len()));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_sure() {
        assert_eq!(parse(b"\x03"), Err(ProxyError::Missing));
        assert_eq!(parse(b"PROXX"), Err(ProxyError::Missing));
        for text in [
            "PROXY TCP4 192.0.2.7 198.51.100.1 70000 1935\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +1 1935\r\n",
            "PROXY TCP4 2001:db8::7 ::1 1 1935\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n",
            "PROXY SCTP 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7\nand more",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(ProxyError::Malformed), "{text}");
        }
        assert_eq!(
            parse(format!("PROXY {}", "x".repeat(101)).as_bytes()),
            Err(ProxyError::TooLong)
        );
        assert_eq!(parse(&v2(0x31, 0x11, &[0; 12])), Err(ProxyError::Version(3)));
        assert_eq!(parse(&v2(0x22, 0x11, &[0; 12])), Err(ProxyError::Command(2)));
        assert_eq!(parse(&v2(0x21, 0x11, &[0; 11])), Err(ProxyError::Malformed));
        assert_eq!(parse(&v2(0x21, 0x21, &[0; 35])), Err(ProxyError::Malformed));
        assert_eq!(parse(&v2(0x21, 0x11, &[0; V2_MAX + 1])), Err(ProxyError::TooLong));
    }

    #[test]
    fn mutated_headers_are_parsed_without_a_panic() {
        let headers = good();
        for _ in 0..20_000 {
            let (mut bytes, _) = headers[rand::random_range(0..headers.len())].clone();
            for _ in 0..rand::random_range(1..4) {
                let at = rand::random_range(0..bytes.len());
                bytes[at] = rand::random();
            }
            bytes.truncate(rand::random_range(0..=bytes.len()));
            if let Ok(Header::Incomplete(more)) = parse(&bytes) {
                assert!((1..=V2_MAX).contains(&more));
            }
        }
    }
}
