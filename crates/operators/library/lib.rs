//! The operators as a library that ONNX Runtime's Python package loads (`register_custom_ops_library`).
//!
//! `LAMBDA_EMBED_INSTRUCTION_SET` names the instruction set of a session's operators, for tests and benchmarks; without it
//! they have the best of this machine.

use std::ffi::CString;

use operators::InstructionSet;
use ort::AsPointer;
use ort::operator::OperatorDomain;
use ort::sys::{ORT_API_VERSION, OrtApiBase, OrtErrorCode, OrtSessionOptions, OrtStatusPtr};

const VARIABLE: &str = "LAMBDA_EMBED_INSTRUCTION_SET";

/// ONNX Runtime calls it for each session's options. Sessions of this library run on one thread.
///
/// # Safety
/// `options` and `base` must be ONNX Runtime's, as its documentation of `RegisterCustomOps` says.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "system" fn RegisterCustomOps(
    options: *mut OrtSessionOptions,
    base: *const OrtApiBase,
) -> OrtStatusPtr {
    // SAFETY: by this function's contract.
    let api = unsafe { ((*base).GetApi)(ORT_API_VERSION) };
    // SAFETY: ONNX Runtime's table of functions lives as long as the process; null means that the library is older.
    let Some(api) = (unsafe { api.as_ref() }) else { panic!("ONNX Runtime is older than version 1.{ORT_API_VERSION}") };
    ort::set_api(api.clone());
    match domain() {
        // SAFETY: `options` is valid by this function's contract. The sessions of these options need the domain until
        // they end, which nobody tells, so it lives as long as the process.
        Ok(domain) => unsafe { (api.AddCustomOpDomain)(options, Box::leak(Box::new(domain)).ptr().cast_mut()) },
        Err(sentence) => {
            let sentence = CString::new(sentence).unwrap_or_default();
            // SAFETY: ONNX Runtime copies the sentence.
            unsafe { (api.CreateStatus)(OrtErrorCode::ORT_INVALID_ARGUMENT, sentence.as_ptr()) }
        }
    }
}

fn domain() -> Result<OperatorDomain, String> {
    let set = match std::env::var(VARIABLE) {
        Ok(name) => name.parse().map_err(|cause| format!("{VARIABLE}: {cause}"))?,
        Err(std::env::VarError::NotPresent) => InstructionSet::best(),
        Err(cause) => return Err(format!("{VARIABLE}: {cause}")),
    };
    if !set.is_available() {
        return Err(format!("{VARIABLE}: this machine does not have {set}"));
    }
    operators::domain(1, set).map_err(|cause| cause.to_string())
}
