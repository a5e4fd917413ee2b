//! Many users with a hundred records each, and what one global index with a user filter makes of it.

use std::hint::black_box;
use std::time::Instant;

use hydra_retrieval::{Entry, Filter, History, HistoryParams, Query, Retriever, Scratch};
use hydra_types::{Record, RecordId, Scope, Time, UserId};

use crate::data::{DIMENSIONS, Source, nearest};
use crate::{Args, Report, direct, micros_each, recall};

const RECORDS: usize = 100;
const K: usize = 10;

pub(crate) fn measure(args: &Args, report: &mut Report) {
    let mut source = Source::new(2);
    let topics: Vec<Vec<f32>> = (0..50).map(|_| source.latent()).collect();
    let near_a_topic = |source: &mut Source| {
        let topic = source.below(topics.len());
        source.vector(&topics[topic], 0.7)
    };
    let vectors: Vec<Vec<f32>> = (0..args.users * RECORDS).map(|_| near_a_topic(&mut source)).collect();
    let queries: Vec<Vec<f32>> = (0..args.users).map(|_| near_a_topic(&mut source)).collect();
    let of_user =
        |user: usize| (0u64..).zip(&vectors).skip(user * RECORDS).take(RECORDS).map(|(id, v)| (id, v.as_slice()));
    let truth: Vec<Vec<u64>> = queries.iter().enumerate().map(|(user, q)| nearest(q, of_user(user), K)).collect();

    let scopes: Vec<Scope> = (1..).take(args.users).map(|user| Scope::acting_for(UserId::new(user))).collect();
    let histories: Vec<History> = scopes
        .iter()
        .enumerate()
        .map(|(user, scope)| {
            let entry = |(id, vector): (u64, &[f32])| {
                Entry::new(Record::new(RecordId::new(id), Time::from_unix_millis(0), "", ""), vector.to_vec())
            };
            let mut history = History::new(scope, DIMENSIONS, HistoryParams::default()).unwrap();
            history.append(scope, of_user(user).map(entry).collect()).unwrap();
            history
        })
        .collect();

    // Three rounds over all users: each finds the caches full of other users, and the shortest of its times leaves out
    // what other programs took.
    let mut scratch = Scratch::new();
    let mut times = vec![f64::INFINITY; args.users];
    let mut found = vec![Vec::new(); args.users];
    for _ in 0..3 {
        for user in 0..args.users {
            let start = Instant::now();
            let view = histories[user].view(&scopes[user]).unwrap();
            let best =
                view.nearest().search(&Query::new().vector(&queries[user]), K, &Filter::all(), &mut scratch).unwrap();
            times[user] = times[user].min(start.elapsed().as_secs_f64() * 1e6);
            found[user] = best.into_iter().map(|scored| scored.id.get()).collect();
        }
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    times.sort_by(f64::total_cmp);
    report.key("user_recall", recall(&found, &truth));
    report.key("user_p50_us", times[times.len() / 2]);
    report.key("user_p99_us", times[times.len() * 99 / 100]);

    let flat: Vec<u32> = vectors.iter().flatten().map(|v| v.to_bits()).collect();
    let read = micros_each(3, args.users, || {
        for block in flat.chunks(RECORDS * DIMENSIONS) {
            black_box(block.iter().fold(0u32, |sum, &word| sum.wrapping_add(word)));
        }
    });
    report.line(&format!("a plain read of the same vectors: {read:.2} us a user; a search {mean:.2} us"));
    report.key("user_share_of_memory_limit", read / mean);
    drop((histories, flat));

    let users = args.filtered_users.min(args.users);
    let hnsw = direct::build(&vectors[..users * RECORDS]);
    let asked = users.min(100);
    let mut found = vec![Vec::new(); asked];
    let each = micros_each(1, asked, || {
        for (user, found) in found.iter_mut().enumerate() {
            let own = user * RECORDS..(user + 1) * RECORDS;
            let filter = |id: &usize| own.contains(id);
            let best = hnsw.search_filter(&queries[user], K, 64, Some(&filter));
            *found = best.into_iter().map(|neighbour| neighbour.d_id as u64).collect();
        }
    });
    report.line(&format!("one global hnsw_rs with a user filter, {users} users x {RECORDS} records, ef 64:"));
    report.key("filtered_hnsw_recall", recall(&found, &truth[..asked]));
    report.key("filtered_hnsw_us", each);
}
