//! Sends batches one after the other, so that the events keep their order.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    answer::{Answer, Verdict},
    client::Client,
    report::Report,
};
use crate::error::CommandError;

/// The first wait where the gateway names none; it doubles up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// One line of the file.
#[derive(Debug)]
pub struct Event {
    /// Its number, from 1.
    pub line: u64,
    /// The line.
    pub text: String,
}

/// Events of one request.
pub type Batch = VecDeque<Event>;

/// A sender of batches.
pub struct Sender {
    client: Client,
    batch: usize,
    patience: Duration,
}

impl Sender {
    pub fn new(client: Client, batch: usize, patience: Duration) -> Self {
        Self { client, batch, patience }
    }

    /// How many events a batch should have; fewer than at first once the gateway has said so.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Sends a batch until each of its events is accepted or refused for good.
    ///
    /// # Errors
    /// [`CommandError::GaveUp`], [`CommandError::Refused`], [`CommandError::Answer`].
    pub async fn send(&mut self, batch: Batch, report: &mut Report) -> Result<(), CommandError> {
        let mut parts = VecDeque::from([batch]);
        while let Some(mut part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            let (verdict, answer) = self.settle(&part, report).await?;
            match verdict {
                Verdict::Accepted => report.accepted(part.len()),
                Verdict::Drop(refused) => {
                    parts.push_front(remaining(part, &refused, report));
                }
                Verdict::Split { too_many } if part.len() > 1 => {
                    let half = part.len().div_ceil(2);
                    if too_many {
                        self.batch = self.batch.min(half);
                    }
                    let rest = part.split_off(half);
                    parts.push_front(rest);
                    parts.push_front(part);
                }
                // Alone, and still refused.
                _ => report.refused(part[0].line, &[answer.words_of_one()]),
            }
        }
        Ok(())
    }

    /// Sends until the gateway says something about the batch itself.
    async fn settle(&self, part: &Batch, report: &mut Report) -> Result<(Verdict, Answer), CommandError> {
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let (last, asked) = match self.client.post(part).await {
                Ok(answer) => match answer.verdict(part.len()) {
                    Verdict::Wait => (answer.words(), answer.retry_after),
                    Verdict::Refused => return Err(refused(report.place(part[0].line), answer)),
                    verdict => return Ok((verdict, answer)),
                },
                Err(words) => (words, None),
            };
            let pause = asked.unwrap_or(wait);
            // A wait that would end beyond our patience is not begun.
            if begun.elapsed() + pause > self.patience {
                let place = report.place(part[0].line);
                return Err(CommandError::GaveUp { place, after: self.patience, last });
            }
            report.waiting(pause, &last);
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
    }
}

/// What is left of a batch when the refused events are taken out.
fn remaining(part: Batch, refused: &BTreeMap<usize, Vec<String>>, report: &mut Report) -> Batch {
    let mut rest = Batch::with_capacity(part.len() - refused.len());
    for (index, event) in part.into_iter().enumerate() {
        match refused.get(&index) {
            Some(reasons) => report.refused(event.line, reasons),
            None => rest.push_back(event),
        }
    }
    rest
}

fn refused(place: String, answer: Answer) -> CommandError {
    if answer.document.code.is_empty() {
        let accepted = answer.document.accepted.len();
        let what = match answer.status {
            202 => format!("status 202 for {accepted} events"),
            status => format!("status {status} without a problem document"),
        };
        return CommandError::Answer { place, what };
    }
    CommandError::Refused { place, code: answer.document.code, detail: answer.document.detail }
}
