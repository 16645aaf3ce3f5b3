//! Products with packed weights, and the packing.

use std::cell::RefCell;

use kernels::{Activation, InstructionSet, Output, Product, Quantized, Weights};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Int8, Uint8};
use ort::{Error, Result};

use crate::Setup;
use crate::tensor::{fill_output, input, rows, slice, width};
use crate::threads::by_columns;
use crate::weights::{constant, with_slack};

/// Columns that a kernel takes together.
pub const UNIT: usize = 32;

pub struct ProductOperator(pub Setup);

pub struct ProductKernel<'attr> {
    product: Product<'attr>,
    threads: usize,
}

impl Operator for ProductOperator {
    type Kernel<'attr> = ProductKernel<'attr>;

    fn name(&self) -> &str {
        "Product"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(Float32), OperatorInput::required(Uint8)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> Result<ProductKernel<'attr>> {
        Ok(ProductKernel { product: product(node, 1, self.0.set)?, threads: self.0.threads })
    }
}

impl Kernel for ProductKernel<'_> {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        thread_local! {
            static QUANTIZED: RefCell<Quantized> = RefCell::default();
        }
        let Self { product, threads } = self;
        let x = input(context, 0)?;
        let (shape, x) = slice::<f32>(&x)?;
        let (inner, columns) = (product.inner(), product.columns());
        let rows = rows(shape, x, inner)?;
        fill_output(context, &[1, rows as i64, columns as i64], |out| {
            QUANTIZED.with_borrow_mut(|quantized| {
                product.quantize(x, rows, quantized);
                let out = Output::new(out, rows, columns);
                by_columns(context, *threads, UNIT, out, |part| product.multiply(quantized, Activation::None, part))
            })
        })
    }
}

/// The product whose weights are input `index` of a node.
pub fn product<'attr>(node: &KernelContext<'attr>, index: usize, set: InstructionSet) -> Result<Product<'attr>> {
    Product::new(constant(node, index)?, set).map_err(sentence)
}

/// Makes the weights of a `Product` when a model is built.
pub struct PackOperator;

pub struct PackKernel;

impl Operator for PackOperator {
    type Kernel<'attr> = PackKernel;

    fn name(&self) -> &str {
        "Pack"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Int8, Float32, Float32, Float32].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Uint8)]
    }

    fn create_kernel(&self, _: &KernelContext<'_>) -> Result<PackKernel> {
        Ok(PackKernel)
    }
}

impl Kernel for PackKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let [codes, scales, bias, input_scale] =
            [input(context, 0)?, input(context, 1)?, input(context, 2)?, input(context, 3)?];
        let (shape, codes) = slice::<i8>(&codes)?;
        let columns = width(shape);
        let packed = kernels::pack(&Weights {
            codes,
            inner: codes.len().checked_div(columns).unwrap_or(0),
            columns,
            scales: slice(&scales)?.1,
            bias: slice(&bias)?.1,
            input_scale: slice(&input_scale)?.1,
        });
        let packed = with_slack(&packed.map_err(sentence)?);
        fill_output(context, &[packed.len() as i64], |out| {
            out.copy_from_slice(&packed);
            Ok(())
        })
    }
}

fn sentence(error: kernels::Error) -> Error {
    Error::new(error.to_string())
}
