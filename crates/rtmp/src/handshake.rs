//! The handshake (RTMP 1.0 §5.2), simple and with digests.
//!
//! Adobe's clients and servers hide a digest in C1 and S1 that is keyed by a published constant; some players refuse to
//! play without it. The scheme is not in the specification; it is what every implementation agrees on. A client that
//! sends no digest gets the simple handshake.

use bytes::{BufMut, Bytes, BytesMut};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of C1, S1, C2 and S2.
const PACKET: usize = 1536;
const DIGEST: usize = 32;

/// The two places where the digest's offset may stand.
const OFFSET_BASES: [usize; 2] = [772, 8];

const PLAYER_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// Behind both keys, when they sign the digest of the peer.
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d,
    0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

const VERSION: u8 = 3;

/// Which end of the handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// A handshake in progress: bytes in, bytes out.
#[derive(Debug)]
pub(crate) struct Handshake {
    role: Role,
    stage: Stage,
    entropy: [u8; 32],
    output: BytesMut,
    input: BytesMut,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Server: waits for C0 and C1. Client: waits for S0 and S1.
    Greeting,
    /// Waits for C2 or S2.
    Echo,
    Done,
}

impl Handshake {
    pub(crate) fn new(role: Role, entropy: [u8; 32]) -> Self {
        let mut handshake = Self {
            role,
            stage: Stage::Greeting,
            entropy,
            output: BytesMut::new(),
            input: BytesMut::new(),
        };
        if role == Role::Client {
            let hello = handshake.hello(PLAYER_KEY, OFFSET_BASES[1], [9, 0, 124, 2]);
            handshake.output.put_u8(VERSION);
            handshake.output.put_slice(&hello);
        }
        handshake
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(crate) fn take_output(&mut self) -> Option<Bytes> {
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// Takes bytes and says how many were the handshake's; the rest belongs to the chunks.
    pub(crate) fn handle(&mut self, input: &[u8]) -> Result<usize, HandshakeError> {
        let mut taken = 0;
        while self.stage != Stage::Done {
            let need = match self.stage {
                Stage::Greeting => 1 + PACKET,
                _ => PACKET,
            };
            let more = (need - self.input.len()).min(input.len() - taken);
            self.input.put_slice(&input[taken..taken + more]);
            taken += more;
            if let (Stage::Greeting, Some(&version)) = (&self.stage, self.input.first())
                && version != VERSION
            {
                return Err(HandshakeError { version });
            }
            if self.input.len() < need {
                break;
            }
            let packet = self.input.split();
            match self.stage {
                Stage::Greeting => {
                    self.answer(&packet[1..]);
                    self.stage = Stage::Echo;
                }
                _ => self.stage = Stage::Done,
            }
        }
        Ok(taken)
    }

    fn answer(&mut self, hello: &[u8]) {
        let (peer_key, own_key) = match self.role {
            Role::Server => (PLAYER_KEY, SERVER_KEY),
            Role::Client => (SERVER_KEY, PLAYER_KEY),
        };
        let has_version = hello[4..8] != [0; 4];
        let found = OFFSET_BASES
            .into_iter()
            .filter(|_| has_version)
            .find_map(|base| Some((base, find_digest(hello, base, peer_key)?)));
        if self.role == Role::Server {
            self.output.put_u8(VERSION);
            let s1 = match found {
                Some((base, _)) => self.hello(SERVER_KEY, base, [13, 14, 10, 13]),
                // The simple handshake: random bytes, and the client's come back as S2.
                None => self.noise(),
            };
            self.output.put_slice(&s1);
        }
        match found {
            Some((_, digest)) => {
                let mut reply = self.noise();
                let key = sign(&[own_key, &KEY_TAIL].concat(), &[&digest]);
                let signature = sign(&key, &[&reply[..PACKET - DIGEST]]);
                reply[PACKET - DIGEST..].copy_from_slice(&signature);
                self.output.put_slice(&reply);
            }
            None => self.output.put_slice(hello),
        }
    }

    /// C1 or S1 with a digest.
    fn hello(&self, key: &[u8], base: usize, version: [u8; 4]) -> Vec<u8> {
        let mut packet = self.noise();
        packet[4..8].copy_from_slice(&version);
        let at = digest_offset(&packet, base);
        let digest = sign(key, &[&packet[..at], &packet[at + DIGEST..]]);
        packet[at..at + DIGEST].copy_from_slice(&digest);
        packet
    }

    /// A packet whose time is zero and whose rest looks random. It protects nothing; it must only differ.
    fn noise(&self) -> Vec<u8> {
        let mut packet = vec![0; 8];
        let mut block = self.entropy;
        while packet.len() < PACKET {
            block = sign(&block, &[b"noise"]);
            packet.extend_from_slice(&block);
        }
        packet.truncate(PACKET);
        packet
    }
}

fn digest_offset(packet: &[u8], base: usize) -> usize {
    let sum: usize = packet[base..base + 4].iter().map(|byte| usize::from(*byte)).sum();
    sum % 728 + base + 4
}

fn find_digest(packet: &[u8], base: usize, key: &[u8]) -> Option<[u8; DIGEST]> {
    // The longest key forms are for signing; digests are keyed by the name alone.
    let at = digest_offset(packet, base);
    let digest = sign(key, &[&packet[..at], &packet[at + DIGEST..]]);
    (packet[at..at + DIGEST] == digest).then_some(digest)
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    // HMAC takes a key of any length (RFC 2104 §2).
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The peer does not speak RTMP in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handshake version {version} is not plain RTMP (3)")]
pub struct HandshakeError {
    version: u8,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Everything a client sends first.
    fn first_of(handshake: &mut Handshake) -> Bytes {
        handshake.take_output().unwrap()
    }

    #[test]
    fn both_ends_finish_however_the_bytes_are_cut() {
        for cut in [1, 7, 1535, 1536, 1537, 4000] {
            let mut client = Handshake::new(Role::Client, [1; 32]);
            let mut server = Handshake::new(Role::Server, [2; 32]);
            while !(client.is_done() && server.is_done()) {
                let to_server = client.take_output().unwrap_or_default();
                to_server
                    .chunks(cut)
                    .for_each(|piece| assert_eq!(server.handle(piece), Ok(piece.len())));
                let to_client = server.take_output().unwrap_or_default();
                to_client
                    .chunks(cut)
                    .for_each(|piece| assert_eq!(client.handle(piece), Ok(piece.len())));
                assert!(!(to_server.is_empty() && to_client.is_empty()), "stuck at cut {cut}");
            }
        }
    }

    #[test]
    fn a_digest_is_found_at_either_of_its_places_and_answered_with_one() {
        for base in OFFSET_BASES {
            let hello = Handshake::new(Role::Server, [3; 32]).hello(PLAYER_KEY, base, [9, 0, 124, 2]);
            let mut server = Handshake::new(Role::Server, [4; 32]);
            server.handle(&[&[VERSION], &hello[..]].concat()).unwrap();
            let answer = first_of(&mut server);
            let (s1, s2) = answer[1..].split_at(PACKET);
            assert!(find_digest(s1, base, SERVER_KEY).is_some(), "base {base}");

            let digest = find_digest(&hello, base, PLAYER_KEY).unwrap();
            let key = sign(&[SERVER_KEY, &KEY_TAIL].concat(), &[&digest]);
            assert_eq!(
                s2[PACKET - DIGEST..],
                sign(&key, &[&s2[..PACKET - DIGEST]]),
                "base {base}"
            );
        }
    }

    #[test]
    fn a_client_without_a_digest_gets_its_bytes_back() {
        for version in [[0; 4], [9, 0, 124, 2]] {
            let mut hello = vec![0x5a; PACKET];
            hello[4..8].copy_from_slice(&version);
            let mut server = Handshake::new(Role::Server, [4; 32]);
            server.handle(&[&[VERSION], &hello[..]].concat()).unwrap();
            assert_eq!(first_of(&mut server)[1 + PACKET..], hello);
        }
    }

    #[test]
    fn another_version_is_refused_at_its_first_byte() {
        for version in [0, 6, b'G'] {
            let mut server = Handshake::new(Role::Server, [4; 32]);
            assert_eq!(server.handle(&[version]), Err(HandshakeError { version }));
        }
    }

    #[test]
    fn what_follows_the_handshake_is_left_alone() {
        let mut server = Handshake::new(Role::Server, [4; 32]);
        let mut input = vec![VERSION];
        input.resize(1 + 2 * PACKET, 0);
        input.extend(b"chunks");
        assert_eq!(server.handle(&input), Ok(1 + 2 * PACKET));
        assert!(server.is_done());
    }
}
