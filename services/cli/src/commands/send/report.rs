//! What the person at the terminal sees: progress, refused lines, and the summary.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::out;

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    /// Lines that are not blank.
    pub lines: u64,
    /// Events that the brokers have.
    pub accepted: u64,
    /// Events that were refused for good.
    pub rejected: u64,
    /// Lines that are not JSON.
    pub unreadable: u64,
    /// Times that a request had to be repeated.
    pub retries: u64,
}

/// Counts and tells.
pub struct Report {
    /// What became of the lines so far.
    pub counts: Counts,
    file: String,
    bar: ProgressBar,
    begun: Instant,
}

#[derive(Serialize)]
struct Summary<'a> {
    file: &'a str,
    #[serde(flatten)]
    counts: &'a Counts,
    seconds: f64,
    events_per_second: f64,
}

impl Report {
    /// `length`: the file's, in bytes, where it is known. Progress shows on a terminal only.
    pub fn new(file: String, length: Option<u64>) -> Self {
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template =
            if length.is_some() { "{bar:30} {bytes}/{total_bytes} {msg}" } else { "{spinner} {bytes} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { counts: Counts::default(), file, bar, begun: Instant::now() }
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A line of the file.
    pub fn place(&self, line: u64) -> String {
        format!("{}:{line}", self.file)
    }

    /// So many bytes of the file are read.
    pub fn read(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Events were accepted.
    pub fn accepted(&mut self, events: usize) {
        self.counts.accepted += events as u64;
        self.refresh("");
    }

    /// An event was refused for good.
    pub fn refused(&mut self, line: u64, reasons: &[String]) {
        self.counts.rejected += 1;
        reasons.iter().for_each(|reason| self.say(line, reason));
        self.refresh("");
    }

    /// A line is not JSON.
    pub fn unreadable(&mut self, line: u64, why: &str) {
        self.counts.unreadable += 1;
        self.say(line, &format!("{why} (GTW-0052)"));
    }

    /// A request will be repeated after `pause`.
    pub fn waiting(&mut self, pause: Duration, why: &str) {
        self.counts.retries += 1;
        self.refresh(&format!(", waiting {pause:?}: {why}"));
    }

    /// Whether every line became an accepted event.
    pub fn all_accepted(&self) -> bool {
        self.counts.accepted == self.counts.lines
    }

    /// Prints the summary on standard output.
    pub fn summary(&self, json: bool) {
        self.bar.finish_and_clear();
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.counts.accepted as f64 / seconds.max(0.001);
        let Counts { lines, accepted, rejected, unreadable, retries } = self.counts;
        if json {
            let (seconds, rate) = ((seconds * 1000.0).round() / 1000.0, rate.round());
            let summary =
                Summary { file: &self.file, counts: &self.counts, seconds, events_per_second: rate };
            out::line(serde_json::json!(summary));
        } else {
            out::line(format_args!(
                "{lines} lines: {accepted} accepted, {rejected} rejected, {unreadable} not JSON, in {seconds:.1} s ({rate:.0}/s, {retries} retries)"
            ));
        }
    }

    fn say(&self, line: u64, what: &str) {
        let line = format!("{}: {what}", self.place(line));
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn refresh(&self, more: &str) {
        let Counts { accepted, rejected, .. } = self.counts;
        self.bar.set_message(format!("{accepted} accepted, {rejected} rejected{more}"));
    }
}
