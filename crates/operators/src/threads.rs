//! A result in parts, which the threads of ONNX Runtime's pool write side by side.

use std::sync::Mutex;

use kernels::Output;
use ort::Result;
use ort::operator::ComputeContext;

/// Calls `work` for parts of `out`, `threads` of them at most, each as wide as the others or narrower. A part begins and
/// ends at a multiple of `unit` columns or at the end.
pub fn by_columns(
    context: &ComputeContext,
    threads: usize,
    unit: usize,
    out: Output<'_>,
    work: impl Fn(Output<'_>) + Send + Sync,
) -> Result<()> {
    let units = out.columns().len().div_ceil(unit);
    let width = units.div_ceil(threads.max(1)) * unit;
    if units < 2 || threads < 2 {
        work(out);
        return Ok(());
    }
    let mut parts = Vec::with_capacity(threads);
    let mut rest = out;
    while rest.columns().len() > width {
        let at = rest.columns().start + width;
        let (part, others) = rest.split(at);
        parts.push(Mutex::new(Some(part)));
        rest = others;
    }
    parts.push(Mutex::new(Some(rest)));
    in_parallel(context, &parts, work)
}

/// Calls `work` for `threads` parts of `out` at most, whole rows of `width` values. `work` gets the number of values before
/// the part.
pub fn by_rows(
    context: &ComputeContext,
    threads: usize,
    width: usize,
    out: &mut [f32],
    work: impl Fn(usize, &mut [f32]) + Send + Sync,
) -> Result<()> {
    let rows = out.len() / width;
    if rows < 2 || threads < 2 {
        work(0, out);
        return Ok(());
    }
    let values = rows.div_ceil(threads) * width;
    let parts = out.chunks_mut(values).enumerate().map(|part| Mutex::new(Some(part))).collect::<Vec<_>>();
    in_parallel(context, &parts, |(index, part)| work(index * values, part))
}

fn in_parallel<T: Send>(
    context: &ComputeContext,
    parts: &[Mutex<Option<T>>],
    work: impl Fn(T) + Send + Sync,
) -> Result<()> {
    context.par_for(parts.len(), 0, |index| {
        // Each part is asked for once, so nobody waits.
        let part = parts[index].lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        part.into_iter().for_each(&work);
    })
}
