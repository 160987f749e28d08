"""Compares outputs, loss and gradients of a network with PyTorch's. Usage: torch_parity.py PROGRAM BACKEND, where
PROGRAM is ml_parity_case. Exit code 77 where PyTorch is not installed."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy
    import torch
except ImportError as missing:
    print(f"skipped: {sys.executable} has no {missing.name}; name an interpreter that has PyTorch by "
          "-DTRAMONTANE_TORCH_PYTHON=...")
    sys.exit(77)

from benchmarking.torch_network import Network, weighted_loss

#: Sums of a thousand products in single precision, in another order, through eleven layers, against the largest value.
#: A cell whose activation changes branch within round-off would break it; none of this batch does.
TOLERANCE = 1e-5


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


def main():
    program, backend = sys.argv[1:]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([program, place, backend], check=True, timeout=120)
        case = json.loads((folder / "case.json").read_text())
        arrays = {name: torch.from_numpy(numpy.fromfile(folder / f"{name}.f32", numpy.float32))
                  for name in ("parameters", "gradient", "input", "target", "output", "weight")}
    size, tiles, samples = case["n"], case["tiles"], case["samples"]
    cells = (samples, tiles, size, size)
    found = {}
    # Both ways of filling halos, and adjoints by PyTorch itself: a mistake in one does not hide in the other.
    for way in ("edges", "gather", "autograd"):
        network = Network(case, way)
        network.load(arrays["parameters"])
        output = network(arrays["input"].view(*cells, case["inputs"]))
        loss = weighted_loss(output, arrays["target"].view(*cells, case["outputs"]),
                             arrays["weight"].view(tiles, size, size))
        loss.backward()
        gradient = network.flat(lambda parameter: parameter.grad)
        found[f"output, {way}"] = relative(arrays["output"], output.detach().reshape(-1))
        found[f"loss, {way}"] = abs(case["loss"] - loss.item()) / loss.item()
        for block in (block for node in case["nodes"] for block in node["blocks"]):
            part = slice(block["offset"], block["offset"] + block["size"])
            found[f"gradient of {block['name']}, {way}"] = relative(arrays["gradient"][part], gradient[part])
    print(f"PyTorch {torch.__version__}, back end {backend}: largest relative differences")
    for name, value in sorted(found.items(), key=lambda item: -item[1])[:6]:
        print(f"  {value:.1e}  {name}")
    bad = [name for name, value in found.items() if not value <= TOLERANCE]
    if bad:
        sys.exit(f"beyond {TOLERANCE:g}: {', '.join(bad)}")


if __name__ == "__main__":
    main()
