//! Which groups of a panel AVX2 may add up in 16 bits.
//!
//! AVX2 multiplies uint8 by int8 into sums of two in 16 bits (`vpmaddubsw`), which then have to be widened to 32
//! (`vpmaddwd`): two multiplications for 32 products. Where two groups are added before they are widened, three do for
//! 64, a third faster. Four codes are exact in 16 bits if the positive ones add up to 128 at most, and the negative
//! ones too: 255 * 128 < 2^15. Of two groups that follow one another this holds for a third to a half in real weights;
//! if groups with large codes are put beside groups with small ones, it holds for 97 to 100 %. So each panel has an
//! order of its own, chunk by chunk: pairs first, then the groups that are left over.

use crate::lanes::{CHUNK_GROUPS, Codes};

/// What codes may add up to without overflow, positive and negative ones apart.
pub const MOST: i32 = 128;

/// For each column and pair of inner rows of a group, the sum of positive codes and that of negative ones.
type Extent = [u8; 64];

/// The extents of one group, or nothing if a pair of rows already saturates.
pub fn extent(codes: &Codes) -> Option<Extent> {
    let mut extent = [0; 64];
    for (pair, to) in codes.chunks_exact(2).zip(extent.chunks_exact_mut(2)) {
        let sum = |sign: i32| pair.iter().map(|&code| (i32::from(code) * sign).max(0)).sum::<i32>();
        let sums = [sum(1), sum(-1)];
        if sums.iter().any(|&sum| sum > MOST) {
            return None;
        }
        to.copy_from_slice(&sums.map(|sum| sum as u8));
    }
    Some(extent)
}

fn fit(a: &Extent, b: &Extent) -> bool {
    a.iter().zip(b).all(|(&a, &b)| i32::from(a) + i32::from(b) <= MOST)
}

/// The order of one panel's groups, chunk by chunk: pairs, then single groups. Distances stand for groups, because small
/// numbers take little room in a package: that of a pair's first group from the pair before and of the second from the
/// first; of a single group from the single one before. Also how many pairs each chunk has.
///
/// The group that fits fewest others chooses first, and takes the nearest.
pub fn order(extents: &[Extent]) -> (Vec<u8>, Vec<u16>) {
    let (mut order, mut pairs) = (Vec::new(), Vec::new());
    for chunk in extents.chunks(CHUNK_GROUPS) {
        let fits: Vec<Vec<usize>> = (0..chunk.len())
            .map(|a| (0..chunk.len()).filter(|&b| a != b && fit(&chunk[a], &chunk[b])).collect())
            .collect();
        let mut turns: Vec<usize> = (0..chunk.len()).collect();
        turns.sort_by_key(|&group| (fits[group].len(), group));
        let mut partner = vec![None; chunk.len()];
        for &a in &turns {
            if partner[a].is_none()
                && let Some(&b) = fits[a].iter().filter(|&&b| partner[b].is_none()).min_by_key(|&&b| a.abs_diff(b))
            {
                (partner[a], partner[b]) = (Some(b), Some(a));
            }
        }
        let first = |&group: &usize| partner[group].is_some_and(|other| group < other);
        let firsts: Vec<usize> = (0..chunk.len()).filter(first).collect();
        for (step, &group) in steps(firsts.iter().copied()).zip(&firsts) {
            order.extend([step, (partner[group].unwrap_or(group) - group) as u8]);
        }
        order.extend(steps((0..chunk.len()).filter(|&group| partner[group].is_none())));
        pairs.push(firsts.len() as u16);
    }
    (order, pairs)
}

/// How far each group is from the one before, the first from 0.
fn steps(groups: impl Iterator<Item = usize>) -> impl Iterator<Item = u8> {
    groups.scan(0, |before, group| Some((group - std::mem::replace(before, group)) as u8))
}
