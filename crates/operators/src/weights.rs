//! Packed weights as an initializer of a graph, used where they lie.
//!
//! The kernels want packed weights at a multiple of 64 bytes, and neither of ONNX's formats can promise that. So the
//! initializer is 64 bytes longer than the packed form, which begins after some bytes of 0; how many is decided when a
//! model's file is complete, so that the packed form is aligned where the file is mapped.

use ort::operator::KernelContext;
use ort::value::DynTensorValueType;
use ort::{Error, Result};

/// How many bytes an initializer has beside the packed form.
const SLACK: usize = kernels::ALIGNMENT;

/// The packed form as an initializer that begins with all of the slack.
pub fn with_slack(packed: &[u8]) -> Vec<u8> {
    [&[0; SLACK], packed].concat()
}

/// The packed form in input `index` of a node, which must be constant. Where it is not aligned (which no file of ours is,
/// if it is mapped), each session's copy stays in memory for the rest of the process.
pub fn constant<'attr>(node: &KernelContext<'attr>, index: usize) -> Result<&'attr [u8]> {
    let value = node.constant_input::<DynTensorValueType>(index)?;
    let (_, bytes) = value.try_extract_tensor::<u8>()?;
    // SAFETY: a session keeps its constants where they are for as long as its kernels live, which is `'attr`.
    let bytes: &'attr [u8] = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) };
    let zeros = bytes.iter().take(SLACK).take_while(|&&byte| byte == 0).count();
    let length = bytes.len().checked_sub(SLACK).ok_or_else(|| Error::new("these are no packed weights"))?;
    let packed = &bytes[zeros..][..length];
    match packed.as_ptr().addr().is_multiple_of(kernels::ALIGNMENT) {
        true => Ok(packed),
        false => Ok(aligned(packed)),
    }
}

/// A copy at a multiple of 64 bytes.
fn aligned(bytes: &[u8]) -> &'static [u8] {
    let memory = vec![0; bytes.len() + kernels::ALIGNMENT].leak();
    let start = memory.as_ptr().align_offset(kernels::ALIGNMENT);
    let copy = &mut memory[start..][..bytes.len()];
    copy.copy_from_slice(bytes);
    copy
}
