//! `counterfoil`: the command line of the platform.

use std::process::ExitCode;

use clap::Parser;
use cli::{USAGE, args::Arguments};

/// An event is many small allocations on one thread that are freed on another: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(cli::run(arguments)));
    ended.unwrap_or_else(|error| {
        eprintln!("error: {}", cli::out::chain(&error));
        ExitCode::FAILURE
    })
}

/// clap's own code for a wrong command line is 2, which here says that changes are pending.
fn usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { USAGE } else { 0 };
    match error.print() {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}
