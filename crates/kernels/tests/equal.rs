//! Every instruction set that this machine has against the scalar one, to the bit, and the scalar one against float64.

mod support;

use kernels::{Activation, InstructionSet, Matrix, Output, Product, Quantized, attention, feed_forward, norm_residual};
use proptest::prelude::*;
use support::{Aligned, Random, Reference, other_sets};

/// Columns up to three panels, so that blocks of two panels have a rest; inner rows around groups and chunks.
const SHAPES: [(usize, usize); 9] =
    [(4, 16), (1, 1), (384, 33), (7, 47), (130, 32), (512, 17), (514, 48), (1568, 40), (1027, 31)];

fn check_product(reference: &Reference, x: &[f32], rows: usize, activation: Activation) {
    let packed = Aligned::new(&reference.pack());
    let run = |set| {
        let mut out = vec![f32::NAN; rows * reference.columns];
        Product::new(packed.bytes(), set).unwrap().run(x, rows, &mut out, activation);
        out
    };
    let scalar = run(InstructionSet::Scalar);
    reference.check(x, rows, activation, &scalar);
    for set in other_sets() {
        support::assert_bits(
            &run(set),
            &scalar,
            &format!("{set}, {rows} rows, {} x {}", reference.inner, reference.columns),
        );
    }
}

#[test]
fn products_of_1_to_33_rows_are_equal_to_the_bit() {
    let mut random = Random(1);
    for (inner, columns) in SHAPES {
        let reference = Reference::random(&mut random, inner, columns, inner % 2 == 0);
        for rows in 1..=33 {
            let activation = if rows % 2 == 0 { Activation::Gelu } else { Activation::None };
            check_product(&reference, &random.floats(rows * inner, 3.0), rows, activation);
        }
    }
}

#[test]
fn every_number_of_columns_up_to_three_panels_is_right() {
    let mut random = Random(2);
    for columns in 1..=48 {
        let reference = Reference::random(&mut random, 36, columns, true);
        check_product(&reference, &random.floats(15 * 36, 1.0), 15, Activation::None);
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for (inner, columns) in [(384, 48), (1568, 33), (6, 16), (32_768, 2)] {
        for (even, odd) in [(64, 64), (127, 1), (-128, 0), (-64, -64), (127, -128), (-1, 127)] {
            let codes = (0..inner * columns).map(|at| if at / columns % 2 == 0 { even } else { odd }).collect();
            let reference = Reference::with_codes(codes, inner, columns);
            for x in
                [vec![1.0; 5 * inner], vec![-1.0; 5 * inner], vec![0.0; 5 * inner], support::alternating(5 * inner)]
            {
                check_product(&reference, &x, 5, Activation::None);
            }
        }
    }
}

#[test]
fn parts_of_the_columns_are_the_whole() {
    let mut random = Random(3);
    let (inner, columns, rows) = (100, 83, 9);
    let reference = Reference::random(&mut random, inner, columns, false);
    let packed = Aligned::new(&reference.pack());
    let x = random.floats(rows * inner, 1.0);
    for set in InstructionSet::available() {
        let product = Product::new(packed.bytes(), set).unwrap();
        let (mut whole, mut parted) = (vec![0.0; rows * columns], vec![f32::NAN; rows * columns]);
        product.run(&x, rows, &mut whole, Activation::Gelu);
        let mut quantized = Quantized::default();
        product.quantize(&x, rows, &mut quantized);
        for at in [0, 16, 48, 80] {
            let (left, right) = Output::new(&mut parted, rows, columns).split(at);
            std::thread::scope(|threads| {
                for part in [left, right] {
                    threads.spawn(|| product.multiply(&quantized, Activation::Gelu, part));
                }
            });
            support::assert_bits(&parted, &whole, &format!("{set}, parted at {at}"));
        }
    }
}

#[test]
fn a_row_depends_on_no_other_row() {
    let mut random = Random(4);
    let reference = Reference::random(&mut random, 64, 40, true);
    let packed = Aligned::new(&reference.pack());
    let x = random.floats(20 * 64, 1.0);
    for set in InstructionSet::available() {
        let product = Product::new(packed.bytes(), set).unwrap();
        let mut all = vec![0.0; 20 * 40];
        product.run(&x, 20, &mut all, Activation::None);
        for (x, expected) in x.chunks(64).zip(all.chunks(40)) {
            let mut one = vec![0.0; 40];
            product.run(x, 1, &mut one, Activation::None);
            support::assert_bits(&one, expected, &set.to_string());
        }
    }
}

fn check_attention(query: &[f32], keys_values: &[f32], hidden: usize, head_size: usize) {
    let (queries, keys) = (query.len() / hidden, keys_values.len() / (2 * hidden));
    let both = Matrix::new(keys_values, keys, 2 * hidden);
    let (key, value) = (both.columns(0..hidden), both.columns(hidden..2 * hidden));
    let query = Matrix::new(query, queries, hidden);
    let run = |set| {
        let mut out = vec![f32::NAN; queries * hidden];
        attention(set, query, key, value, head_size, Output::new(&mut out, queries, hidden));
        out
    };
    let scalar = run(InstructionSet::Scalar);
    let exact = support::attention(query, key, value, head_size);
    for (found, exact) in scalar.iter().zip(&exact) {
        assert!((f64::from(*found) - exact).abs() <= 2e-5 * exact.abs().max(1.0), "{found}, exactly {exact}");
    }
    for set in other_sets() {
        support::assert_bits(
            &run(set),
            &scalar,
            &format!("{set}, {queries} queries, {keys} keys, heads of {head_size}"),
        );
    }
}

#[test]
fn attention_of_1_to_33_rows_is_equal_to_the_bit() {
    let mut random = Random(5);
    for (heads, head_size) in [(3, 32), (2, 64), (2, 20), (1, 1), (2, 48), (1, 128)] {
        let hidden = heads * head_size;
        for rows in (1..=33).chain([127, 128, 129, 260]) {
            check_attention(
                &random.floats(rows * hidden, 2.0),
                &random.floats(2 * rows * hidden, 2.0),
                hidden,
                head_size,
            );
        }
        check_attention(&random.floats(hidden, 2.0), &random.floats(2 * 45 * hidden, 2.0), hidden, head_size);
    }
}

#[test]
fn attention_takes_off_the_maximum() {
    let mut random = Random(6);
    // Scores of some hundreds, as far apart as that.
    check_attention(&random.floats(20 * 64, 40.0), &random.floats(2 * 20 * 64, 20.0), 64, 32);
}

#[test]
fn heads_can_be_parted() {
    let mut random = Random(7);
    let (rows, hidden) = (19, 96);
    let qkv = random.floats(rows * 3 * hidden, 1.0);
    let all = Matrix::new(&qkv, rows, 3 * hidden);
    let [q, k, v] = [0, 1, 2].map(|part| all.columns(part * hidden..(part + 1) * hidden));
    for set in InstructionSet::available() {
        let (mut whole, mut parted) = (vec![0.0; rows * hidden], vec![0.0; rows * hidden]);
        attention(set, q, k, v, 32, Output::new(&mut whole, rows, hidden));
        let (left, right) = Output::new(&mut parted, rows, hidden).split(32);
        attention(set, q, k, v, 32, left);
        attention(set, q, k, v, 32, right);
        support::assert_bits(&parted, &whole, &set.to_string());
    }
}

#[test]
fn norms_of_any_width_are_equal_to_the_bit() {
    let mut random = Random(8);
    for hidden in (1..=70).chain([384, 768, 1000]) {
        for rows in [1, 2, 5] {
            let [x, residual] = [(); 2].map(|()| random.floats(rows * hidden, 5.0));
            let [gamma, beta] = [(); 2].map(|()| random.floats(hidden, 1.0));
            let run = |set| {
                let mut out = vec![f32::NAN; rows * hidden];
                norm_residual(set, &x, &residual, &gamma, &beta, 1e-12, &mut out);
                out
            };
            let scalar = run(InstructionSet::Scalar);
            if hidden > 2 {
                support::check_norm(&x, &residual, &gamma, &beta, &scalar);
            }
            for set in other_sets() {
                support::assert_bits(&run(set), &scalar, &format!("{set}, {hidden} channels"));
            }
        }
    }
}

#[test]
fn gelu_is_the_exact_one_to_a_millionth() {
    // One inner row of code 1, so that a row of the result is the gelu of the bias.
    let bias: Vec<f32> = (-60_000..60_000).map(|step| step as f32 / 5000.0).chain([-1e9, -100.0, 100.0, 1e9]).collect();
    let mut reference = Reference::with_codes(vec![0; bias.len()], 1, bias.len());
    reference.bias = bias.clone();
    let packed = Aligned::new(&reference.pack());
    for set in InstructionSet::available() {
        let mut out = vec![0.0; bias.len()];
        Product::new(packed.bytes(), set).unwrap().run(&[1.0], 1, &mut out, Activation::Gelu);
        for (x, found) in bias.iter().zip(out) {
            let exact = support::gelu(f64::from(*x));
            assert!(
                (f64::from(found) - exact).abs() <= 1e-6 * exact.abs().max(1.0),
                "{set}: gelu({x}) = {found}, exactly {exact}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn products_of_any_shape_are_equal_to_the_bit(
        seed in 1u64.., inner in 1usize..1200, columns in 1usize..70, rows in 0usize..20, scaled: bool, size in 0.0f32..1e4,
    ) {
        let mut random = Random(seed);
        let reference = Reference::random(&mut random, inner, columns, scaled);
        check_product(&reference, &random.floats(rows * inner, size), rows, Activation::None);
    }

    #[test]
    fn attention_of_any_shape_is_equal_to_the_bit(
        seed in 1u64.., heads in 1usize..4, head_size in 1usize..=128, queries in 0usize..30, keys in 1usize..300,
    ) {
        let (mut random, hidden) = (Random(seed), heads * head_size);
        check_attention(&random.floats(queries * hidden, 1.0), &random.floats(2 * keys * hidden, 1.0), hidden, head_size);
    }
}

#[test]
fn feed_forward_is_its_two_products() {
    let mut random = Random(9);
    let [up, down] =
        [(40, 100), (100, 24)].map(|(inner, columns)| Reference::random(&mut random, inner, columns, true).pack());
    let (up, down) = (Aligned::new(&up), Aligned::new(&down));
    for set in InstructionSet::available() {
        let [up, down] = [&up, &down].map(|packed| Product::new(packed.bytes(), set).unwrap());
        for rows in [0, 1, 56, 57, 130] {
            let x = random.floats(rows * 40, 1.0);
            let (mut between, mut expected, mut found) =
                (vec![0.0; rows * 100], vec![0.0; rows * 24], vec![0.0; rows * 24]);
            up.run(&x, rows, &mut between, Activation::Gelu);
            down.run(&between, rows, &mut expected, Activation::None);
            feed_forward(&up, &down, &x, rows, &mut found);
            support::assert_bits(&found, &expected, &format!("{set}, {rows} rows"));
        }
    }
}
