#!/usr/bin/env python3
"""Compares our ONNX files with ONNX Runtime, and PyTorch's with our evaluator: check_with_runtime.py TEST_PROGRAM.

Exit code 77: skipped, as onnx or onnxruntime are not installed.
"""

import json
import os
import subprocess
import sys
import tempfile
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
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare_ours(program, folder):
    """Every case that the program writes: variable by variable within 1e-5 of its largest value."""
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
        assert scale.min() > 0 and worst < 1e-5, path.name


def compare_pytorch(program, folder):
    """A plain network, exported by PyTorch, with what ONNX Runtime makes of it as its self-test."""
    try:
        import torch
    except ImportError:
        print("PyTorch's half is left out: torch is not installed")
        return
    torch.manual_seed(1)
    n, inputs, targets = 8, 5, 4

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.down = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.GELU(), torch.nn.MaxPool2d(2))
            self.up = torch.nn.Sequential(
                torch.nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), torch.nn.GroupNorm(2, 8), torch.nn.SiLU(),
                torch.nn.Upsample(scale_factor=2))
            self.out = torch.nn.Conv2d(8 + inputs, targets, 1)

        def forward(self, fields):
            batch = fields.shape[0]
            x = fields.permute(0, 2, 1, 3, 4).reshape(batch * 6, inputs, n, n) / 100
            y = self.out(torch.cat([self.up(self.down(x)), x], 1))
            return y.reshape(batch, 6, targets, n, n).permute(0, 2, 1, 3, 4)

    path = folder / "pytorch.onnx"
    torch.onnx.export(Plain().eval(), (torch.zeros(1, inputs, 6, n, n),), str(path), input_names=["fields"],
                      output_names=["tendencies"], opset_version=17, dynamo=False)
    offset, scale = [5000, 0, 0, 0, 0], [300, 20, 20, 20, 1]
    cells = 6 * n * n
    k = np.arange(inputs * cells)
    values = (np.repeat(offset, cells) + np.repeat(scale, cells) * np.sin(k)).astype(np.float32)
    output = session(path).run(None, {"fields": values.reshape(1, inputs, 6, n, n)})[0].ravel()
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {
        "tramontane.kind": "correction",
        "tramontane.interval_seconds": "3600",
        "tramontane.inputs": "surface_height [m], u_x [m s-1], u_y [m s-1], u_z [m s-1], orography [m]",
        "tramontane.targets": "h_tendency [m s-1], u_x_tendency [m s-2], u_y_tendency [m s-2], u_z_tendency [m s-2]",
        "tramontane.self_test": json.dumps({"offset": offset, "scale": scale, "index": list(range(output.size)),
                                            "output": [float(v) for v in output]}),
    })
    onnx.save(model, path)
    print("PyTorch's operators:", ", ".join(sorted({node.op_type for node in model.graph.node})))
    run(program, "RuntimeCases.AnotherProgramsFileGivesTheSame", TRAMONTANE_ONNX_FOREIGN=str(path))


with tempfile.TemporaryDirectory() as name:
    compare_ours(sys.argv[1], Path(name))
    compare_pytorch(sys.argv[1], Path(name))
