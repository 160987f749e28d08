#!/usr/bin/env python3
"""Compares our ONNX files with ONNX Runtime, and PyTorch's with our evaluator: check_with_runtime.py TEST_PROGRAM.

Exit code 77: skipped, as onnx or onnxruntime are not installed.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}; name a Python that has it in TRAMONTANE_ONNX_PYTHON")
    sys.exit(77)


def run(program, test, **environment):
    subprocess.run([program, f"--gtest_filter={test}"], check=True, env={**os.environ, **environment})


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare_ours(program, folder):
    """Every case that the program writes: variable by variable within 2e-5 of its largest value (see the tests of the export)."""
    run(program, "RuntimeCases.AreWritten", TRAMONTANE_ONNX_CASES=str(folder))
    files = sorted(folder.glob("*.onnx"))
    assert len(files) >= 5, files
    for path in files:
        onnx.checker.check_model(str(path), full_check=True)
        graph = session(path)
        _, variables, panels, n, _ = graph.get_inputs()[0].shape
        fields = np.fromfile(path.with_suffix(".input"), np.float32).reshape(2, variables, panels, n, n)
        expected = np.fromfile(path.with_suffix(".output"), np.float32).reshape(2, -1, panels, n, n)
        result = graph.run(None, {"fields": fields})[0]
        assert result.shape == expected.shape
        scale = np.abs(expected).max(axis=(0, 2, 3, 4))
        worst = (np.abs(result - expected).max(axis=(0, 2, 3, 4)) / scale).max()
        print(f"{path.name}: relative difference {worst:.2e}")
        assert scale.min() > 0 and worst < 2e-5, path.name


N, INPUTS, TARGETS = 8, 5, 4


def add_contract(path):
    """Metadata of the contract, with what ONNX Runtime makes of the graph as its self-test."""
    offset, scale = [1.0, 0, 0, 0.5, 0], [2.0, 1, 1, 1, 1]
    cells = 6 * N * N
    values = np.repeat(offset, cells) + np.repeat(scale, cells) * np.sin(np.arange(INPUTS * cells))
    fields = values.astype(np.float32).reshape(1, INPUTS, 6, N, N)
    output = session(path).run(None, {"fields": fields})[0]
    assert output.shape == (1, TARGETS, 6, N, N) and np.isfinite(output).all() and output.std() > 0, (path, output.shape)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {
        "tramontane.kind": "correction",
        "tramontane.interval_seconds": "3600",
        "tramontane.inputs": "surface_height [m], u_x [m s-1], u_y [m s-1], u_z [m s-1], orography [m]",
        "tramontane.targets": "h_tendency [m s-1], u_x_tendency [m s-2], u_y_tendency [m s-2], u_z_tendency [m s-2]",
        "tramontane.self_test": json.dumps({"offset": offset, "scale": scale, "index": list(range(output.size)),
                                            "output": [float(v) for v in output.ravel()]}),
    })
    onnx.save(model, path)
    return {node.op_type for node in model.graph.node}


def write_pytorch(path):
    """A plain network, exported by PyTorch."""
    try:
        import torch
    except ImportError:
        print("PyTorch's network is left out: torch is not installed")
        return
    torch.manual_seed(1)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.down = torch.nn.Sequential(
                torch.nn.Conv2d(INPUTS, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.GELU(), torch.nn.MaxPool2d(2))
            self.up = torch.nn.Sequential(
                torch.nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), torch.nn.GroupNorm(2, 8), torch.nn.SiLU(),
                torch.nn.Upsample(scale_factor=2))
            self.out = torch.nn.Conv2d(8 + INPUTS, TARGETS, 1)

        def forward(self, fields):
            batch = fields.shape[0]
            x = fields.permute(0, 2, 1, 3, 4).reshape(batch * 6, INPUTS, N, N)
            y = self.out(torch.cat([self.up(self.down(x)), x], 1))
            return y.reshape(batch, 6, TARGETS, N, N).permute(0, 2, 1, 3, 4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Plain().eval(), (torch.zeros(1, INPUTS, 6, N, N),), str(path), input_names=["fields"],
                          output_names=["tendencies"], opset_version=17, dynamo=False)


def write_chain(path, nodes, constants, operator_set):
    """A graph from `fields` through v0 (four channels) to `tendencies`; the last node names that."""
    rng = np.random.default_rng(3)
    constants = {"mix": rng.standard_normal((TARGETS, INPUTS, 1, 1, 1)).astype(np.float32), **constants}
    made = [onnx.helper.make_node("Conv", ["fields", "mix"], ["v0"], name="mix_channels")]
    for k, (kind, inputs, output, attributes) in enumerate(nodes):
        made.append(onnx.helper.make_node(kind, inputs, [output] if isinstance(output, str) else output, name=f"n{k}",
                                          **attributes))
    value = lambda name, channels: onnx.helper.make_tensor_value_info(
        name, onnx.TensorProto.FLOAT, [1, channels, 6, N, N])
    graph = onnx.helper.make_graph(made, "chain", [value("fields", INPUTS)], [value("tendencies", TARGETS)],
                                   [onnx.numpy_helper.from_array(v, name) for name, v in constants.items()])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", operator_set)])
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_chains(folder):
    """Operators that the others leave out, each alone or in small company, with awkward attributes."""
    real, whole = lambda *v: np.array(v, np.float32), lambda *v: np.array(v, np.int64)
    weights = np.random.default_rng(4).standard_normal((8, 2, 1, 3, 3)).astype(np.float32)
    flat = [("Reshape", ["v0", "rows"], "r", {})]
    back = [("Reshape", ["m", "whole"], "tendencies", {})]
    shapes = {"rows": whole(192, 8), "whole": whole(1, TARGETS, 6, N, N)}
    square = np.random.default_rng(5).standard_normal((8, 8)).astype(np.float32)
    chains = {kind.lower(): ([(kind, ["v0"], "tendencies", {})], {}) for kind in (
        "Abs", "Neg", "Exp", "Sin", "Cos", "Erf", "Tanh", "Sigmoid", "Softplus", "Relu", "Elu", "LeakyRelu", "Identity", "Dropout")}
    chains |= {
        "roots": ([("Abs", ["v0"], "a", {}), ("Add", ["a", "one"], "b", {}), ("Log", ["b"], "c", {}),
                   ("Sqrt", ["b"], "d", {}), ("Reciprocal", ["b"], "e", {}), ("Pow", ["b", "two"], "f", {}),
                   ("Sum", ["c", "d", "e", "f"], "tendencies", {})], {"one": real(1), "two": whole(2)}),
        "clip": ([("Clip", ["v0", "", "high"], "a", {}), ("Clip", ["a", "low"], "tendencies", {})],
                 {"high": np.float32(0.5), "low": np.float32(-0.25)}),
        "strided-groups": ([("Conv", ["v0", "w"], "a", {"group": 2, "strides": [1, 2, 1], "dilations": [1, 1, 2],
                                                        "pads": [0, 1, 3, 0, 1, 1]}),
                            ("Reshape", ["a", "whole"], "tendencies", {})], {"w": weights, **shapes}),
        "average-pool": ([("AveragePool", ["v0"], "tendencies", {"kernel_shape": [3, 3, 3], "pads": [1] * 6})], {}),
        "average-pool-padded": ([("AveragePool", ["v0"], "tendencies",
                                  {"kernel_shape": [1, 3, 3], "pads": [0, 1, 1, 0, 1, 1], "count_include_pad": 1})], {}),
        "max-pool": ([("MaxPool", ["v0"], "a", {"kernel_shape": [1, 2, 2], "strides": [1, 2, 2]}),
                      ("Resize", ["a", "", "scales"], "tendencies", {"mode": "nearest"})],
                     {"scales": real(1, 1, 1, 2, 2)}),
        "global-pool": ([("GlobalAveragePool", ["v0"], "a", {}), ("Sub", ["v0", "a"], "tendencies", {})], {}),
        "reductions": ([("ReduceMax", ["v0"], "a", {"axes": [-1, 2]}), ("ReduceMin", ["v0"], "b", {"axes": [3]}),
                        ("ReduceL2", ["v0"], "c", {}), ("ReduceSum", ["v0", "axis"], "d", {"keepdims": 0}),
                        ("Unsqueeze", ["d", "axis"], "e", {}), ("Sum", ["v0", "a", "b", "c", "e"], "tendencies", {})],
                       {"axis": whole(1)}),
        "squeeze": ([("Squeeze", ["v0", "axis"], "a", {}), ("Transpose", ["a"], "b", {}),
                     ("Transpose", ["b"], "c", {"perm": [3, 2, 1, 0]}), ("Unsqueeze", ["c", "axis"], "tendencies", {})],
                    {"axis": whole(0)}),
        "slices": ([("Slice", ["v0", "begin", "end", "axes", "steps"], "a", {}), ("Concat", ["a", "a"], "tendencies", {"axis": -1})],
                   {"begin": whole(-1, 0), "end": whole(-1000, 8), "axes": whole(3, 4), "steps": whole(-1, 2)}),
        "gather": ([("Gather", ["v0", "places"], "tendencies", {"axis": 2})], {"places": whole(5, -6, 1, 1, 3, 2)}),
        "split": ([("Split", ["v0"], ["a", "b"], {"axis": 1}), ("Concat", ["b", "a"], "tendencies", {"axis": 1})], {}),
        "matmul": (flat + [("MatMul", ["r", "m8"], "m", {})] + back, {"m8": square, **shapes}),
        "gemm": (flat + [("Gemm", ["r", "m8", "row"], "m", {"alpha": 0.5, "beta": 2.0, "transB": 1})] + back,
                 {"m8": square, "row": real(*range(8)), **shapes}),
        "layer-norm": (flat + [("LayerNormalization", ["r", "row", "row"], "m", {"epsilon": 1e-3})] + back,
                       {"row": real(*range(8)), **shapes}),
        "instance-norm": ([("InstanceNormalization", ["v0", "row", "row"], "tendencies", {})], {"row": real(1, 2, 3, 4)}),
        "batch-norm": ([("BatchNormalization", ["v0"] + ["row"] * 4, "tendencies", {"epsilon": 1e-2})],
                       {"row": real(1, 2, 3, 4)}),
        "flatten": ([("Flatten", ["v0"], "m", {"axis": 3})] + back, shapes),
        "constants": ([("Shape", ["v0"], "s", {}),
                       ("ConstantOfShape", ["s"], "a", {"value": onnx.helper.make_tensor("v", 1, [1], [2.5])}),
                       ("Constant", [], "b", {"value_float": 0.5}), ("Mul", ["a", "b"], "c", {}),
                       ("Cast", ["v0"], "d", {"to": onnx.TensorProto.INT64}), ("Cast", ["d"], "e", {"to": onnx.TensorProto.FLOAT}),
                       ("Sum", ["c", "e", "v0"], "tendencies", {})], {}),
    }
    for mode in ("constant", "reflect", "edge"):
        chains[f"pad-{mode}"] = ([("Pad", ["v0", "pads"], "a", {"mode": mode}),
                                  ("AveragePool", ["a"], "tendencies", {"kernel_shape": [1, 3, 5]})],
                                 {"pads": whole(0, 0, 0, 2, 1, 0, 0, 0, 0, 3)})
    for name, (nodes, constants) in chains.items():
        write_chain(folder / f"{name}.onnx", nodes, constants, 17)
    write_chain(folder / "set18.onnx",
                [("ReduceMean", ["v0", "axis"], "a", {}), ("Split", ["v0"], ["b", "c"], {"axis": 1, "num_outputs": 2}),
                 ("Concat", ["c", "b"], "d", {"axis": 1}), ("Add", ["a", "d"], "tendencies", {})],
                {"axis": whole(1)}, 18)
    write_chain(folder / "set20.onnx",
                [("Gelu", ["v0"], "a", {}), ("Pad", ["a", "pads"], "b", {"mode": "wrap"}),
                 ("AveragePool", ["b"], "tendencies", {"kernel_shape": [1, 3, 5]})],
                {"pads": whole(0, 0, 0, 2, 1, 0, 0, 0, 0, 3)}, 20)


def compare_others(program, folder):
    write_pytorch(folder / "pytorch.onnx")
    write_chains(folder)
    kinds = set()
    for path in sorted(folder.glob("*.onnx")):
        kinds |= add_contract(path)
    print(len(kinds), "operators of other programs:", ", ".join(sorted(kinds)))
    run(program, "RuntimeCases.OtherProgramsFilesGiveTheSame", TRAMONTANE_ONNX_FOREIGN=str(folder))


with tempfile.TemporaryDirectory() as name:
    compare_ours(sys.argv[1], Path(name))
with tempfile.TemporaryDirectory() as name:
    compare_others(sys.argv[1], Path(name))
