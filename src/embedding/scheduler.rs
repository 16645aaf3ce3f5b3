//! Which sequence runs next.
//!
//! ```text
//! a new batch  ->  fresh ──┐
//!                          ├─> one sequence  ──> if more are left: the end of the ring
//!                  ring  ──┘
//! ```
//!
//! Fresh batches go first. Between two sequences of the ring, though, only so many fresh batches run that every batch
//! gets an equal share, and at least one. Invariants:
//! - beside one long list, a new single text waits for the runs under way and for nothing else;
//! - a long list advances however many single texts arrive: with as many fresh batches as batches in the ring, every
//!   second sequence is the ring's;
//! - within a batch the longest sequence runs first, so that no worker ends alone with the longest one.

use std::collections::VecDeque;

/// A request's sequences that have not started; its workers share a `T`.
pub struct Batch<T> {
    /// Longest last, so that `pop` takes the longest.
    waiting: Vec<(usize, Vec<u32>)>,
    pub shared: T,
}

impl<T> Batch<T> {
    pub fn new(sequences: Vec<Vec<u32>>, shared: T) -> Self {
        let mut waiting: Vec<_> = sequences.into_iter().enumerate().collect();
        // `pop` takes from the end. The sort is stable, so reversing first keeps equal lengths in order.
        waiting.reverse();
        waiting.sort_by_key(|(_, ids)| ids.len());
        Self { waiting, shared }
    }

    fn tokens(&self) -> usize {
        self.waiting.iter().map(|(_, ids)| ids.len()).sum()
    }
}

/// Batches that wait, in the order of their turns.
pub struct Queue<T> {
    fresh: VecDeque<Batch<T>>,
    ring: VecDeque<Batch<T>>,
    /// How many fresh batches may start before the ring's next sequence.
    fresh_turns: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { fresh: VecDeque::new(), ring: VecDeque::new(), fresh_turns: 1 }
    }
}

impl<T: Clone> Queue<T> {
    pub fn push(&mut self, batch: Batch<T>) {
        self.fresh.push_back(batch);
    }

    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.ring.is_empty()
    }

    /// The next sequence: its index in its batch, its ids, and the batch's shared value. Batches that are no longer
    /// `wanted` are dropped.
    pub fn pop(&mut self, wanted: impl Fn(&T) -> bool) -> Option<(usize, Vec<u32>, T)> {
        loop {
            let from_fresh = !self.fresh.is_empty() && (self.ring.is_empty() || self.fresh_turns > 0);
            let mut batch = if from_fresh { self.fresh.pop_front() } else { self.ring.pop_front() }?;
            if !wanted(&batch.shared) {
                continue;
            }
            let Some((index, ids)) = batch.waiting.pop() else { continue };
            let shared = batch.shared.clone();
            let contested = !self.ring.is_empty();
            if !batch.waiting.is_empty() {
                self.ring.push_back(batch);
            }
            if from_fresh {
                self.fresh_turns -= usize::from(contested);
            } else {
                self.fresh_turns = self.fresh.len().div_ceil(self.ring.len().max(1)).max(1);
            }
            return Some((index, ids, shared));
        }
    }

    /// The tokens that run before a new batch of `tokens` tokens ends, its own included. Batches take turns, so each
    /// other batch runs about as many tokens as the new one.
    pub fn tokens_until(&self, tokens: usize) -> usize {
        let others = self.fresh.iter().chain(&self.ring);
        tokens + others.map(|batch| batch.tokens().min(tokens)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(name: char, sequences: usize) -> Batch<char> {
        Batch::new(vec![vec![1; 4]; sequences], name)
    }

    fn order(queue: &mut Queue<char>, count: usize) -> String {
        (0..count).map_while(|_| queue.pop(|_| true)).map(|(_, _, name)| name).collect()
    }

    #[test]
    fn a_single_text_is_next_after_the_runs_under_way() {
        let mut queue = Queue::default();
        queue.push(batch('L', 2_048));
        for runs in ["L", "LLLLLLL", "L", "LL"] {
            assert_eq!(order(&mut queue, runs.len()), runs);
            queue.push(batch('s', 1));
            assert_eq!(order(&mut queue, 1), "s");
        }
    }

    #[test]
    fn a_list_goes_on_however_many_single_texts_arrive() {
        let mut queue = Queue::default();
        queue.push(batch('L', 100));
        let mut taken = String::new();
        for _ in 0..100 {
            queue.push(batch('s', 1));
            queue.push(batch('s', 1));
            taken += &order(&mut queue, 2);
        }
        // The single texts pile up, and still get no more than their share.
        let list = taken.matches('L').count();
        assert!((5..=100).contains(&list), "{list} of {}", taken.len());
    }

    #[test]
    fn lists_take_turns() {
        let mut queue = Queue::default();
        queue.push(batch('A', 4));
        queue.push(batch('B', 4));
        let taken = order(&mut queue, 8);
        assert_eq!((taken.matches('A').count(), taken.matches('B').count()), (4, 4));
        assert!(!taken.contains("AAA") && !taken.contains("BBB"), "{taken}");
    }

    #[test]
    fn the_longest_sequence_comes_first_and_equal_ones_in_their_order() {
        let mut queue = Queue::default();
        queue.push(Batch::new(vec![vec![1; 2], vec![1; 9], vec![1; 2], vec![1; 4]], 'A'));
        let indices: Vec<_> = std::iter::from_fn(|| queue.pop(|_| true)).map(|(index, ..)| index).collect();
        assert_eq!(indices, [1, 3, 0, 2]);
    }

    #[test]
    fn what_is_ahead_is_counted_by_turns() {
        let mut queue = Queue::default();
        assert_eq!(queue.tokens_until(10), 10);
        queue.push(batch('A', 100));
        queue.push(batch('B', 1));
        assert_eq!(queue.tokens_until(10), 10 + 10 + 4);
    }
}
