//! The `counterfoil` command: the services, and the work around them, from one binary.

pub mod args;
pub mod commands;
pub mod demo;
pub mod error;
pub mod out;
pub mod settings;
pub mod tenants;

use std::process::ExitCode;

use args::{Arguments, Command};
use commands::{control, indoubt, schemas, send, serve, topics, up};

/// Exit code: there is something to apply or to register.
pub const PENDING: u8 = 2;
/// Exit code: the command line is wrong.
pub const USAGE: u8 = 64;

/// Does what the command line asks for and says how the process is to end.
///
/// # Errors
/// When it cannot be done; the chain of causes says why and begins with the stable code.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(args) => {
            let good = Box::pin(demo::run(args)).await?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Up(args) => Box::pin(up::run(*args)).await?,
        Command::Serve(args) => Box::pin(serve::run(args)).await?,
        Command::Topics(args) => return Box::pin(topics::run(args)).await,
        Command::Tenants(args) => return Box::pin(commands::tenants::run(args)).await,
        Command::Connector(args) => return commands::connector::run(args).await,
        Command::Mapping(args) => return commands::mapping::run(args).await,
        Command::Schemas(args) => return Box::pin(schemas::run(args)).await,
        Command::Indoubt(args) => return Box::pin(indoubt::run(args)).await,
        Command::Replay(args) => return Box::pin(commands::replay::run(*args)).await,
        Command::Pause(args) => Box::pin(control::turn(contract::Verb::Pause, args)).await?,
        Command::Resume(args) => Box::pin(control::turn(contract::Verb::Resume, args)).await?,
        Command::Paused(args) => Box::pin(control::paused(args)).await?,
        Command::Send(args) => return Box::pin(send::run(args)).await,
    }
    Ok(ExitCode::SUCCESS)
}
