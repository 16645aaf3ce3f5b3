//! A whole BERT encoder (CLS pooling, last layer for the first token alone) out of these kernels, for measurements.
//!
//!     encoder WEIGHTS SET < requests
//!
//! WEIGHTS is what `tools/bench/kernels.py` writes. A line of token ids is answered with the text's vector in base 16;
//! `time TOKENS RUNS` with the milliseconds of each of the runs; `parts TOKENS RUNS` with milliseconds by kind of
//! kernel.

use std::io::BufRead;
use std::time::Duration;

use kernels::{
    ALIGNMENT, Activation, InstructionSet, Matrix, Output, Product, Quantized, Weights, attention, feed_forward,
    norm_residual, pack,
};

const EPSILON: f32 = 1e-12;

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
}

/// This thread's processor time: what others do on a shared machine does not count.
fn now() -> Duration {
    let mut time = [0; 2];
    // SAFETY: two 64-bit numbers are a `timespec`; 3 is CLOCK_THREAD_CPUTIME_ID.
    assert_eq!(unsafe { clock_gettime(3, &mut time) }, 0);
    Duration::new(time[0] as u64, time[1] as u32)
}

/// Reads a file of little-endian numbers from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (now, rest) = self.0.split_at(count);
        self.0 = rest;
        now
    }

    fn number(&mut self) -> usize {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap()) as usize
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        self.bytes(4 * count).as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    fn norm(&mut self, hidden: usize) -> [Vec<f32>; 2] {
        [self.floats(hidden), self.floats(hidden)]
    }

    /// Sizes, codes, scales, bias, and an input scale if there is one; packed into memory that begins at a line.
    fn product(&mut self, set: InstructionSet) -> Product<'static> {
        let [inner, columns, scaled] = [(); 3].map(|()| self.number());
        let codes: Vec<i8> = self.bytes(inner * columns).iter().map(|&code| code.cast_signed()).collect();
        let (scales, bias) = (self.floats(columns), self.floats(columns));
        let input_scale = (scaled == 1).then(|| self.floats(inner));
        let weights = Weights {
            codes: &codes,
            inner,
            columns,
            scales: &scales,
            bias: &bias,
            input_scale: input_scale.as_deref(),
        };
        let packed = pack(&weights).unwrap();
        let memory = vec![0; packed.len() + ALIGNMENT].leak();
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let place = &mut memory[start..start + packed.len()];
        place.copy_from_slice(&packed);
        Product::new(place, set).unwrap()
    }
}

struct Layer {
    query: Option<Product<'static>>,
    qkv: Product<'static>,
    output: Product<'static>,
    attention_norm: [Vec<f32>; 2],
    intermediate: Product<'static>,
    down: Product<'static>,
    output_norm: [Vec<f32>; 2],
}

struct Encoder {
    set: InstructionSet,
    hidden: usize,
    head_size: usize,
    words: Vec<f32>,
    positions: Vec<f32>,
    norm: [Vec<f32>; 2],
    layers: Vec<Layer>,
    buffers: [Vec<f32>; 4],
    quantized: Quantized,
    parts: [Duration; 6],
}

const PARTS: [&str; 6] = ["quantize", "qkv", "attention", "output", "feed-forward", "norms"];

impl Encoder {
    fn read(mut from: Reader<'_>, set: InstructionSet) -> Self {
        let [words, positions, hidden, heads, layers] = [(); 5].map(|()| from.number());
        let (words, positions, norm) =
            (from.floats(words * hidden), from.floats(positions * hidden), from.norm(hidden));
        let layers = (0..layers)
            .map(|layer| Layer {
                query: (layer + 1 == layers).then(|| from.product(set)),
                qkv: from.product(set),
                output: from.product(set),
                attention_norm: from.norm(hidden),
                intermediate: from.product(set),
                down: from.product(set),
                output_norm: from.norm(hidden),
            })
            .collect();
        assert!(from.0.is_empty(), "the weights are read to their end");
        let head_size = hidden / heads;
        Self {
            set,
            hidden,
            head_size,
            words,
            positions,
            norm,
            layers,
            buffers: Default::default(),
            quantized: Default::default(),
            parts: Default::default(),
        }
    }

    fn run(&mut self, ids: &[usize]) -> Vec<f32> {
        let Self { set, hidden, head_size, words, positions, norm, layers, buffers, quantized, parts } = self;
        let (set, hidden, mut rows) = (*set, *hidden, ids.len());
        let [x, y, qkv, context] = buffers;
        for (buffer, width) in [(&mut *x, hidden), (&mut *y, hidden), (&mut *qkv, 3 * hidden), (&mut *context, hidden)]
        {
            buffer.resize(rows * width, 0.0);
        }
        let mut last = now();
        let mut part = |index: usize| {
            let time = now();
            parts[index] += time - last;
            last = time;
        };
        for (to, &id) in y.chunks_mut(hidden).zip(ids) {
            to.copy_from_slice(&words[id * hidden..][..hidden]);
        }
        norm_residual(set, y, &positions[..rows * hidden], &norm[0], &norm[1], EPSILON, x);
        part(5);
        for layer in layers {
            let columns = layer.qkv.columns();
            layer.qkv.quantize(x, rows, quantized);
            part(0);
            layer.qkv.multiply(quantized, Activation::None, Output::new(&mut qkv[..rows * columns], rows, columns));
            let all = Matrix::new(&qkv[..rows * columns], rows, columns);
            let key = all.columns(columns - 2 * hidden..columns - hidden);
            let value = all.columns(columns - hidden..columns);
            let query = if let Some(query) = &layer.query {
                rows = 1;
                query.quantize(&x[..hidden], 1, quantized);
                query.multiply(quantized, Activation::None, Output::new(&mut y[..hidden], 1, hidden));
                Matrix::new(&y[..hidden], 1, hidden)
            } else {
                all.columns(0..hidden)
            };
            part(1);
            attention(set, query, key, value, *head_size, Output::new(&mut context[..rows * hidden], rows, hidden));
            part(2);
            layer.output.quantize(&context[..rows * hidden], rows, quantized);
            part(0);
            layer.output.multiply(
                quantized,
                Activation::None,
                Output::new(&mut context[..rows * hidden], rows, hidden),
            );
            part(3);
            let [gamma, beta] = &layer.attention_norm;
            norm_residual(
                set,
                &context[..rows * hidden],
                &x[..rows * hidden],
                gamma,
                beta,
                EPSILON,
                &mut y[..rows * hidden],
            );
            part(5);
            feed_forward(&layer.intermediate, &layer.down, &y[..rows * hidden], rows, &mut context[..rows * hidden]);
            part(4);
            let [gamma, beta] = &layer.output_norm;
            norm_residual(
                set,
                &context[..rows * hidden],
                &y[..rows * hidden],
                gamma,
                beta,
                EPSILON,
                &mut x[..rows * hidden],
            );
            part(5);
        }
        x[..hidden].to_vec()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, weights, set] = &arguments[..] else { panic!("encoder WEIGHTS SET") };
    let set = if set == "best" { InstructionSet::best() } else { set.parse().unwrap() };
    let mut encoder = Encoder::read(Reader(&std::fs::read(weights).unwrap()), set);
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["time" | "parts", tokens, runs] = words[..] {
            let (tokens, runs): (usize, u32) = (tokens.parse().unwrap(), runs.parse().unwrap());
            let ids: Vec<usize> = (0..tokens).map(|at| 2000 + at * 7919 % 18_000).collect();
            encoder.run(&ids);
            encoder.parts = Default::default();
            let times = (0..runs).map(|_| {
                let start = now();
                std::hint::black_box(encoder.run(&ids));
                format!("{:.4}", (now() - start).as_secs_f64() * 1e3)
            });
            let times: Vec<String> = times.collect();
            if words[0] == "time" {
                println!("{}", times.join(" "));
            } else {
                let parts = PARTS.iter().zip(encoder.parts);
                let parts =
                    parts.map(|(name, time)| format!("{name} {:.3}", time.as_secs_f64() * 1e3 / f64::from(runs)));
                println!("{}", parts.collect::<Vec<_>>().join(", "));
            }
        } else {
            let ids: Vec<usize> = words.iter().map(|id| id.parse().unwrap()).collect();
            let vector = encoder.run(&ids);
            println!("{}", vector.iter().map(|value| format!("{:08x}", value.to_bits())).collect::<String>());
        }
    }
}
