//! `bootstrap invoke`: one event in, its response out.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::error::{Error, Kind, Result};
use crate::handler::Handler;
use crate::observability::call::Call;

/// Answers the event in `path` (`-` is standard input) and prints the response, one line of JSON.
pub async fn run(handler: &Handler, path: &Path) -> Result<ExitCode> {
    let event = read(path).map_err(|e| {
        Error::request(Kind::Malformed, None, format!("the event {} cannot be read: {e}", path.display()))
    })?;
    let response = handler.handle(&event, &Call::default()).await?;
    writeln!(std::io::stdout(), "{}", response.get())
        .map_err(|e| Error::internal("the response cannot be printed", e))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut event = Vec::new();
    std::io::stdin().read_to_end(&mut event)?;
    Ok(event)
}
