//! Which rows run together.

/// Rows of one run of the graph, by their place in the caller's order, and the length that they are padded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) rows: Vec<usize>,
    pub(super) len: usize,
}

/// Sorts rows by length and cuts them into batches of at most `max_rows` rows and `max_tokens` places.
///
/// The longest come first, so that memory reaches its peak at once and is not grown again and again. Rows of equal
/// length keep the caller's order. A row that is longer than `max_tokens` is a batch by itself.
pub(super) fn plan(lengths: &[usize], max_rows: usize, max_tokens: usize) -> Vec<Batch> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
    let mut batches: Vec<Batch> = Vec::new();
    for row in order {
        match batches.last_mut() {
            Some(batch)
                if batch.rows.len() < max_rows && batch.len.saturating_mul(batch.rows.len() + 1) <= max_tokens =>
            {
                batch.rows.push(row);
            }
            _ => batches.push(Batch { rows: vec![row], len: lengths[row] }),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_runs_once_within_the_bounds(
            lengths in prop::collection::vec(1_usize..300, 0..200),
            max_rows in 1_usize..40,
            max_tokens in 1_usize..2000,
        ) {
            let batches = plan(&lengths, max_rows, max_tokens);
            let mut seen: Vec<usize> = batches.iter().flat_map(|batch| batch.rows.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(batch.rows.len() <= max_rows);
                prop_assert!(batch.rows.len() == 1 || batch.rows.len() * batch.len <= max_tokens);
                prop_assert_eq!(batch.rows.iter().map(|&row| lengths[row]).max(), Some(batch.len));
            }
        }

        // Of full batches only: a last, smaller one can fall where it saves less.
        #[test]
        fn sorting_never_pads_more_than_the_order_of_arrival(
            chunks in prop::collection::vec(prop::array::uniform8(1_usize..300), 1..25),
        ) {
            let lengths = chunks.concat();
            let arrival: usize = chunks.iter().map(|chunk| 8 * chunk.iter().max().expect("eight")).sum();
            let sorted: usize = plan(&lengths, 8, usize::MAX).iter().map(|batch| batch.rows.len() * batch.len).sum();
            prop_assert!(sorted <= arrival);
        }
    }

    #[test]
    fn equal_lengths_keep_their_order() {
        let batches = plan(&[3, 5, 3, 5, 3], 2, 100);
        let rows: Vec<_> = batches.into_iter().map(|batch| batch.rows).collect();
        assert_eq!(rows, [vec![1, 3], vec![0, 2], vec![4]]);
    }
}
