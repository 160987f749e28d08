"""The learner's counterpart in PyTorch: the same network, batch and optimiser step. Reads the description of the
network from the file named, tries its settings, prints what it found, and then answers commands from standard input as
the program bench_learner does: train K, infer K."""

import argparse
import json
import os
import sys
import time

#: Settings to choose from. A pass is the number of samples that go through at once; gradients of passes add up.
WAYS = ("edges", "gather", "compiled")


def activation_bytes(description, precision):
    """Rough memory of one sample's activations and gradients in training."""
    size = 2 if precision == "bf16" else 4
    numbers = sum(node["cells"] * (2 * node["in"] + 3 * node["out"]) for node in description["nodes"])
    return size * numbers


class Setting:
    """One way to train and evaluate; its weights are its own."""

    def __init__(self, description, way, samples, precision, data):
        import torch
        from benchmarking.torch_network import Network, weighted_loss
        self.torch, self.loss = torch, weighted_loss
        self.way, self.samples, self.precision, self.data = way, samples, precision, data
        self.network = Network(description, "autograd" if way == "compiled" else way)
        self.call = torch.compile(self.network) if way == "compiled" else self.network
        self.parameters = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimiser = torch.optim.AdamW(self.parameters, 1e-3, (0.9, 0.95), weight_decay=0.01, fused=True)

    def passes(self):
        batch = len(self.data[0])
        return [slice(k, k + self.samples) for k in range(0, batch, self.samples)]

    def predict(self, x):
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.precision == "bf16"):
            return self.call(x)

    def train(self):
        x, target, weight = self.data
        self.optimiser.zero_grad(set_to_none=True)
        for part in self.passes():
            loss = self.loss(self.predict(x[part]), target[part], weight) * (self.samples / len(x))
            loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.torch._foreach_lerp_(self.average, self.parameters, 0.001)

    def infer(self):
        with self.torch.inference_mode():
            for part in self.passes():
                self.predict(self.data[0][part])


def repeat(work, count):
    wall, processor = [], []
    for _ in range(count):
        busy, began = time.process_time(), time.perf_counter()
        work()
        processor.append(time.process_time() - busy)
        wall.append(time.perf_counter() - began)
    return {"wall": wall, "processor": processor}


def choose(settings, what, tries):
    """The setting that is fastest by processor time, the first call not counted."""
    found = []
    for setting in settings:
        work = getattr(setting, what)
        began = time.perf_counter()
        try:
            work()
        except Exception as error:  # torch.compile may find no compiler
            found.append({"way": setting.way, "pass": setting.samples, "failed": str(error).splitlines()[0][:200]})
            continue
        first = time.perf_counter() - began
        found.append({"way": setting.way, "pass": setting.samples, "first_call": first,
                      "processor": min(repeat(work, tries)["processor"]), "setting": setting})
    good = [entry for entry in found if "processor" in entry]
    best = min(good, key=lambda entry: entry["processor"]) if good else None
    chosen = best["setting"] if best else None
    for entry in found:
        entry.pop("setting", None)
    return chosen, found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("description")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--compile", action="store_true", help="try torch.compile as well, a minute or two")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--memory", type=float, default=8e9, help="bytes that activations may take")
    options = parser.parse_args()

    import torch
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    description = json.loads(open(options.description).read())
    size, tiles = description["n"], description["tiles"]
    data = (torch.randn(options.batch, tiles, size, size, description["inputs"]),
            torch.randn(options.batch, tiles, size, size, description["outputs"]),
            torch.full((tiles, size, size), 1 / (tiles * size * size)))
    fitting = [k for k in (16, 4, 1) if k <= options.batch and options.batch % k == 0 and
               k * activation_bytes(description, options.precision) < options.memory] or [1]
    ways = [w for w in WAYS if options.compile or w != "compiled"]
    settings = [Setting(description, way, samples, options.precision, data)
                for samples in fitting[:2] for way in ways if way != "compiled" or samples == fitting[0]]
    chosen, tried = {}, {}
    for what in ("train", "infer"):
        chosen[what], tried[what] = choose(settings, what, options.tries)
        if chosen[what] is None:
            sys.exit(f"PyTorch failed: {tried[what][0].get('failed')}")
    settings.clear()
    print(json.dumps({
        "record": "ready", "version": torch.__version__, "threads": torch.get_num_threads(),
        "mkldnn": torch.backends.mkldnn.is_available(), "capability": torch.backends.cpu.get_cpu_capability(),
        "precision": options.precision, "batch": options.batch, "tried": tried,
        "chosen": {what: {"way": s.way, "pass": s.samples} for what, s in chosen.items()},
        "malloc": {k: v for k, v in os.environ.items() if k.startswith("MALLOC_")}}), flush=True)
    for line in sys.stdin:
        what, count = line.split()
        print(json.dumps({"record": what} | repeat(getattr(chosen[what], what), int(count))), flush=True)


if __name__ == "__main__":
    main()
