//! `bootstrap`: under AWS Lambda the function itself, started by hand the local ways in.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_embed::local::{self, logging};
use lambda_embed::{Error, config::Config, handler::Handler};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;

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
    match start() {
        Ok(handler) => {
            let invoke = service_fn(|event: LambdaEvent<Box<RawValue>>| invoke(&handler, event.payload));
            lambda_runtime::run(invoke).await.map_err(|e| Error::internal("the Runtime API failed", e))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            report_failed_init(&error).await;
            Err(error)
        }
    }
}

fn start() -> lambda_embed::Result<Handler> {
    let config = Arc::new(Config::from_env()?);
    logging::json(config.log);
    let (handler, startup) = Handler::open(config)?;
    tracing::info!(model = handler.model(), cold_start = true, "{}", startup.summary());
    Ok(handler)
}

async fn invoke(handler: &Handler, event: Box<RawValue>) -> Result<Box<RawValue>, Diagnostic> {
    handler.handle(event.get().as_bytes()).await.map_err(|error| {
        tracing::error!(error = %error.chain(), "invocation failed");
        Diagnostic::from(error)
    })
}

/// Tells Lambda why the start failed, so that the caller sees the cause instead of "exited".
async fn report_failed_init(error: &Error) {
    let body = serde_json::json!({
        "errorType": error.kind().row().lambda_type,
        "errorMessage": error.chain().to_string(),
        "stackTrace": [],
    });
    if let Err(error) = post_failed_init(body.to_string(), error).await {
        eprintln!("the failed start could not be reported: {error}");
    }
}

async fn post_failed_init(body: String, error: &Error) -> Result<(), lambda_runtime::Error> {
    let client = lambda_runtime_api_client::PooledClient::builder().build();
    let request = lambda_runtime_api_client::build_request()
        .method(http::Method::POST)
        .uri("/2018-06-01/runtime/init/error")
        .header("lambda-runtime-function-error-type", error.kind().row().lambda_type)
        .body(body.into())?;
    client.call(request).await?;
    Ok(())
}
