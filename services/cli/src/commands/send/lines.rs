//! Reads a file of JSON lines one line at a time.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line, in bytes; no topic takes a larger event.
const MAX_LINE: usize = topics::MAX_MESSAGE_BYTES as usize;

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// A line that is JSON, as it stands there: numbers keep their digits.
    Event {
        /// Its number, from 1.
        line: u64,
        /// The line.
        text: String,
    },
    /// A line that is not.
    Unreadable {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// There is no further line.
    End,
}

/// A reader of JSON lines that holds one line at a time.
pub struct Lines<R> {
    reader: R,
    line: u64,
    bytes: u64,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, bytes: 0 }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line that is not blank.
    pub async fn next(&mut self) -> io::Result<Next> {
        loop {
            let mut line = Vec::new();
            let limit = MAX_LINE as u64 + 1;
            let read = (&mut self.reader).take(limit).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(Next::End);
            }
            self.line += 1;
            self.bytes += read as u64;
            if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
                self.skip().await?;
                let why = format!("the line is longer than {MAX_LINE} bytes");
                return Ok(Next::Unreadable { line: self.line, why });
            }
            if self.line == 1 && line.starts_with(b"\xEF\xBB\xBF") {
                line.drain(..3); // a byte order mark
            }
            if !line.trim_ascii().is_empty() {
                return Ok(self.parse(line));
            }
        }
    }

    fn parse(&self, line: Vec<u8>) -> Next {
        let unreadable = |why: String| Next::Unreadable { line: self.line, why };
        let Ok(text) = String::from_utf8(line) else { return unreadable("the line is not UTF-8".to_owned()) };
        let text = text.trim();
        match serde_json::from_str::<Value>(text) {
            Ok(_) => Next::Event { line: self.line, text: text.to_owned() },
            // The position counts from this line, so only the column says something.
            Err(error) => {
                let (whole, column) = (error.to_string(), error.column());
                let what = whole.split(" at line ").next().unwrap_or_default();
                unreadable(format!("the line is not JSON: {what} at column {column}"))
            }
        }
    }

    /// Reads to the end of the line without keeping it.
    async fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf().await?;
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let (length, ends) =
                (newline.map_or(buffer.len(), |at| at + 1), buffer.is_empty() || newline.is_some());
            self.reader.consume(length);
            self.bytes += length as u64;
            if ends {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn all(input: &[u8]) -> Vec<Next> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Next::End => break,
                next => found.push(next),
            }
        }
        assert_eq!(lines.bytes(), input.len() as u64);
        found
    }

    fn event(line: u64, text: &str) -> Next {
        Next::Event { line, text: text.to_owned() }
    }

    #[tokio::test]
    async fn lines_keep_their_numbers_and_their_text() {
        let found = all("\u{feff}{\"a\": 1.10}\r\n\n  \n[2]\n{\"b\":".as_bytes()).await;
        let why = "the line is not JSON: EOF while parsing a value at column 5".to_owned();
        assert_eq!(found, [event(1, "{\"a\": 1.10}"), event(4, "[2]"), Next::Unreadable { line: 5, why }]);
    }

    #[tokio::test]
    async fn what_is_not_utf_8_or_too_long_is_passed_over() {
        let mut input = b"\xff\n".to_vec();
        input.extend(vec![b'1'; MAX_LINE]);
        input.push(b'\n');
        input.extend(vec![b' '; 3 * MAX_LINE]);
        input.extend(b"\n4\n");
        let found = all(&input).await;
        assert_eq!(found.len(), 4);
        assert!(
            matches!(&found[0], Next::Unreadable { line: 1, why } if why.contains("UTF-8")),
            "{:?}",
            found[0]
        );
        // A number of eight million digits is one that no float holds.
        assert!(matches!(&found[1], Next::Unreadable { line: 2, why } if why.contains("not JSON")));
        assert!(matches!(&found[2], Next::Unreadable { line: 3, why } if why.contains("longer than")));
        assert_eq!(found[3], event(4, "4"));
    }
}
