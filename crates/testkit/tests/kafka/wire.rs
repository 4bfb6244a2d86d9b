//! Three requests of Kafka's protocol, by hand: a client library is none of this crate's business.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const CREATE_TOPICS: (i16, i16) = (19, 2);
const METADATA: (i16, i16) = (3, 4);
const API_VERSIONS: (i16, i16) = (18, 0);
const UNKNOWN_TOPIC: i16 = 3;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Asks which requests the broker knows.
pub fn api_versions(address: &str) -> io::Result<()> {
    let mut answer = call(address, API_VERSIONS, &[])?;
    no_error(answer.i16()?)
}

/// Creates a topic with one replica; -1 partitions means the broker's default. One that is there is as good: a broker
/// that looks for its controller carries out a request whose client no longer waits for the answer.
pub fn create_topic(address: &str, name: &str, partitions: i32) -> io::Result<()> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(string(name));
    body.extend(partitions.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend([0; 8]); // no assignments, no configuration
    body.extend(10_000_i32.to_be_bytes()); // milliseconds to wait for it
    body.push(0); // not only a validation
    let mut answer = call(address, CREATE_TOPICS, &body)?;
    answer.skip(4 + 4)?; // throttle time, number of topics
    answer.string()?;
    match answer.i16()? {
        TOPIC_ALREADY_EXISTS => Ok(()),
        code => no_error(code),
    }
}

/// Number of partitions of a topic, None if there is no such topic.
pub fn partitions(address: &str, name: &str) -> io::Result<Option<i32>> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(string(name));
    body.push(0); // do not create it
    let mut answer = call(address, METADATA, &body)?;
    answer.skip(4)?; // throttle time
    for _ in 0..answer.i32()? {
        answer.skip(4)?; // node
        answer.string()?; // host
        answer.skip(4)?; // port
        answer.string()?; // rack
    }
    answer.string()?; // cluster
    answer.skip(4 + 4)?; // controller, number of topics
    match answer.i16()? {
        UNKNOWN_TOPIC => return Ok(None),
        code => no_error(code)?,
    }
    answer.string()?;
    answer.skip(1)?; // internal
    answer.i32().map(Some)
}

fn call(address: &str, (key, version): (i16, i16), body: &[u8]) -> io::Result<Answer> {
    let mut request = key.to_be_bytes().to_vec();
    request.extend(version.to_be_bytes());
    request.extend(7_i32.to_be_bytes()); // correlation id
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend(body);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut bytes = vec![0; i32::from_be_bytes(size) as usize];
    stream.read_exact(&mut bytes)?;
    let mut answer = Answer { bytes, at: 0 };
    match answer.i32()? {
        7 => Ok(answer),
        other => Err(io::Error::other(format!("correlation id {other}"))),
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as i16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn no_error(code: i16) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::other(format!("Kafka error code {code}"))) }
}

struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.first_chunk().copied().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += N;
        Ok(taken)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        for _ in 0..bytes {
            self.take::<1>()?;
        }
        Ok(())
    }

    /// A length of -1 is a null.
    fn string(&mut self) -> io::Result<()> {
        let length = self.i16()?;
        self.skip(length.max(0) as usize)
    }
}
