//! The best few of many.

use std::collections::BinaryHeap;

/// Keeps the `k` smallest of what is offered: for scored things, the best ones.
#[derive(Debug)]
pub(crate) struct Top<T> {
    k: usize,
    kept: BinaryHeap<T>,
}

impl<T: Ord> Top<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, kept: BinaryHeap::new() }
    }

    #[inline]
    pub(crate) fn offer(&mut self, item: T) {
        if self.kept.len() < self.k {
            self.kept.push(item);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && item < *worst
        {
            *worst = item;
        }
    }

    /// The worst that is kept, once there are `k`.
    pub(crate) fn worst(&self) -> Option<&T> {
        if self.kept.len() < self.k { None } else { self.kept.peek() }
    }

    pub(crate) fn into_sorted(self) -> Vec<T> {
        self.kept.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_few_are_the_head_of_the_sorted_list(items in prop::collection::vec(0u8..20, 0..60), k in 0usize..70) {
            let mut top = Top::new(k);
            items.iter().for_each(|&item| top.offer(item));
            let mut sorted = items;
            sorted.sort_unstable();
            sorted.truncate(k);
            prop_assert_eq!(top.into_sorted(), sorted);
        }
    }
}
