//! A relay before a broker that knows enough of Kafka's protocol to lose the answers to one kind of request: the broker has done what
//! it was asked for, and its client is not told. Shapes: kafka.apache.org/protocol (a size, then key, version and number of a
//! request, or the number of the request that is answered).

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The key of the request that ends a transaction.
pub const END_TXN: i16 = 26;

/// Runs until it is dropped.
pub struct Relay {
    task: JoinHandle<()>,
    state: Arc<Losses>,
}

/// Answers to lose, and lost.
struct Losses {
    key: i16,
    left: AtomicUsize,
    lost: AtomicUsize,
}

impl Relay {
    /// Before the broker at `upstream`, losing the first `count` answers to requests of `key`, each with its connection.
    pub async fn start(listen: u16, upstream: u16, key: i16, count: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
        let state = Arc::new(Losses { key, left: AtomicUsize::new(count), lost: AtomicUsize::new(0) });
        let losses = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream, Arc::clone(&losses)));
            }
        });
        Ok(Self { task, state })
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, until one side ends it or an answer is lost.
async fn carry(client: TcpStream, upstream: u16, losses: Arc<Losses>) -> io::Result<()> {
    let broker = TcpStream::connect(("127.0.0.1", upstream)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let meant: Mutex<HashSet<[u8; 4]>> = Mutex::default();
    let requests = async {
        loop {
            let frame = frame(&mut from_client).await?;
            if let [a, b, _, _, number @ ..] = &frame[4..]
                && i16::from_be_bytes([*a, *b]) == losses.key
            {
                meant.lock().unwrap().insert([number[0], number[1], number[2], number[3]]);
            }
            to_broker.write_all(&frame).await?;
        }
    };
    let answers = async {
        loop {
            let frame = frame(&mut from_broker).await?;
            let number = [frame[4], frame[5], frame[6], frame[7]];
            if meant.lock().unwrap().remove(&number) && losses.take() {
                return Ok(());
            }
            to_client.write_all(&frame).await?;
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

impl Losses {
    fn take(&self) -> bool {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        self.lost.fetch_add(usize::from(left.is_ok()), Ordering::SeqCst);
        left.is_ok()
    }
}

/// A whole frame, its size included.
async fn frame(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await?;
    let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if !(8..64 << 20).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}
