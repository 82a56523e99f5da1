#!/usr/bin/env python3
"""Turns all-MiniLM-L6-v2 from safetensors into one ONNX graph: token ids in, unit sentence vector out.

    minilm_to_onnx.py model.safetensors config.json model.onnx

Needs nothing beyond Python's standard library: a safetensors file is a JSON header with raw tensors behind it, and
ONNX is a small protobuf schema, of which this file writes the few messages it needs. The result depends on the input
alone, so the set-up can pin its hash.

The graph is BERT with mean pooling over the attention mask and L2 normalisation:
    inputs   input_ids, attention_mask   int64 [batch, tokens]
    output   embedding                   float32 [batch, hidden]
"""

import json
import struct
import sys
from array import array

OPSET = 17
IR_VERSION = 8
FLOAT, INT64 = 1, 7  # TensorProto.DataType


# --- protobuf: only what ONNX needs ----------------------------------------------------------------------------------

def varint(value):
    """A non-negative number in protobuf's base-128 form."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    """An integer field; negative numbers are 64-bit two's complement."""
    return varint(field << 3) + varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def real(field, value):
    """A 32-bit float field."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def blob(field, value):
    """A field of text, bytes or a nested message."""
    data = value.encode() if isinstance(value, str) else bytes(value)
    return varint(field << 3 | 2) + varint(len(data)) + data


# --- ONNX messages (field numbers from onnx.proto) --------------------------------------------------------------------

def tensor(name, dims, data_type, raw):
    return b"".join(number(1, dim) for dim in dims) + number(2, data_type) + blob(8, name) + blob(9, raw)


def attribute(name, value):
    """AttributeProto: a float, an int or a list of ints, by the Python type."""
    if isinstance(value, float):
        return blob(1, name) + real(2, value) + number(20, 1)
    if isinstance(value, int):
        return blob(1, name) + number(3, value) + number(20, 2)
    return blob(1, name) + b"".join(number(8, item) for item in value) + number(20, 7)


def value_info(name, data_type, dims):
    """ValueInfoProto of a tensor; a dimension is a number or the name of a free one."""
    shape = b"".join(blob(1, number(1, dim) if isinstance(dim, int) else blob(2, dim)) for dim in dims)
    return blob(1, name) + blob(2, blob(1, number(1, data_type) + blob(2, shape)))


class Graph:
    """Collects nodes and constants; each method that adds one returns the name of its result."""

    def __init__(self, name):
        self.name, self.nodes, self.constants = name, [], {}

    def node(self, op, *inputs, out=None, **attributes):
        out = out or f"{op}_{len(self.nodes)}"
        body = b"".join(blob(1, name) for name in inputs) + blob(2, out) + blob(3, out) + blob(4, op)
        body += b"".join(blob(5, attribute(key, attributes[key])) for key in sorted(attributes))
        self.nodes.append(body)
        return out

    def constant(self, name, dims, data_type, raw):
        self.constants.setdefault(name, tensor(name, dims, data_type, raw))
        return name

    def ints(self, *values):
        name = "int_" + "_".join(str(value).replace("-", "m") for value in values)
        return self.constant(name, [len(values)], INT64, struct.pack(f"<{len(values)}q", *values))

    def scalar(self, value):
        return self.constant(f"float_{value!r}", [], FLOAT, struct.pack("<f", value))

    def model(self, inputs, outputs):
        graph = b"".join(blob(1, node) for node in self.nodes) + blob(2, self.name)
        graph += b"".join(blob(5, constant) for constant in self.constants.values())
        graph += b"".join(blob(11, info) for info in inputs) + b"".join(blob(12, info) for info in outputs)
        return number(1, IR_VERSION) + blob(2, "tollgate") + blob(7, graph) + blob(8, number(2, OPSET))


# --- weights ----------------------------------------------------------------------------------------------------------

class Weights:
    """The tensors of a safetensors file, as (shape, little-endian float32 bytes)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            self.header = json.loads(file.read(length))
            self.data = memoryview(file.read())

    def get(self, name):
        entry = self.header[name]
        if entry["dtype"] != "F32":
            sys.exit(f"{name} is {entry['dtype']}; only F32 is understood")
        begin, end = entry["data_offsets"]
        return entry["shape"], self.data[begin:end]

    def transposed(self, name):
        """A matrix with rows and columns exchanged: [out, in] as stored becomes [in, out] as MatMul wants it."""
        (rows, columns), raw = self.get(name)
        source, result = array("I", raw.tobytes()), array("I", bytes(len(raw)))
        for row in range(rows):
            result[row::rows] = source[row * columns:(row + 1) * columns]
        return [columns, rows], result.tobytes()


# --- the network ------------------------------------------------------------------------------------------------------

class MiniLm:
    """Builds the graph of one checkpoint."""

    def __init__(self, weights, config):
        self.weights, self.config, self.graph = weights, config, Graph("all-MiniLM-L6-v2")
        self.heads = config["num_attention_heads"]
        self.head_size = config["hidden_size"] // self.heads

    def parameter(self, name):
        shape, raw = self.weights.get(name)
        return self.graph.constant(name, shape, FLOAT, raw)

    def linear(self, x, name):
        shape, raw = self.weights.transposed(f"{name}.weight")
        weight = self.graph.constant(f"{name}.weight", shape, FLOAT, raw)
        return self.graph.node("Add", self.graph.node("MatMul", x, weight), self.parameter(f"{name}.bias"))

    def layer_norm(self, x, name):
        scale, bias = self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        epsilon = float(self.config["layer_norm_eps"])
        return self.graph.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def embeddings(self):
        """Word + position + segment; there is one segment, so its row is a constant."""
        g = self.graph
        words = g.node("Gather", self.parameter("embeddings.word_embeddings.weight"), "input_ids")
        tokens = g.node("Shape", "input_ids", start=1, end=2)
        positions = self.parameter("embeddings.position_embeddings.weight")
        positions = g.node("Slice", positions, g.ints(0), tokens, g.ints(0))
        (_, hidden), segments = self.weights.get("embeddings.token_type_embeddings.weight")
        segment = g.constant("segment", [hidden], FLOAT, segments[:4 * hidden])
        x = g.node("Add", g.node("Add", words, positions), segment)
        return self.layer_norm(x, "embeddings.LayerNorm")

    def split_heads(self, x, order):
        """[batch, tokens, hidden] to the given order of (batch 0, tokens 1, heads 2, head size 3)."""
        x = self.graph.node("Reshape", x, self.graph.ints(0, 0, self.heads, self.head_size))
        return self.graph.node("Transpose", x, perm=order)

    def attention(self, x, layer, mask_bias):
        g, name = self.graph, f"{layer}.attention"
        query = self.split_heads(self.linear(x, f"{name}.self.query"), [0, 2, 1, 3])
        key = self.split_heads(self.linear(x, f"{name}.self.key"), [0, 2, 3, 1])
        value = self.split_heads(self.linear(x, f"{name}.self.value"), [0, 2, 1, 3])
        scores = g.node("Mul", g.node("MatMul", query, key), g.scalar(self.head_size ** -0.5))
        weights = g.node("Softmax", g.node("Add", scores, mask_bias), axis=-1)
        mixed = g.node("Transpose", g.node("MatMul", weights, value), perm=[0, 2, 1, 3])
        mixed = g.node("Reshape", mixed, g.ints(0, 0, self.config["hidden_size"]))
        x = g.node("Add", x, self.linear(mixed, f"{name}.output.dense"))
        return self.layer_norm(x, f"{name}.output.LayerNorm")

    def gelu(self, x):
        """x · ½ · (1 + erf(x / √2))"""
        g = self.graph
        erf = g.node("Erf", g.node("Div", x, g.scalar(2 ** 0.5)))
        return g.node("Mul", g.node("Mul", x, g.node("Add", erf, g.scalar(1.0))), g.scalar(0.5))

    def feed_forward(self, x, layer):
        inner = self.gelu(self.linear(x, f"{layer}.intermediate.dense"))
        x = self.graph.node("Add", x, self.linear(inner, f"{layer}.output.dense"))
        return self.layer_norm(x, f"{layer}.output.LayerNorm")

    def mean_pool(self, x, mask):
        """The mean over the tokens that are not padding, scaled to length 1."""
        g = self.graph
        weighted = g.node("Mul", x, g.node("Unsqueeze", mask, g.ints(2)))
        total = g.node("ReduceSum", weighted, g.ints(1), keepdims=0)
        mean = g.node("Div", total, g.node("ReduceSum", mask, g.ints(1), keepdims=1))
        return g.node("LpNormalization", mean, out="embedding", axis=-1, p=2)

    def build(self):
        g = self.graph
        mask = g.node("Cast", "attention_mask", to=FLOAT)
        padding = g.node("Sub", g.scalar(1.0), g.node("Unsqueeze", mask, g.ints(1, 2)))
        mask_bias = g.node("Mul", padding, g.scalar(-10000.0))
        x = self.embeddings()
        for index in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{index}"
            x = self.feed_forward(self.attention(x, layer, mask_bias), layer)
        self.mean_pool(x, mask)
        shape = ["batch", "tokens"]
        inputs = [value_info("input_ids", INT64, shape), value_info("attention_mask", INT64, shape)]
        return g.model(inputs, [value_info("embedding", FLOAT, ["batch", self.config["hidden_size"]])])


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: minilm_to_onnx.py model.safetensors config.json model.onnx")
    with open(sys.argv[2], encoding="utf-8") as file:
        config = json.load(file)
    with open(sys.argv[3], "wb") as file:
        file.write(MiniLm(Weights(sys.argv[1]), config).build())


if __name__ == "__main__":
    main()
