//! BM25 over one user's history.

use hydra_retrieval::{Bm25, Bm25Params, Filter, Query, Retriever, Scratch, Tags};
use hydra_types::{RecordId, Time};

use crate::data::Source;
use crate::{Report, micros_each};

const RECORDS: usize = 200;

pub(crate) fn measure(report: &mut Report) {
    let mut source = Source::new(1);
    // A word's chance falls with its rank, as in real texts.
    let mut text = |words: usize| -> String {
        let mut word = || format!("w{}", source.below(70) * source.below(70));
        (0..words).map(|_| word() + " ").collect()
    };
    let mut index = Bm25::new(Bm25Params::default());
    for id in 0..RECORDS as u64 {
        index.add(RecordId::new(id), Time::from_unix_millis(0), Tags::NONE, &text(60)).unwrap();
    }
    let queries: Vec<String> = (0..200).map(|_| text(30)).collect();
    let mut scratch = Scratch::new();
    let each = micros_each(20, queries.len(), || {
        for query in &queries {
            let found = index.search(&Query::new().text(query), 10, &Filter::all(), &mut scratch).unwrap();
            assert_eq!(found.len(), 10);
        }
    });
    report.key("bm25_us", each);
}
