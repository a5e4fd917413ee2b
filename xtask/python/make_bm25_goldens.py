"""Writes fixtures/retrieval/bm25.json: scores of BM25Okapi of the package rank_bm25.

Run from the root of the checkout with rank_bm25 0.2.2 installed: python xtask/python/make_bm25_goldens.py
"""

import json
import random

from rank_bm25 import BM25Okapi


def corpus(rng, size, words, longest):
    vocabulary = [f"w{i}" for i in range(words)]
    weights = [1 / (1 + i) for i in range(words)]
    return [" ".join(rng.choices(vocabulary, weights, k=rng.randint(1, longest))) for _ in range(size)]


def main():
    rng = random.Random(7)
    cases = []
    for size, words, longest in [(1, 5, 4), (2, 3, 4), (3, 4, 5), (10, 8, 12), (40, 60, 30), (200, 300, 60)]:
        texts = corpus(rng, size, words, longest)
        # Words of every frequency, a word twice, and one that no text has.
        queries = corpus(rng, 4, words, 6) + ["w0 w0 w1 absent"]
        for k1, b in [(1.5, 0.75), (0.9, 0.4)]:
            index = BM25Okapi([text.split() for text in texts], k1=k1, b=b, epsilon=0.25)
            scores = [[float(score) for score in index.get_scores(query.split())] for query in queries]
            cases.append({"k1": k1, "b": b, "texts": texts, "queries": queries, "scores": scores})
    with open("fixtures/retrieval/bm25.json", "w") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")


main()
