"""Times the learner and its counterpart in PyTorch in turns, so that both see the same neighbours on the machine.
Prints one JSON line."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: glibc gives large arrays back to the system and takes them anew each time, which costs PyTorch about 5 %.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000",
               "MALLOC_TOP_PAD_": "100000000"}


class Worker:
    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | environment)
        self.facts = self.answer()

    def answer(self):
        for line in self.process.stdout:  # other lines than JSON are a library's chatter
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.process.args[0]} ended with exit code {self.process.wait()}")

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        if self.process.wait(timeout=60) != 0:
            raise RuntimeError(f"{self.process.args[0]} ended with exit code {self.process.returncode}")


def summary(samples, batch, threads):
    """Medians and quartiles, s; rates by the wall clock and by processor time on that many cores."""
    out = {"repeats": len(samples["wall"])}
    for clock, values in samples.items():
        quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        out[clock] = {"minimum": min(values), "lower_quartile": quartiles[0], "median": statistics.median(values),
                      "upper_quartile": quartiles[2]}
    out["samples_per_second"] = batch / out["wall"]["median"]
    out["samples_per_processor_second"] = batch * threads / out["processor"]["median"]
    return out


def turns(workers, what, rounds, seconds):
    """Rounds of repeats that last about `seconds` each, workers in turns."""
    counts, samples = {}, {name: {"wall": [], "processor": []} for name in workers}
    for k in range(-1, rounds):
        for name, worker in workers.items():
            answer = worker.ask(f"{what} {counts.get(name, 1)}")
            if k < 0:  # not counted: says how many fit
                counts[name] = max(1, min(50, round(seconds / max(1e-6, answer["wall"][0]))))
                continue
            for clock in ("wall", "processor"):
                samples[name][clock] += answer[clock]
    return samples


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--torch", help="Python interpreter that has PyTorch")
    for name, value in (("n", 24), ("width", 32), ("levels", 3), ("batch", 16), ("threads", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round and program")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    shape = [f"--n={options.n}", f"--width={options.width}", f"--levels={options.levels}"]
    common = [f"--batch={options.batch}", f"--precision={options.precision}"]
    launch = [] if options.threads == 1 else ["mpirun", "-n", str(options.threads), "--oversubscribe"]
    result = {"record": "pair", "n": options.n, "width": options.width, "levels": options.levels,
              "batch": options.batch, "precision": options.precision, "threads": options.threads}
    with tempfile.TemporaryDirectory() as folder:
        workers = {"ours": Worker(launch + [options.program] + shape + common, {"OMP_NUM_THREADS": "1"})}
        if options.torch:
            description = Path(folder) / "network.json"
            described = subprocess.run([options.program, "--describe"] + shape, capture_output=True, text=True, check=True)
            description.write_text(described.stdout)
            package = str(Path(__file__).resolve().parent.parent)
            workers["torch"] = Worker(
                [options.torch, "-m", "benchmarking.torch_worker", str(description), f"--threads={options.threads}"] +
                common + (["--compile"] if options.compile else []),
                KEEP_MEMORY | {"OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": package})
        flops = workers["ours"].facts["flops_per_sample_forward"]
        result["facts"] = {name: worker.facts for name, worker in workers.items()}
        for what, passes in (("train", 3), ("infer", 1)):
            samples = turns(workers, what, options.rounds, options.seconds)
            entry = {name: summary(s, options.batch, options.threads) for name, s in samples.items()}
            for row in entry.values():
                row["flops"] = passes * flops * row["samples_per_processor_second"]
            if "torch" in entry:  # above one: ours takes less time
                entry["ratio"] = entry["torch"]["processor"]["median"] / entry["ours"]["processor"]["median"]
                entry["ratio_wall"] = entry["torch"]["wall"]["median"] / entry["ours"]["wall"]["median"]
            result[what] = entry
        layers = workers["ours"].ask(f"layers {max(2, options.rounds)}")
        result["layers"] = {"kind_seconds": layers["kind_seconds"],
                            "processor": statistics.median(layers["processor"])}
        result["tasks"] = workers["ours"].ask("train 3")["task_seconds"]
        for worker in workers.values():
            worker.close()
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"error: {error}")
