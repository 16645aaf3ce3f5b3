//! What is refused and how, and that nothing is read or written beyond a slice.

mod support;

use kernels::{Activation, InstructionSet, Matrix, Output, Product, VERSION, Weights, attention, norm_residual, pack};
use support::{Aligned, Random, Reference};

fn reason(weights: &Weights<'_>) -> String {
    pack(weights).unwrap_err().to_string()
}

#[test]
fn codes_that_could_saturate_are_refused() {
    for (even, odd, fits) in
        [(127, 1, true), (127, 2, false), (-128, 0, true), (-128, -1, false), (-128, 127, true), (64, 65, false)]
    {
        let reference = Reference::with_codes([0, even, 0, odd].to_vec(), 2, 2);
        match pack(&reference.weights()) {
            Ok(_) => assert!(fits, "{even}, {odd}"),
            Err(error) => {
                assert!(!fits, "{even}, {odd}");
                assert_eq!(
                    error.to_string(),
                    "codes could saturate: two of the inner rows 0 to 3 add up to more than 128 in a column"
                );
            }
        }
    }
    // Neighbours in different pairs may be large.
    pack(&Reference::with_codes([0, 127, 127, 0].to_vec(), 4, 1).weights()).unwrap();
}

#[test]
fn sizes_that_do_not_fit_are_refused_when_packing() {
    let reference = Reference::random(&mut Random(1), 8, 3, true);
    let weights = reference.weights();
    assert_eq!(reason(&Weights { inner: 9, ..weights }), "a product of 9 x 3 has 27 codes, not 24");
    assert_eq!(reason(&Weights { scales: &[1.0; 2], ..weights }), "a product of 8 x 3 has 3 scales, not 2");
    assert_eq!(reason(&Weights { bias: &[], ..weights }), "a product of 8 x 3 has 3 biases, not 0");
    assert_eq!(
        reason(&Weights { input_scale: Some(&[1.0]), ..weights }),
        "a product of 8 x 3 has 8 input scales, not 1"
    );
    assert!(reason(&Weights { inner: 0, codes: &[], ..weights }).contains("1 to 32768 inner rows"));
}

#[test]
fn damaged_packed_weights_are_refused() {
    let good = Reference::random(&mut Random(2), 600, 20, false).pack();
    let refused = |bytes: &[u8]| match Product::new(Aligned::new(bytes).bytes(), InstructionSet::Scalar) {
        Ok(_) => panic!("it is taken"),
        Err(error) => error.to_string(),
    };
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert!(refused(&[]).contains("no packed weights"));
    assert!(refused(&good[..63]).contains("no packed weights"));
    assert!(refused(&changed(0, b'x')).contains("no packed weights"));
    assert_eq!(
        refused(&changed(8, 99)),
        format!("packed weights of version 99, and this program knows version {VERSION}: pack them anew")
    );
    assert!(refused(&changed(20, 7)).contains("unknown field"));
    assert!(refused(&changed(40, 1)).contains("unknown field"));
    assert!(refused(&changed(12, 0)).contains("have"));
    assert!(refused(&changed(15, 0xff)).contains("inner rows"));
    assert!(refused(&good[..good.len() - 64]).contains("bytes, not"));
    assert!(refused(&[&good[..], &[0; 64]].concat()).contains("bytes, not"));
    // Two panels of 150 groups, in chunks of 128 and 22, follow the codes: pairs, then the order.
    let pairs = 64 + 2 * 150 * 64;
    assert!(refused(&changed(pairs, 65)).contains("damaged"));
    assert!(refused(&changed(pairs + 2, 12)).contains("damaged"));
    assert!(refused(&changed(pairs + 64, 128)).contains("damaged"));
    assert!(refused(&changed(pairs + 64 + 128, 22)).contains("damaged"));
    let shifted = [&[0; 4][..], &good].concat();
    let memory = Aligned::new(&shifted);
    let error = Product::new(&memory.bytes()[4..], InstructionSet::Scalar).err().unwrap();
    assert_eq!(error.to_string(), "packed weights have to begin at a multiple of 64 bytes in memory");
}

#[test]
fn names_are_those_of_the_sets() {
    for set in InstructionSet::ALL {
        assert_eq!(set.name().parse(), Ok(set));
        assert_eq!(set.is_available(), InstructionSet::available().any(|found| found == set));
    }
    assert!("avx".parse::<InstructionSet>().unwrap_err().contains("`avx` is none of scalar, neon, avx2"));
    assert!(InstructionSet::best().is_available());
}

fn panics(run: impl FnOnce() + std::panic::UnwindSafe) {
    assert!(std::panic::catch_unwind(run).is_err());
}

#[test]
fn wrong_shapes_panic() {
    let packed = Aligned::new(&Reference::random(&mut Random(3), 8, 40, false).pack());
    let set = InstructionSet::best();
    let product = Product::new(packed.bytes(), set).unwrap();
    panics(|| product.run(&[0.0; 15], 2, &mut [0.0; 80], Activation::None));
    panics(|| product.run(&[0.0; 16], 2, &mut [0.0; 79], Activation::None));
    panics(|| product.run(&[0.0; 16], 2, &mut [0.0; 120], Activation::None));
    panics(|| {
        let mut out = [0.0; 40];
        let (left, _) = Output::new(&mut out, 1, 40).split(17);
        let mut x = Default::default();
        product.quantize(&[0.0; 8], 1, &mut x);
        product.multiply(&x, Activation::None, left);
    });
    panics(|| norm_residual(set, &[0.0; 8], &[0.0; 8], &[1.0; 3], &[0.0; 3], 0.0, &mut [0.0; 8]));
    panics(|| norm_residual(set, &[0.0; 8], &[0.0; 4], &[1.0; 4], &[0.0; 4], 0.0, &mut [0.0; 8]));
    panics(|| norm_residual(set, &[0.0; 8], &[0.0; 8], &[1.0; 4], &[0.0; 3], 0.0, &mut [0.0; 8]));
    let x = [0.0; 16];
    let wide = Matrix::new(&x, 2, 8);
    panics(|| attention(set, wide, wide, wide, 3, Output::new(&mut [0.0; 16], 2, 8)));
    panics(|| attention(set, wide, wide, wide, 4, Output::new(&mut [0.0; 8], 1, 8)));
    panics(|| attention(set, wide, Matrix::new(&x, 4, 4), wide, 4, Output::new(&mut [0.0; 16], 2, 8)));
    panics(|| attention(set, wide, wide, Matrix::new(&x[..8], 1, 8), 4, Output::new(&mut [0.0; 16], 2, 8)));
    panics(|| attention(set, wide, wide, wide, 0, Output::new(&mut [0.0; 16], 2, 8)));
    panics(|| assert_eq!(Matrix::new(&x, 2, 8).columns(4..9).rows(), 2));
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_beyond_a_slice_is_read_or_written() {
    use support::Guarded;
    let mut random = Random(4);
    for (inner, columns) in [(384, 48), (5, 17), (520, 33)] {
        let reference = Reference::random(&mut random, inner, columns, true);
        let packed = Guarded::bytes(&reference.pack());
        for rows in [1, 2, 3, 6, 7, 14, 15, 29] {
            for set in InstructionSet::available() {
                let x = Guarded::floats(&random.floats(rows * inner, 1.0));
                let mut out = Guarded::floats(&vec![0.0; rows * columns]);
                Product::new(packed.as_bytes(), set).unwrap().run(
                    x.as_floats(),
                    rows,
                    out.as_floats_mut(),
                    Activation::Gelu,
                );
                let [gamma, beta] = [(); 2].map(|()| Guarded::floats(&random.floats(inner, 1.0)));
                let mut normed = Guarded::floats(&vec![0.0; rows * inner]);
                norm_residual(
                    set,
                    x.as_floats(),
                    x.as_floats(),
                    gamma.as_floats(),
                    beta.as_floats(),
                    1e-6,
                    normed.as_floats_mut(),
                );
                let hidden = 44;
                let qkv = Guarded::floats(&random.floats(rows * 3 * hidden, 1.0));
                let all = Matrix::new(qkv.as_floats(), rows, 3 * hidden);
                let [q, k, v] = [0, 1, 2].map(|part| all.columns(part * hidden..(part + 1) * hidden));
                let mut context = Guarded::floats(&vec![0.0; rows * hidden]);
                attention(set, q, k, v, 22, Output::new(context.as_floats_mut(), rows, hidden));
            }
        }
    }
}
