//! Free loopback ports.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use anyhow::Context as _;

/// Below the kernel's ephemeral range (32768 up): a client that reconnects to a stopped server on an ephemeral port
/// can be given that very port as its own source, connect to itself, and keep the server from coming back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 8_000;

/// Ports handed out by this process; each lock is held until the process ends.
static LEASED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port that nothing listens on and that no other test process is given until this one ends.
///
/// # Errors
/// When no port of the range is free, or the lock directory cannot be written.
pub fn free_port() -> anyhow::Result<u16> {
    let locks = std::env::temp_dir().join("counterfoil-testkit-ports");
    fs::create_dir_all(&locks).context("cannot create the directory of port locks")?;
    let mut leased = LEASED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let offset = (std::process::id() % u32::from(COUNT)) as u16;
    for step in 0..COUNT {
        let port = FIRST + (offset + step) % COUNT;
        let lock = File::create(locks.join(port.to_string())).context("cannot create a port lock")?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            leased.push(lock);
            return Ok(port);
        }
    }
    anyhow::bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_port_is_given_once_and_can_be_bound() {
        let (one, two) = (free_port().unwrap(), free_port().unwrap());
        assert_ne!(one, two);
        TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
    }
}
