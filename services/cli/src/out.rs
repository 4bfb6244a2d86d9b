//! Standard output and the line that a failure ends with.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Prints a line on standard output. That its reader went away (`… | head`) is no failure.
pub fn line(text: impl Display) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write to standard output: {error}");
    }
}

/// An error with its causes. A cause that was told already, within what it caused, is left out.
pub fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        before if before.contains(&cause) => said,
        before => format!("{before}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("no route").context("cannot ask (no route)").context("CFG-1");
        assert_eq!(super::chain(&error), "CFG-1: cannot ask (no route)");
        let error = anyhow!("no route").context("cannot ask").context("CFG-1");
        assert_eq!(super::chain(&error), "CFG-1: cannot ask: no route");
    }
}
