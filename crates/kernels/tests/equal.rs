//! Every instruction set that this machine has against the scalar one, to the bit, and the scalar one against float64.
//! All memory ends before a closed page, so a kernel that reads or writes beyond a slice ends the test.

mod support;

use fastrand::Rng;
use kernels::{Activation, FeedForward, InstructionSet, Output, Product, Quantized, attention, norm_residual};
use proptest::prelude::*;
use support::{Guarded, Reference, floats, on_every_set};

fn check_product(reference: &Reference, x: &[f32], activation: Activation) {
    let (inner, columns, packed) = (reference.inner, reference.columns, reference.pack());
    let (x, rows) = (Guarded::new(x), x.len() / inner);
    let found = on_every_set(&format!("{rows} rows, {inner} x {columns}"), rows * columns, |set, out| {
        Product::new(&packed, set).unwrap().run(&x, rows, out, activation);
    });
    let product = Product::new(&packed, InstructionSet::best()).unwrap();
    for (x, found) in x.chunks(inner).zip(found.chunks(columns)) {
        reference.check(x, activation, found);
        let mut alone = vec![f32::NAN; columns];
        product.run(x, 1, &mut alone, activation);
        support::assert_bits("a row alone", &alone, found);
    }
}

#[test]
fn products_of_1_to_33_rows_are_equal_to_the_bit() {
    let mut random = Rng::with_seed(1);
    // Inner rows around groups and chunks; every number of columns up to three panels, so that blocks have every rest.
    let shapes = [(4, 16), (1, 1), (384, 33), (7, 47), (130, 32), (512, 17), (514, 48), (1568, 40), (1027, 31)];
    for (inner, columns) in shapes.into_iter().chain((1..=48).map(|columns| (36, columns))) {
        let reference = Reference::random(&mut random, inner, columns);
        for rows in 1..=33 {
            let activation = if rows % 2 == 0 { Activation::Gelu } else { Activation::None };
            check_product(&reference, &floats(&mut random, rows * inner, 3.0), activation);
        }
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for (inner, columns) in [(384, 48), (1568, 33), (6, 16), (32_768, 2)] {
        for (even, odd) in [(64, 64), (127, 1), (-128, 0), (-64, -64), (127, -128), (-1, 127)] {
            let codes = (0..inner * columns).map(|at| if at / columns % 2 == 0 { even } else { odd }).collect();
            let reference = Reference::with_codes(codes, inner, columns);
            let alternating = (0..5 * inner).map(|at| if at % 2 == 0 { 1.0 } else { -1.0 }).collect();
            for x in [vec![1.0; 5 * inner], vec![-1.0; 5 * inner], vec![0.0; 5 * inner], alternating] {
                check_product(&reference, &x, Activation::None);
            }
        }
    }
}

/// AVX2 adds two groups of 4 rows in 16 bits where they fit: 128 and 1 do not, 127 and 1 do.
#[test]
fn groups_that_do_not_fit_are_not_added() {
    for (codes, pairs) in
        [([127, 1, 127, 1, 1, 0, 1, 0], 0), ([-128, 0, -128, 0, -1, 0, -1, 0], 0), ([127, 0, 127, 0, 1, 0, 1, 0], 1)]
    {
        let reference = Reference::with_codes(codes.to_vec(), 8, 1);
        assert_eq!(reference.pack()[64 + 2 * 64], pairs, "the number of pairs follows the header and two groups");
        check_product(&reference, &[1.0; 8], Activation::None);
    }
}

#[test]
fn parts_of_the_columns_are_the_whole() {
    let mut random = Rng::with_seed(3);
    let (inner, columns, rows) = (100, 83, 9);
    let packed = Reference::random(&mut random, inner, columns).pack();
    let x = floats(&mut random, rows * inner, 1.0);
    for set in InstructionSet::available() {
        let product = Product::new(&packed, set).unwrap();
        let mut whole = vec![0.0; rows * columns];
        product.run(&x, rows, &mut whole, Activation::Gelu);
        let mut quantized = Quantized::default();
        product.quantize(&x, rows, &mut quantized);
        for at in [0, 16, 48, 80] {
            let mut parted = vec![f32::NAN; rows * columns];
            let (left, right) = Output::new(&mut parted, rows, columns).split(at);
            assert_eq!((left.columns(), right.columns()), (0..at, at..columns));
            std::thread::scope(|threads| {
                for part in [left, right] {
                    threads.spawn(|| product.multiply(&quantized, Activation::Gelu, part));
                }
            });
            support::assert_bits(&format!("{set}, parted at {at}"), &parted, &whole);
        }
    }
}

fn check_attention(qkv: &[f32], hidden: usize, head_size: usize, queries: usize, allowed: f64) {
    let (qkv, rows) = (Guarded::new(qkv), qkv.len() / (3 * hidden));
    let what = format!("{queries} of {rows} rows, heads of {head_size}");
    let found = on_every_set(&what, queries * hidden, |set, out| {
        attention(set, &qkv, hidden, head_size, Output::new(out, queries, hidden));
    });
    support::assert_close(&found, &support::attention(&qkv, hidden, head_size, queries), allowed);
}

#[test]
fn attention_of_1_to_33_rows_is_equal_to_the_bit() {
    let mut random = Rng::with_seed(5);
    for (heads, head_size) in [(3, 32), (2, 64), (2, 20), (1, 1), (2, 48), (1, 128)] {
        let hidden = heads * head_size;
        for rows in (1..=33).chain([127, 128, 129, 260]) {
            check_attention(&floats(&mut random, 3 * rows * hidden, 2.0), hidden, head_size, rows, 2e-5);
        }
        check_attention(&floats(&mut random, 3 * 45 * hidden, 2.0), hidden, head_size, 1, 2e-5);
    }
}

/// Real models have scores above 100, and `e^100` is no float32.
#[test]
fn attention_with_large_scores_is_right() {
    let mut random = Rng::with_seed(6);
    for size in [10.0, 20.0] {
        check_attention(&floats(&mut random, 3 * 50 * 64, size), 64, 32, 50, 5e-4);
    }
    let equal: Vec<f32> =
        (0..50).flat_map(|_| [vec![8.0; 64], vec![9.0; 64], floats(&mut random, 64, 1.0)].concat()).collect();
    check_attention(&equal, 64, 32, 50, 2e-5);
}

#[test]
fn heads_apart_are_the_whole() {
    let mut random = Rng::with_seed(7);
    let (rows, hidden) = (40, 96);
    let qkv = floats(&mut random, rows * 3 * hidden, 2.0);
    for set in InstructionSet::available() {
        let (mut whole, mut parted) = (vec![0.0; rows * hidden], vec![0.0; rows * hidden]);
        attention(set, &qkv, hidden, 32, Output::new(&mut whole, rows, hidden));
        let (left, right) = Output::new(&mut parted, rows, hidden).split(64);
        attention(set, &qkv, hidden, 32, left);
        attention(set, &qkv, hidden, 32, right);
        support::assert_bits(set.name(), &parted, &whole);
    }
}

#[test]
fn norms_of_any_width_are_equal_to_the_bit() {
    let mut random = Rng::with_seed(8);
    for hidden in (1..=70).chain([384, 768, 1000]) {
        for rows in [1, 2, 5] {
            let [x, residual] = [(); 2].map(|()| Guarded::new(&floats(&mut random, rows * hidden, 5.0)));
            let [gamma, beta] = [(); 2].map(|()| Guarded::new(&floats(&mut random, hidden, 1.0)));
            let found = on_every_set(&format!("{hidden} channels"), rows * hidden, |set, out| {
                norm_residual(set, &x, &residual, &gamma, &beta, 1e-5, out);
            });
            let sums: Vec<f64> = x.iter().zip(&*residual).map(|(x, residual)| f64::from(x + residual)).collect();
            for (sums, found) in sums.chunks(hidden).zip(found.chunks(hidden)) {
                support::assert_close(found, &support::norm(sums, &gamma, &beta, 1e-5), 1e-4);
            }
        }
    }
}

#[test]
fn gelu_is_the_exact_one_to_a_millionth() {
    // One inner row of code 0, so that a row of the result is the gelu of the bias.
    let bias: Vec<f32> = (-60_000..60_000).map(|step| step as f32 / 5000.0).chain([-1e9, -100.0, 100.0, 1e9]).collect();
    let exact: Vec<f64> = bias.iter().map(|&x| support::gelu(f64::from(x))).collect();
    let mut reference = Reference::with_codes(vec![0; bias.len()], 1, bias.len());
    reference.bias = bias;
    let packed = reference.pack();
    let found = on_every_set("gelu", exact.len(), |set, out| {
        Product::new(&packed, set).unwrap().run(&[1.0], 1, out, Activation::Gelu);
    });
    support::assert_close(&found, &exact, 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn products_of_any_shape_are_equal_to_the_bit(
        seed: u64, inner in 1usize..1200, columns in 1usize..70, rows in 0usize..20, size in 0.0f32..1e4,
    ) {
        let mut random = Rng::with_seed(seed);
        let reference = Reference::random(&mut random, inner, columns);
        check_product(&reference, &floats(&mut random, rows * inner, size), Activation::None);
    }

    #[test]
    fn attention_of_any_shape_is_equal_to_the_bit(
        seed: u64, heads in 1usize..4, head_size in 1usize..=128, rows in 1usize..300, queries in 0usize..30,
    ) {
        let (hidden, queries) = (heads * head_size, queries.min(rows));
        let qkv = floats(&mut Rng::with_seed(seed), 3 * rows * hidden, 1.0);
        check_attention(&qkv, hidden, head_size, queries, 2e-5);
    }
}

#[test]
fn feed_forward_is_its_two_products() {
    let mut random = Rng::with_seed(9);
    let [up, down] =
        [(40, 100), (100, 24)].map(|(inner, columns)| Reference::random(&mut random, inner, columns).pack());
    for rows in [0, 1, 56, 57, 130] {
        let x = Guarded::new(&floats(&mut random, rows * 40, 1.0));
        on_every_set(&format!("{rows} rows"), rows * 24, |set, out| {
            let [up, down] = [&up, &down].map(|packed| Product::new(packed, set).unwrap());
            let (mut between, mut expected) = (vec![0.0; rows * 100], vec![0.0; rows * 24]);
            up.run(&x, rows, &mut between, Activation::Gelu);
            down.run(&between, rows, &mut expected, Activation::None);
            FeedForward::default().run(&up, &down, &x, rows, out);
            support::assert_bits(&format!("{set}, {rows} rows"), out, &expected);
        });
    }
}
