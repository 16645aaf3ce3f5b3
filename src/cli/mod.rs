//! The command line: answer one event, serve HTTP, check an installation, upload a model.

mod doctor;
mod invoke;
mod push_model;
mod serve;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app;
use crate::config::{Config, GROUPS, Group, Variable};
use crate::documents::extract::pdf;
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::observability::logging;

/// Text embeddings inside AWS Lambda. Lambda starts this binary without arguments; by hand, name a command.
#[derive(Parser)]
#[command(name = "bootstrap", version, after_help = environment())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer one event and print the response
    Invoke {
        /// A file with the event's JSON, or - for standard input
        event: PathBuf,
    },
    /// Answer HTTP requests
    Serve {
        #[arg(long, default_value_t = 3000)]
        port: u16,
        #[arg(long, default_value = "127.0.0.1")]
        host: IpAddr,
    },
    /// Upload a model folder to S3, for EMBED_MODEL_S3
    PushModel {
        /// The folder with manifest.json, as `make model` leaves it
        folder: PathBuf,
        /// s3://bucket/prefix
        #[arg(long)]
        to: String,
    },
    /// Read a PDF from standard input and print its pages; the function starts this for each PDF
    #[command(hide = true)]
    ReadPdf {
        /// PDFium's library
        #[arg(long)]
        library: PathBuf,
        /// Bytes of memory that it may use
        #[arg(long)]
        memory: u64,
        /// The first page to read, from 1
        #[arg(long)]
        first: u32,
    },
    /// Check configuration, library, model and CPU, and say what to do about each failure
    Doctor,
}

/// Runs the command line's command; without one, prints the help.
pub async fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Some(Command::Invoke { event }) => invoke::run(&open()?, &event).await,
        Some(Command::Serve { port, host }) => serve::run(open()?, (host, port).into()).await,
        Some(Command::PushModel { folder, to }) => push_model::run(&folder, &to).await,
        Some(Command::ReadPdf { library, memory, first }) => {
            pdf::serve(&library, memory, first).map_err(|e| Error::internal("the PDF could not be handed on", e))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Doctor) => Ok(doctor::run().await),
        None => {
            // A closed standard output is not an error.
            let _ = Cli::command().print_help();
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn open() -> Result<Handler> {
    let config = Arc::new(Config::from_env()?);
    logging::plain(config.log);
    let (handler, startup) = app::open(config)?;
    tracing::info!("{} ready in {startup}", handler.model());
    Ok(handler)
}

/// The configuration's variables, for the end of the help.
fn environment() -> String {
    let line = |v: &Variable| format!("  {}\n      {} [default: {}]\n", v.name, v.about, v.default);
    let group = |g: &Group| format!("\n{}:\n{}", g.purpose, g.variables.iter().map(line).collect::<String>());
    format!("Environment\n{}", GROUPS.iter().map(group).collect::<String>())
}
