//! `bootstrap`: the function under AWS Lambda, the command-line tool in a terminal.

#![deny(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use lambda_embed::lambda::{self, DeferredInit, INIT_BUDGET};
use lambda_embed::observability::logging;
use lambda_embed::{Error, cli, config::Config};

/// Also replaces ONNX Runtime's `malloc`, which is why it is here: see the note in `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    without_telemetry();
    let arguments = std::env::args_os().len() > 1;
    let under_lambda = std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some();
    let outcome = match under_lambda && !arguments {
        true => tokio_runtime().and_then(|runtime| runtime.block_on(function())),
        false => tokio_runtime().and_then(|runtime| runtime.block_on(cli::run())),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

/// Turns ONNX Runtime's telemetry off: its official Linux builds (1.29 and later) otherwise write a device id below the
/// home directory and upload usage events. `main` does it because only here is it certain that no other thread runs.
#[allow(unsafe_code)]
fn without_telemetry() {
    // SAFETY: this is the process's only thread as yet.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// One thread drives the I/O; the model runs on other threads.
fn tokio_runtime() -> lambda_embed::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the I/O runtime does not start", e))
}

async fn function() -> lambda_embed::Result<ExitCode> {
    match start().await {
        Ok(model) => lambda::serve(model).await,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            lambda::report_failed_init(&error).await;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn start() -> Result<DeferredInit, Arc<Error>> {
    let config = Config::from_env()?;
    logging::json(config.log);
    DeferredInit::begin(config, INIT_BUDGET).await
}
