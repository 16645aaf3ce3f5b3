//! `bootstrap`: under AWS Lambda the function itself, started by hand the local ways in.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_embed::call::Call;
use lambda_embed::loading::{Failure, INIT_BUDGET, Loading};
use lambda_embed::local::{self, logging};
use lambda_embed::{Error, config::Config};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;

/// For ONNX Runtime's sake, whose `malloc` it becomes too: see the dependency's note.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // ONNX Runtime's official Linux builds (1.29 and later) write a device id below the home directory
    // and upload usage events unless told not to; a function that embeds other people's texts must not.
    // SAFETY: this is the process's only thread as yet.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    let arguments = std::env::args_os().len() > 1;
    let under_lambda = std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some();
    let outcome = match under_lambda && !arguments {
        true => tokio_runtime().and_then(|runtime| runtime.block_on(lambda())),
        false => tokio_runtime().and_then(|runtime| runtime.block_on(local::run())),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

/// One thread drives the I/O; the model runs on threads of its own.
fn tokio_runtime() -> lambda_embed::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the I/O runtime does not start", e))
}

async fn lambda() -> lambda_embed::Result<ExitCode> {
    match start().await {
        Ok(model) => {
            let invoke = service_fn(|event: LambdaEvent<Box<RawValue>>| invoke(&model, event));
            lambda_runtime::run(invoke).await.map_err(|e| Error::internal("the Runtime API failed", e))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {}", error.chain());
            report_failed_start("/2018-06-01/runtime/init/error", &error).await;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn start() -> Result<Loading, Arc<Error>> {
    let config = Config::from_env()?;
    logging::json(config.log);
    Loading::begin(config, INIT_BUDGET).await
}

async fn invoke(model: &Loading, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>, Diagnostic> {
    match model.handle(event.payload.get().as_bytes(), &Call::from(&event.context)).await {
        Ok(reply) => Ok(reply),
        Err(Failure::Call(error)) => {
            tracing::error!(error = %error.chain(), "invocation failed");
            Err(Diagnostic::from(error))
        }
        Err(Failure::Start(error)) => {
            tracing::error!(error = %error.chain(), "the model did not load; this process ends");
            let call = format!("/2018-06-01/runtime/invocation/{}/error", event.context.request_id);
            report_failed_start(&call, &error).await;
            // Lambda starts another process for the next call; this one would fail every call.
            std::process::exit(1)
        }
    }
}

/// Tells Lambda why the start failed, so that the caller sees the cause instead of "exited".
async fn report_failed_start(path: &str, error: &Error) {
    let body = serde_json::json!({
        "errorType": error.kind().row().lambda_type,
        "errorMessage": error.chain().to_string(),
        "stackTrace": [],
    });
    if let Err(error) = post(path, body.to_string(), error.kind().row().lambda_type).await {
        eprintln!("the failed start could not be reported: {error}");
    }
}

async fn post(path: &str, body: String, error_type: &str) -> Result<(), lambda_runtime::Error> {
    let client = lambda_runtime_api_client::PooledClient::builder().build();
    let request = lambda_runtime_api_client::build_request()
        .method(http::Method::POST)
        .uri(path)
        .header("lambda-runtime-function-error-type", error_type)
        .body(body.into())?;
    client.call(request).await?;
    Ok(())
}
