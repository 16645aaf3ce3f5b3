//! Two products with gelu between them.

use std::cell::RefCell;

use kernels::{Activation, FeedForward, Output, Product};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Uint8};
use ort::{Error, Result};

use crate::Setup;
use crate::product::{UNIT, product};
use crate::tensor::{fill_output, input, rows, slice};
use crate::threads::{by_columns, by_rows};

/// From so many rows on, each thread takes rows of its own. With fewer rows reading the weights takes longer than using
/// them, so each thread takes columns, and reads a part of the weights.
const ROWS_EACH: usize = 28;

thread_local! {
    static MEMORY: RefCell<FeedForward> = RefCell::default();
}

pub struct FeedForwardOperator(pub Setup);

pub struct FeedForwardKernel<'attr> {
    up: Product<'attr>,
    down: Product<'attr>,
    threads: usize,
}

impl Operator for FeedForwardOperator {
    type Kernel<'attr> = FeedForwardKernel<'attr>;

    fn name(&self) -> &str {
        "FeedForward"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32, Uint8, Uint8].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> Result<FeedForwardKernel<'attr>> {
        let (up, down) = (product(node, 1, self.0.set)?, product(node, 2, self.0.set)?);
        if up.columns() != down.inner() {
            return Err(Error::new(format!("a product of {} channels follows one to {}", down.inner(), up.columns())));
        }
        Ok(FeedForwardKernel { up, down, threads: self.0.threads })
    }
}

impl Kernel for FeedForwardKernel<'_> {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let Self { up, down, threads } = self;
        let x = input(context, 0)?;
        let (shape, x) = slice::<f32>(&x)?;
        let (inner, columns) = (up.inner(), down.columns());
        let rows = rows(shape, x, inner)?;
        fill_output(context, &[1, rows as i64, columns as i64], |out| {
            if *threads == 1 || rows >= ROWS_EACH * *threads {
                return by_rows(context, *threads, columns, out, |start, out| {
                    let (first, rows) = (start / columns, out.len() / columns);
                    let x = &x[first * inner..][..rows * inner];
                    MEMORY.with_borrow_mut(|memory| memory.run(up, down, x, rows, out));
                });
            }
            let out = Output::new(out, rows, columns);
            by_column_parts(context, *threads, up, down, x, rows, out)
        })
    }
}

fn by_column_parts(
    context: &ComputeContext,
    threads: usize,
    up: &Product<'_>,
    down: &Product<'_>,
    x: &[f32],
    rows: usize,
    out: Output<'_>,
) -> Result<()> {
    MEMORY.with_borrow_mut(|FeedForward { quantized, between }| {
        between.resize(rows * up.columns(), 0.0);
        up.quantize(x, rows, quantized);
        let part = Output::new(between, rows, up.columns());
        by_columns(context, threads, UNIT, part, |part| up.multiply(quantized, Activation::Gelu, part))?;
        down.quantize(between, rows, quantized);
        by_columns(context, threads, UNIT, out, |part| down.multiply(quantized, Activation::None, part))
    })
}
