//! Attention over one text's rows.

use kernels::{MOST_HEAD, Output};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use crate::Setup;
use crate::tensor::{fill_output, input, slice, width};
use crate::threads::by_columns;

pub struct AttentionOperator(pub Setup);

pub struct AttentionKernel {
    setup: Setup,
    heads: usize,
    /// 0: every row asks.
    queries: usize,
}

impl Operator for AttentionOperator {
    type Kernel<'attr> = AttentionKernel;

    fn name(&self) -> &str {
        "Attention"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> Result<AttentionKernel> {
        let attribute = |name| usize::try_from(node.get::<i64>(name).unwrap_or(0)).unwrap_or(0);
        Ok(AttentionKernel { setup: self.0, heads: attribute("heads"), queries: attribute("queries") })
    }
}

impl Kernel for AttentionKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let Setup { set, threads } = self.setup;
        let qkv = input(context, 0)?;
        let (shape, qkv) = slice::<f32>(&qkv)?;
        let wide = width(shape);
        let parts = self.heads.saturating_mul(3);
        let size = wide.checked_div(parts).unwrap_or(0);
        if !(1..=MOST_HEAD).contains(&size) || wide != parts.saturating_mul(size) || qkv.is_empty() {
            let heads = self.heads;
            return Err(Error::new(format!("rows of {wide} values are not queries, keys and values of {heads} heads")));
        }
        let (rows, hidden) = (qkv.len() / wide, self.heads * size);
        let queries = if self.queries == 0 { rows } else { self.queries.min(rows) };
        fill_output(context, &[1, queries as i64, hidden as i64], |out| {
            // A single query is not worth a second thread.
            let threads = if queries == 1 { 1 } else { threads };
            by_columns(context, threads, size, Output::new(out, queries, hidden), |part| {
                kernels::attention(set, qkv, hidden, size, part);
            })
        })
    }
}
