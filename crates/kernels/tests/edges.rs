//! What is refused, and how.

mod support;

use std::io::Write;

use fastrand::Rng;
use kernels::{Activation, InstructionSet, Output, Product, VERSION, Weights, attention, norm_residual, pack};
use support::{Guarded, Reference};

fn reason(weights: &Weights<'_>) -> String {
    pack(weights).unwrap_err().to_string()
}

#[test]
fn codes_that_could_saturate_are_refused() {
    for (even, odd, fits) in
        [(127, 1, true), (127, 2, false), (-128, 0, true), (-128, -1, false), (-128, 127, true), (64, 65, false)]
    {
        let found = pack(&Reference::with_codes([vec![0; 8], vec![0, even, 0, odd]].concat(), 6, 2).weights())
            .map_err(|error| error.to_string());
        let error = "codes could saturate: two of the inner rows 4 to 7 add up to more than 128 in a column";
        assert_eq!(found.err(), (!fits).then(|| error.into()), "{even}, {odd}");
    }
    // Neighbours in different pairs may be large.
    pack(&Reference::with_codes([0, 127, 127, 0].to_vec(), 4, 1).weights()).unwrap();
}

#[test]
fn sizes_that_do_not_fit_are_refused_when_packing() {
    let reference = Reference::random(&mut Rng::with_seed(1), 8, 3);
    let weights = reference.weights();
    assert_eq!(reason(&Weights { inner: 9, ..weights }), "a product of 9 x 3 has 27 codes, not 24");
    assert_eq!(reason(&Weights { scales: &[1.0; 2], ..weights }), "a product of 8 x 3 has 3 scales, not 2");
    assert_eq!(reason(&Weights { bias: &[], ..weights }), "a product of 8 x 3 has 3 biases, not 0");
    assert_eq!(reason(&Weights { input_scale: &[1.0], ..weights }), "a product of 8 x 3 has 8 input scales, not 1");
    assert!(reason(&Weights { inner: 0, codes: &[], ..weights }).contains("1 to 32768 inner rows"));
}

#[test]
fn damaged_packed_weights_are_refused() {
    let good = Reference::random(&mut Rng::with_seed(2), 600, 20).pack();
    let refused = |bytes: &[u8]| Product::new(&Guarded::new(bytes), InstructionSet::Scalar).err().unwrap().to_string();
    let changed = |at: usize, value: u8| [&good[..at], &[value], &good[at + 1..]].concat();
    assert!(refused(&[]).contains("no packed weights"));
    assert!(refused(&good[..63]).contains("no packed weights"));
    assert!(refused(&changed(0, b'x')).contains("no packed weights"));
    assert!(refused(&changed(8, 99)).contains(&format!("version 99, where this program knows {VERSION}: pack anew")));
    assert!(refused(&changed(20, 1)).contains("unknown field"));
    assert!(refused(&changed(40, 1)).contains("unknown field"));
    assert!(refused(&changed(12, 0)).contains("have"));
    assert!(refused(&changed(15, 0xff)).contains("inner rows"));
    assert!(refused(&good[..good.len() - 64]).contains("bytes, not"));
    assert!(refused(&[&good[..], &[0; 64]].concat()).contains("bytes, not"));
    // An order that leads out of the weights, which have two panels of 150 groups: AVX2 stays within them.
    let mut lost = good.to_vec();
    lost[64 + 2 * 150 * 64..][..64 + 2 * 150].fill(0xff);
    for set in InstructionSet::available() {
        Product::new(&Guarded::new(&lost), set).unwrap().run(&[1.0; 600], 1, &mut [0.0; 20], Activation::None);
    }
    let shifted = Guarded::new(&[&good[..], &[0; 4]].concat());
    let error = Product::new(&shifted[..good.len()], InstructionSet::Scalar).err().unwrap();
    assert_eq!(error.to_string(), "packed weights have to begin at a multiple of 64 bytes in memory");
}

#[test]
fn sets_are_those_that_the_machine_has() {
    #[cfg(target_arch = "x86_64")]
    let has = {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let vnni = avx2 && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni");
        let avx512 = vnni && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq");
        [true, false, avx2, vnni || avx2 && is_x86_feature_detected!("avxvnni"), avx512]
    };
    #[cfg(target_arch = "aarch64")]
    let has = [true, std::arch::is_aarch64_feature_detected!("dotprod"), false, false, false];
    for (set, has) in InstructionSet::ALL.into_iter().zip(has) {
        assert_eq!(set.is_available(), has, "{set}");
        if !has {
            // Past the test's captured output, for whoever wants to know what ran.
            writeln!(std::io::stderr(), "kernels: this machine lacks {set}, which is not tested").unwrap();
        }
        assert_eq!(set.to_string().parse(), Ok(set));
    }
    assert!("avx".parse::<InstructionSet>().unwrap_err().contains("`avx` is none of scalar, neon, avx2"));
    assert_eq!(InstructionSet::best(), InstructionSet::available().last().unwrap());
}

fn panics(run: impl FnOnce() + std::panic::UnwindSafe) {
    assert!(std::panic::catch_unwind(run).is_err());
}

#[test]
fn wrong_shapes_panic() {
    let packed = Reference::random(&mut Rng::with_seed(3), 8, 40).pack();
    let set = InstructionSet::best();
    let product = Product::new(&packed, set).unwrap();
    for (x, out) in [(15, 80), (16, 79), (16, 120)] {
        panics(|| product.run(&[0.0; 16][..x], 2, &mut [0.0; 120][..out], Activation::None));
    }
    for set in InstructionSet::available() {
        panics(|| {
            let mut out = [0.0; 40];
            let mut x = Default::default();
            Product::new(&packed, set).unwrap().quantize(&[0.0; 8], 1, &mut x);
            // Another set's codes, or columns that begin within a panel.
            let at = if set == InstructionSet::best() { 17 } else { 16 };
            product.multiply(&x, Activation::None, Output::new(&mut out, 1, 40).split(at).0);
        });
    }
    let values = [0.0; 48];
    for (x, residual, gamma, beta) in [(8, 8, 3, 3), (8, 4, 4, 4), (8, 8, 4, 3), (0, 0, 0, 0), (4, 4, 4, 4)] {
        let [x, residual, gamma, beta] = [x, residual, gamma, beta].map(|count| &values[..count]);
        panics(|| norm_residual(set, x, residual, gamma, beta, 0.0, &mut [0.0; 8]));
    }
    // A third row of two, a part of a head, heads of no channel and of too many, no rows, a part of a row, no channels.
    for (values_of, hidden, size, rows) in
        [(48, 8, 4, 3), (48, 8, 3, 2), (48, 8, 0, 2), (48, 8, 16, 2), (0, 8, 4, 0), (47, 8, 4, 1), (48, 0, 4, 0)]
    {
        panics(|| {
            let out = &mut [0.0; 24][..rows * hidden];
            attention(set, &values[..values_of], hidden, size, Output::new(out, rows, hidden));
        });
    }
    panics(|| attention(set, &[0.0; 3 * 129], 129, 129, Output::new(&mut [0.0; 129], 1, 129)));
    panics(|| _ = Output::new(&mut [0.0; 8], 1, 8).split(9));
    panics(|| _ = Output::new(&mut [], 1 << 63, 2));
}
