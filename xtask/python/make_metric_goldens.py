"""Writes fixtures/eval/*.json: generated cases with the values of the reference implementations.

    pip install scikit-learn scipy rouge-score==0.1.2 sacrebleu==2.6.0 pytrec_eval-terrier==0.5.11
    cargo xtask fixtures metrics --python PYTHON

Cases hold ties, empty inputs, unjudged items, negative grades, other scripts and emoji. Seeded: the same versions give
the same files.
"""

import json
import random
import warnings
from pathlib import Path

import numpy as np
import pytrec_eval
import sacrebleu
from rouge_score import rouge_scorer
from scipy import stats
from sklearn import metrics

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "eval"


def save(name, cases):
    OUT.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    (OUT / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def classification(rng):
    for _ in range(1500):
        classes = rng.randint(1, 6)
        n = rng.randint(1, 14)
        gold = [rng.randrange(classes) for _ in range(n)]
        # Some predictions are outside the list, some labels never occur.
        predicted = [g if rng.random() < 0.5 else rng.randrange(classes + 1) for g in gold]
        labels = list(range(classes))
        yield {
            "labels": labels,
            "gold": gold,
            "predicted": predicted,
            "accuracy": metrics.accuracy_score(gold, predicted),
            "macro_f1": metrics.f1_score(gold, predicted, labels=labels, average="macro", zero_division=0),
        }


def regression(rng):
    for _ in range(1000):
        n = rng.randint(1, 10)
        gold = [rng.randint(1, 5) for _ in range(n)]
        predicted = [rng.choice([rng.randint(1, 5), rng.randint(-40, 40) / 8]) for _ in range(n)]
        yield {
            "gold": gold,
            "predicted": predicted,
            "mae": metrics.mean_absolute_error(gold, predicted),
            "rmse": metrics.root_mean_squared_error(gold, predicted),
        }


def ece(labels, p, bins):
    """By numpy's histogram, whose last bin is closed."""
    p, labels, edges = np.array(p), np.array(labels, dtype=float), np.linspace(0, 1, bins + 1)
    counts, _ = np.histogram(p, edges)
    sums, _ = np.histogram(p, edges, weights=p)
    hits, _ = np.histogram(p, edges, weights=labels)
    return float(np.abs(sums - hits).sum() / counts.sum())


def probability(rng):
    for _ in range(1500):
        n = rng.randint(2, 16)
        labels = [rng.random() < 0.5 for _ in range(n)]
        steps = rng.choice([1, 4, 16, 1024])
        p = [rng.randint(0, steps) / steps for _ in range(n)]
        both = len(set(labels)) == 2
        yield {
            "labels": labels,
            "p": p,
            "auroc": metrics.roc_auc_score(labels, p) if both else None,
            "ap": metrics.average_precision_score(labels, p) if any(labels) else None,
            "brier": metrics.brier_score_loss(labels, p),
            "log_loss": metrics.log_loss(labels, p, labels=[False, True]),
            # A power of two bins: the edges are exact in both languages.
            "ece8": ece(labels, p, 8),
        }


def ranking(rng):
    measures = {"ndcg_cut_3", "ndcg_cut_10", "recip_rank", "map", "P_5", "recall_5"}
    for _ in range(2000):
        items = [f"d{i}" for i in rng.sample(range(20), rng.randint(1, 14))]
        judged = rng.sample(items, rng.randint(1, len(items)))
        judged += [f"x{i}" for i in range(rng.randint(0, 3))]
        qrel = {item: rng.choice([-1, 0, 0, 1, 1, 2, 3]) for item in judged}
        steps = rng.choice([2, 3, 1000])
        run = {item: rng.randint(-steps, steps) / 4 for item in items}
        values = pytrec_eval.RelevanceEvaluator({"q": qrel}, measures).evaluate({"q": run})["q"]
        yield {"qrel": qrel, "run": run, **{key: values[key] for key in sorted(measures)}}


WORDS = (
    "the cat sat on a mat THE Cat's don't can't 3.14 1,000 e-mail end. (yes) 100% it's -5 a-b 7-eleven U.S. "
    "&amp; &lt;b&gt; &quot;q&quot; <skipped> naïve Straße İstanbul K 猫 猫が好き 好き。 😀 👩‍👩‍👧 \u00a0 \u2003 , . ! ? ... "
    "über-gut x_y @home #tag C++ a/b \\ ~ ` ^ { } [ ] | “quoted” — – … ’ ٣ Ⅳ \u200b \x1c"
).split(" ")


def sentence(rng, longest):
    words = [rng.choice(WORDS[: rng.choice([6, len(WORDS)])]) for _ in range(rng.randint(0, longest))]
    return "".join(word + rng.choice([" ", " ", " ", "  ", "\n", "", "-\n"]) for word in words)


def rouge(rng):
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for _ in range(1500):
        reference, prediction = sentence(rng, 12), sentence(rng, 12)
        scores = scorer.score(reference, prediction)
        yield {
            "reference": reference,
            "prediction": prediction,
            **{key: [value.precision, value.recall, value.fmeasure] for key, value in scores.items()},
        }


def bleu(rng):
    for _ in range(700):
        cases = []
        for _ in range(rng.randint(1, 3)):
            references = [sentence(rng, 14) for _ in range(2)]
            start = rng.choice(references)
            prediction = start if rng.random() < 0.2 else start[: len(start) // 2] + sentence(rng, 6)
            cases.append([prediction, references])
        predictions = [prediction for prediction, _ in cases]
        streams = [[references[i] for _, references in cases] for i in range(2)]
        yield {
            "cases": cases,
            "corpus": sacrebleu.corpus_bleu(predictions, streams).score,
            "sentence": sacrebleu.sentence_bleu(predictions[0], cases[0][1]).score,
        }


def statistics(rng):
    for _ in range(60):
        n = rng.randint(2, 10)
        deltas = [rng.randint(-8, 10) / 8 for _ in range(n)]
        test = stats.permutation_test(
            (np.array(deltas),), lambda x: x.sum(), permutation_type="samples", n_resamples=np.inf
        )
        wins, losses = rng.randint(0, 60), rng.randint(1, 60)
        yield {
            "deltas": deltas,
            "permutation": test.pvalue,
            "wins": wins,
            "losses": losses,
            "sign": stats.binomtest(wins, wins + losses).pvalue,
        }


warnings.filterwarnings("ignore")
for make in [classification, regression, probability, ranking, rouge, bleu, statistics]:
    save(make.__name__, make(random.Random(f"hydra-eval {make.__name__}")))
