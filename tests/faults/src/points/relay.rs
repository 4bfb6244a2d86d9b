//! Between the sink and its target: stops a write in the middle, and says so at that very moment.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const HEADERS: usize = 64;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The target gets its head and half of its body, and nothing more.
    HalfRequest,
    /// The target gets it and answers, and the answer goes no further.
    NoAnswer,
}

struct Armed {
    cut: Cut,
    reached: oneshot::Sender<()>,
}

/// Passes everything on, but for one write when it is armed.
pub struct Relay {
    /// Where it listens, `host:port`.
    pub address: String,
    listener: TcpListener,
    armed: Arc<Mutex<Option<Armed>>>,
}

/// A relay that runs.
pub struct Running {
    armed: Arc<Mutex<Option<Armed>>>,
}

/// A request or an answer as it came.
struct Message {
    bytes: Vec<u8>,
    /// Where its body begins.
    body: usize,
}

impl Relay {
    pub async fn bind() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        Ok(Self { address, listener, armed: Arc::default() })
    }

    /// Stands in front of `target` until the program ends.
    pub fn before(self, target: String) -> Running {
        let Self { listener, armed, .. } = self;
        let running = Running { armed: Arc::clone(&armed) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, armed) = (target.clone(), Arc::clone(&armed));
                tokio::spawn(async move {
                    if let Err(error) = pass(client, &target, &armed).await {
                        eprintln!("a connection to the target ended: {error:#}");
                    }
                });
            }
        });
        running
    }
}

impl Running {
    /// The next write is cut. The answer comes at that moment; the connection stands still until the client is gone.
    pub fn arm(&self, cut: Cut) -> oneshot::Receiver<()> {
        let (reached, wait) = oneshot::channel();
        *self.armed.lock() = Some(Armed { cut, reached });
        wait
    }
}

/// One connection, one exchange after the other, until either end closes it.
async fn pass(mut client: TcpStream, target: &str, armed: &Mutex<Option<Armed>>) -> anyhow::Result<()> {
    let mut system = TcpStream::connect(target).await.context("the target")?;
    while let Some(request) = message(&mut client).await? {
        let is_write = !request.bytes.starts_with(b"GET ");
        let cut = if is_write { armed.lock().take() } else { None };
        if let Some(Armed { cut: Cut::HalfRequest, reached }) = cut {
            let half = usize::midpoint(request.body, request.bytes.len());
            system.write_all(&request.bytes[..half]).await?;
            return stand_still(client, reached).await;
        }
        system.write_all(&request.bytes).await?;
        let Some(answer) = message(&mut system).await? else { return Ok(()) };
        if let Some(Armed { reached, .. }) = cut {
            return stand_still(client, reached).await;
        }
        client.write_all(&answer.bytes).await?;
    }
    Ok(())
}

/// Whoever armed the relay knows now; nothing more goes either way.
async fn stand_still(mut client: TcpStream, reached: oneshot::Sender<()>) -> anyhow::Result<()> {
    if reached.send(()).is_err() {
        bail!("nobody waits for the cut");
    }
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.ok(); // a client that is killed may reset the connection
    Ok(())
}

/// The next message, or none at the end of the stream. Nothing is sent before the message before it is answered, so nothing
/// is read beyond it.
async fn message(stream: &mut TcpStream) -> anyhow::Result<Option<Message>> {
    let mut bytes = Vec::with_capacity(4_096);
    loop {
        let head = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
        if let Some(end) = head {
            let body = end + HEAD_END.len();
            if bytes.len() >= body + length(&bytes[..body])? {
                return Ok(Some(Message { bytes, body }));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// `Content-Length` of a head; a message without one has no body.
fn length(head: &[u8]) -> anyhow::Result<usize> {
    let first = head.iter().position(|byte| *byte == b'\n').context("a head of one line")?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let httparse::Status::Complete((_, headers)) = httparse::parse_headers(&head[first + 1..], &mut headers)?
    else {
        bail!("a head that does not end");
    };
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    found.map_or(Ok(0), |header| Ok(std::str::from_utf8(header.value)?.trim().parse()?))
}
