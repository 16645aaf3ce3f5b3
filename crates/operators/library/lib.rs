//! The operators as a library that ONNX Runtime's Python package loads (`register_custom_ops_library`).

use ort::AsPointer;
use ort::sys::{ORT_API_VERSION, OrtApiBase, OrtSessionOptions, OrtStatusPtr};

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
    let domain = operators::domain(1).expect("operators can be made");
    // The sessions of these options need it until they end, which nobody tells.
    let domain = Box::leak(Box::new(domain));
    // SAFETY: `options` is valid by this function's contract, and the domain lives as long as the process.
    unsafe { (ort::api().AddCustomOpDomain)(options, domain.ptr().cast_mut()) }
}
