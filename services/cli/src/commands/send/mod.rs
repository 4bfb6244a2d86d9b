//! `counterfoil send`: canonical events from JSON lines, in order, through the gateway.

mod answer;
mod client;
mod lines;
mod report;
mod sender;

use std::{
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use tokio::{
    fs::File,
    io::{AsyncBufRead, BufReader},
};

use crate::error::{self, CommandError};
use client::{Client, Key};
use lines::{Lines, Next};
use report::Report;
use sender::{Batch, Event, Sender};

/// A batch is sent when its events have this many bytes together, so that it stays below the gateway's usual limit.
const BATCH_BYTES: usize = 512 << 10;
/// How much is read from the file at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Flags of `counterfoil send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is one event:
  {\"type\":\"invoice.posted\",\"source\":\"shop-eu\",\"source_version\":7,\"occurred_at\":\"2026-11-22T10:00:00Z\",\"data\":{\"id\":\"INV-1\",…}}
Event ids follow from the events, so a file may be sent again at any time: what is there already is not doubled.
A line that is refused is reported as FILE:LINE: path: message (CODE), and the rest goes on.
Exit code 0: every line was accepted. 1: some were not, or sending had to stop.

Example:
  counterfoil send events.jsonl --url http://127.0.0.1:8080 --key env:COUNTERFOIL_ACME_KEY
  gunzip -c events.jsonl.gz | counterfoil send - --key file:/run/secrets/acme-key")]
pub struct SendArgs {
    /// File of JSON lines, `-` for standard input
    file: PathBuf,
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The tenant's API key, by reference: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE")]
    key: String,
    /// Events in one request
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Stop when the gateway accepts nothing for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    give_up_after: u64,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Sends the file.
///
/// # Errors
/// When the key, the file or the URL cannot be used, the gateway refuses this sender, or gives no answer for too long.
pub async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let key = Key::resolve(&args.key).map_err(error::command)?;
    let client = Client::new(&args.url, key).map_err(error::command)?;
    let (name, length, reader) = open(&args.file).await.map_err(error::command)?;
    let mut report = Report::new(name, length);
    let patience = Duration::from_secs(args.give_up_after);
    let mut sender = Sender::new(client, usize::from(args.batch), patience);
    let ended = send(&mut sender, &mut report, Lines::new(reader)).await;
    report.summary(args.json);
    ended.map_err(error::command)?;
    Ok(if report.all_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send<R: AsyncBufRead + Unpin>(
    sender: &mut Sender,
    report: &mut Report,
    mut lines: Lines<R>,
) -> Result<(), CommandError> {
    let mut batch = Batch::new();
    let mut bytes = 0;
    loop {
        let next = lines.next().await;
        let next = next.map_err(|source| CommandError::Input { file: report.file().to_owned(), source })?;
        report.read(lines.bytes());
        match next {
            Next::Event { line, text } => {
                report.counts.lines += 1;
                bytes += text.len();
                batch.push_back(Event { line, text });
            }
            Next::Unreadable { line, why } => {
                report.counts.lines += 1;
                report.unreadable(line, &why);
            }
            Next::End => return sender.send(batch, report).await,
        }
        if batch.len() >= sender.batch() || bytes >= BATCH_BYTES {
            sender.send(std::mem::take(&mut batch), report).await?;
            bytes = 0;
        }
    }
}

/// The input's name, its length where that is known, and a reader of it.
async fn open(path: &Path) -> Result<(String, Option<u64>, BufReader<File>), CommandError> {
    let name = path.display().to_string();
    let unreadable = |source| CommandError::Input { file: name.clone(), source };
    let file = if name == "-" { stdin() } else { File::open(path).await }.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    let length = metadata.is_file().then_some(metadata.len());
    Ok((name, length, BufReader::with_capacity(READ_BYTES, file)))
}

fn stdin() -> io::Result<File> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(File::from_std(stdin.into()))
}
