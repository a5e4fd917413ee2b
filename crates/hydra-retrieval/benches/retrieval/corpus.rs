//! One large corpus: `hnsw_rs` called directly, our index, and the exact scan.

use std::path::Path;

use hydra_retrieval::{Filter, HnswIndex, HnswParams, Item, Scratch};
use hydra_types::RecordId;
use plotters::prelude::*;

use crate::data::{DIMENSIONS, Source, nearest};
use crate::{Args, Report, cpu_seconds, direct, micros_each, recall};

const K: usize = 10;
const WIDTHS: [usize; 9] = [10, 16, 24, 32, 48, 64, 96, 128, 256];
/// That of `HnswParams::default()`.
const DEFAULT_WIDTH: usize = 128;
const TARGET: f64 = 0.98;

pub(crate) fn measure(args: &Args, report: &mut Report) {
    let mut source = Source::new(3);
    let vectors = source.vectors(args.corpus);
    let queries = source.vectors(args.queries);
    let rows = || (0u64..).zip(vectors.iter().map(Vec::as_slice));
    let truth: Vec<Vec<u64>> = queries.iter().map(|query| nearest(query, rows(), K)).collect();
    report.line(&format!("{} vectors and the truth about {} queries", vectors.len(), queries.len()));

    build_times(args, &vectors, report);

    let start = cpu_seconds();
    let mut index = index_of(&vectors);
    report.line(&format!("our build of {}: {:.1} CPU s", vectors.len(), cpu_seconds() - start));
    let mut scratch = Scratch::new();
    let exact_us = exact_micros(&index, &queries, &mut scratch);
    report.line(&format!("exact: recall 1.0000, {exact_us:.1} us"));
    let ours = WIDTHS.map(|width| {
        index.set_ef_search(width).unwrap();
        let (found, each) = searched(&index, &queries, &mut scratch);
        let recall = recall(&found, &truth);
        report.line(&format!("ours: ef {width}, recall {recall:.4}, {each:.1} us"));
        [recall, each]
    });
    drop(index);

    let start = cpu_seconds();
    let hnsw = direct::build(&vectors);
    report.line(&format!("hnsw_rs' build of {}: {:.1} CPU s", vectors.len(), cpu_seconds() - start));
    let theirs = WIDTHS.map(|width| {
        let mut found = Vec::new();
        let each = micros_each(2, queries.len(), || {
            let search = |query: &Vec<f32>| hnsw.search(query, K, width).iter().map(|n| n.d_id as u64).collect();
            found = queries.iter().map(search).collect();
        });
        let recall = recall(&found, &truth);
        report.line(&format!("hnsw_rs: ef {width}, recall {recall:.4}, {each:.1} us"));
        [recall, each]
    });
    drop(hnsw);
    let speedup = match (micros_at(&theirs, TARGET), micros_at(&ours, TARGET)) {
        (Some(theirs), Some(ours)) => theirs / ours,
        _ => f64::NAN,
    };
    report.key("hnsw_speedup_at_98", speedup);
    let by_default = WIDTHS.iter().position(|&width| width == DEFAULT_WIDTH).expect("it is one of them");
    crossover(args, &vectors, &queries, [vectors.len() as f64, exact_us, ours[by_default][1]], report);
}

fn build_times(args: &Args, vectors: &[Vec<f32>], report: &mut Report) {
    let sample = &vectors[..args.build.min(vectors.len())];
    let start = cpu_seconds();
    drop(index_of(sample));
    let ours = cpu_seconds() - start;
    let start = cpu_seconds();
    drop(direct::build(sample));
    let theirs = cpu_seconds() - start;
    report.line(&format!("build of {}: ours {ours:.2} CPU s, hnsw_rs {theirs:.2}", sample.len()));
    report.key("hnsw_build_ratio", ours / theirs);
}

/// Where the exact scan stops being faster than the graph with its default width. `largest` was measured already.
fn crossover(args: &Args, vectors: &[Vec<f32>], queries: &[Vec<f32>], largest: [f64; 3], report: &mut Report) {
    let sizes = [100, 300, 1000, 3000, 6000, 10_000, 20_000].into_iter().filter(|&n| n < args.corpus);
    let mut scratch = Scratch::new();
    let mut points: Vec<[f64; 3]> = sizes
        .map(|n| {
            let index = index_of(&vectors[..n]);
            let exact = exact_micros(&index, queries, &mut scratch);
            let (found, graph) = searched(&index, queries, &mut scratch);
            let rows = || (0u64..).zip(vectors[..n].iter().map(Vec::as_slice));
            let truth: Vec<Vec<u64>> = queries.iter().take(100).map(|query| nearest(query, rows(), K)).collect();
            let recall = recall(&found, &truth);
            report.line(&format!("{n} records: exact {exact:.1} us, by the graph {graph:.1} us at recall {recall:.4}"));
            [n as f64, exact, graph]
        })
        .collect();
    points.push(largest);
    // Between the last size at which exact is not slower and the next, on straight lines of logarithms.
    let last = points.iter().rposition(|&[_, exact, graph]| exact <= 1.05 * graph).unwrap_or(0);
    let until = match points.get(last + 1) {
        Some(&[n2, e2, g2]) => {
            let [n1, e1, g1] = points[last];
            let (d1, d2) = ((g1 / e1).ln().max(0.0), (e2 / g2).ln());
            (n1.ln() + (n2 / n1).ln() * d1 / (d1 + d2)).exp()
        }
        None => points[last][0],
    };
    report.key("exact_until", until.round());
    draw(&args.plot, &points).unwrap();
    report.line(&format!(
        "exact scan and graph from {} to {} records: {}",
        points[0][0],
        args.corpus,
        args.plot.display()
    ));
}

fn index_of(vectors: &[Vec<f32>]) -> HnswIndex {
    let items: Vec<Item<'_>> = (0..).zip(vectors).map(|(id, vector)| Item::new(RecordId::new(id), vector)).collect();
    HnswIndex::build(DIMENSIONS, &items, HnswParams::default()).unwrap()
}

fn searched(index: &HnswIndex, queries: &[Vec<f32>], scratch: &mut Scratch) -> (Vec<Vec<u64>>, f64) {
    let mut found = Vec::new();
    let each = micros_each(4, queries.len(), || {
        found.clear();
        for query in queries {
            let best = index.search(query, K, &Filter::all(), scratch).unwrap();
            found.push(best.iter().map(|scored| scored.id.get()).collect());
        }
    });
    (found, each)
}

fn exact_micros(index: &HnswIndex, queries: &[Vec<f32>], scratch: &mut Scratch) -> f64 {
    micros_each(3, queries.len().min(100), || {
        for query in queries.iter().take(100) {
            assert_eq!(index.search_exactly(query, K, &Filter::all(), scratch).unwrap().len(), K);
        }
    })
}

/// The time at this recall, between two widths on a straight line.
fn micros_at(curve: &[[f64; 2]], target: f64) -> Option<f64> {
    let above = curve.iter().position(|&[recall, _]| recall >= target)?;
    let [r2, t2] = curve[above];
    let Some(&[r1, t1]) = above.checked_sub(1).and_then(|below| curve.get(below)) else { return Some(t2) };
    Some(t1 + (t2 - t1) * (target - r1) / (r2 - r1))
}

fn draw(path: &Path, points: &[[f64; 3]]) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(path.parent().ok_or("the plot needs a file name")?)?;
    let (first, last) = (points[0][0], points[points.len() - 1][0]);
    let highest = points.iter().map(|&[_, exact, graph]| exact.max(graph)).fold(1.0, f64::max);
    let canvas = SVGBackend::new(path, (640, 420)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&canvas)
        .caption("Nearest 10 of n records, 384 dimensions, one thread", ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d((first..last).log_scale(), (1.0..highest * 1.5).log_scale())?;
    chart.configure_mesh().x_desc("records").y_desc("microseconds a query").draw()?;
    let exact = points.iter().map(|&[n, exact, _]| (n, exact));
    let graph = points.iter().map(|&[n, _, graph]| (n, graph));
    chart
        .draw_series(LineSeries::new(exact, &BLUE))?
        .label("exact scan")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE));
    chart
        .draw_series(LineSeries::new(graph, &RED))?
        .label("graph")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED));
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    canvas.present()?;
    Ok(())
}
