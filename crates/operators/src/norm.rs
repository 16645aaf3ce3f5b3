//! Layer normalisation of a sum.

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use crate::Setup;
use crate::tensor::{fill_output, input, slice};
use crate::threads::by_rows;

/// Fewer values than this are not worth a second thread.
const SHARED_FROM: usize = 16_384;

pub struct NormOperator(pub Setup);

pub struct NormKernel {
    setup: Setup,
    epsilon: f32,
}

impl Operator for NormOperator {
    type Kernel<'attr> = NormKernel;

    fn name(&self) -> &str {
        "NormResidual"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32; 4].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> Result<NormKernel> {
        let epsilon = node.get::<f32>("epsilon").ok_or_else(|| Error::new("a norm has an epsilon"))?;
        Ok(NormKernel { setup: self.0, epsilon })
    }
}

impl Kernel for NormKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let (Setup { set, threads }, epsilon) = (self.setup, self.epsilon);
        let [x, residual, gamma, beta] =
            [input(context, 0)?, input(context, 1)?, input(context, 2)?, input(context, 3)?];
        let ((shape, x), (_, residual)) = (slice::<f32>(&x)?, slice::<f32>(&residual)?);
        let ((_, gamma), (_, beta)) = (slice::<f32>(&gamma)?, slice::<f32>(&beta)?);
        let hidden = gamma.len();
        if hidden == 0 || beta.len() != hidden || !x.len().is_multiple_of(hidden) || residual.len() != x.len() {
            return Err(Error::new(format!(
                "a norm of {} and {} values with {hidden} and {} factors",
                x.len(),
                residual.len(),
                beta.len()
            )));
        }
        let threads = if x.len() < SHARED_FROM { 1 } else { threads };
        fill_output(context, shape, |out| {
            by_rows(context, threads, hidden, out, |start, out| {
                let part = start..start + out.len();
                kernels::norm_residual(set, &x[part.clone()], &residual[part], gamma, beta, epsilon, out);
            })
        })
    }
}
