"""Starts programs one after the other, keeps what each one left, and does not repeat what is finished."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

#: Courant number of each integrator when the deck leaves it to the program, and stages per Courant number (for
#: semi_implicit what its solves cost as well).
COURANT = {"ssprk3": 0.8, "rk4": 1.6, "rk63": 3.0, "semi_implicit": 8.4}
COST = {"ssprk3": 3.0 / 0.8, "rk4": 4.0 / 1.6, "rk63": 6.0 / 3.0, "semi_implicit": 1.65 * 3.0 / 0.8}
#: Limits of stability at order 7, where they are lower (docs/design/time-integration.md); 0: the pair is refused.
LIMIT_AT_ORDER_7 = {"ssprk3": 1.4, "rk63": 2.9, "semi_implicit": 0.0}
#: Time step times cells along an edge at Courant number 1, s: from the first runs of each case.
STEP = {"williamson2": 15000, "williamson5": 16600, "lauter": 9500, "rest-rough": 12000, "galewsky": 11700}
NANOSECONDS = 36  # a cell and stage at order 5, for estimates only


def tiles_per_edge(n, ranks):
    """Fewest tiles along a panel edge that give every rank the same number of them, or nearly."""
    best = 1
    for tiles in range(1, 17):
        count = 6 * tiles * tiles
        if n % tiles or n // tiles < 12:
            continue
        if count % ranks == 0:
            return tiles
        if count // ranks > 6 * best * best // ranks:
            best = tiles
    return best


class Suite:
    def __init__(self, output, build, ranks, quick, finest=None, listing=False, minutes=None, finest_jet=None):
        self.output, self.build, self.ranks, self.quick = Path(output), Path(build), ranks, quick
        #: Grid of the reference runs where there is no exact solution, and the grids that are held against it.
        self.finest = finest or (96 if quick else 384)
        self.coarser = self.nested_in(self.finest)
        #: The same for the unstable jet with and without viscosity: C192 resolves it with viscosity.
        self.finest_jet = finest_jet or (96 if quick else 192)
        self.listing = listing
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.missing, self.failed, self.estimated = [], [], 0.0

    def closing_facts(self, began):
        """When a suite ended that began at a time of time.monotonic(), how loaded the machine was, what is lacking."""
        return {"ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": time.monotonic() - began,
                "load_average_at_end": list(os.getloadavg()), "missing": self.missing, "failed": self.failed}

    def tell_results(self, pictures, report, pieces):
        """Says where the results are and how many pieces, or whatever they are called, are left."""
        print(f"\n==> {self.output}/results.json, {len(pictures)} plots, {report}")
        if self.missing:
            print(f"    {len(self.missing)} {pieces} are left: run the same command again")

    def nested_in(self, finest):
        """Grids that are held against a finest one."""
        return [n for n in ([24, 48] if self.quick else [48, 96, 192]) if n < finest and finest % n == 0]

    def solver_run(self, label, deck, n, order=5, integrator="ssprk3", courant=None, settings=None, days=None,
                   viscous=False):
        """The record of a run of the real program with a deck: summary, times, folder; None when there is none."""
        courant = COURANT[integrator] if courant is None else courant
        if order == 7:
            courant = min(courant, LIMIT_AT_ORDER_7.get(integrator, courant))
        case = "galewsky" if deck.startswith("galewsky") else deck
        days = {"williamson5": 15, "galewsky": 6, "rest-rough": 1}.get(case, 5) if days is None else days
        tiles = tiles_per_edge(n, self.ranks)
        ranks = min(self.ranks, 6 * tiles * tiles)
        folder = self.output / "runs" / label
        wanted = {"grid.n": n, "grid.tiles_per_edge": tiles, "physics.reconstruction": order,
                  "physics.integrator": integrator, "time.cfl": courant, "time.days": days, "output.latlon": 0,
                  "output.plots": "false", "checkpoint.every": "none", **(settings or {})}
        estimate = (days * 86400 / (STEP[case] / n) * COST[integrator] * COURANT[integrator] / courant * 6 * n * n *
                    NANOSECONDS * 1e-9 * {3: 0.9, 5: 1.0, 7: 1.25}[order] * (4 if viscous else 1) / ranks)
        if estimate > 300:  # a stopped run goes on where it was
            wanted |= {"checkpoint.minutes": 5, "checkpoint.resume": "auto"}
        command = self._launch(ranks) + [str(self.build / "src/tramontane"), "run", f"inputs/{deck}.yaml"]
        for key, value in wanted.items():
            command += ["--set", f"{key}={value}"]
        record = self._task(label, folder / "bench.json", command + ["--set", f"output.dir={folder}"],
                            {"deck": deck, "ranks": ranks, "settings":
                             {k: v for k, v in wanted.items() if not k.startswith(("checkpoint.", "grid.tiles"))}},
                            estimate)
        if record is None:
            return None
        if record["exit_code"] == 0:
            record["summary"] = json.loads((folder / "summary.json").read_text())
        return record | {"folder": str(folder), "n": n, "order": order, "integrator": integrator, "courant": courant}

    def program_lines(self, label, program, arguments, ranks, estimate):
        """What a benchmark program prints: a list of its JSON lines; None when it has not run."""
        command = self._launch(ranks) + [str(self.build / "tests/benchmarks" / program)] + [str(a) for a in arguments]
        return self._lines(label, command, program, arguments, ranks, estimate)

    def module_lines(self, label, module, arguments, ranks, estimate):
        """What a module of this package prints, which starts programs of its own."""
        command = [sys.executable, "-m", f"benchmarking.{module}"] + [str(a) for a in arguments]
        return self._lines(label, command, module, arguments, ranks, estimate)

    def _lines(self, label, command, program, arguments, ranks, estimate):
        path = self.output / "programs" / f"{label}.json"
        record = self._task(label, path, command, {"program": program, "arguments": [str(a) for a in arguments],
                                                   "ranks": ranks}, estimate)
        if record is None or record["exit_code"] != 0:
            return None
        return [json.loads(line) | {"load": record["load"]} for line in record["output"].splitlines()
                if line.startswith("{")]

    def text_of(self, arguments):
        """Output of the program itself, for facts about the build."""
        done = subprocess.run([str(self.build / "src/tramontane")] + arguments, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.stdout

    @staticmethod
    def _launch(ranks):
        return [] if ranks == 1 else ["mpirun", "-n", str(ranks), "--oversubscribe"]

    def _task(self, label, path, command, facts, estimate):
        if path.exists():
            record = json.loads(path.read_text())
            if all(record.get(key) == value for key, value in facts.items()):
                if record["exit_code"] != 0:
                    self.failed.append({"task": label, "message": record["message"]})
                return record
        late = self.deadline is not None and time.monotonic() > self.deadline
        if self.listing or late:
            if label not in self.missing:
                self.missing.append(label)
                self.estimated += estimate
                if self.listing:
                    print(f"    {label:<58} about {_spoken(estimate)}")
            return None
        print(f"    {label} (about {_spoken(estimate)})", end="", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        began, processor_began, load = time.monotonic(), _processor_seconds(), [os.getloadavg()[0]]
        code, out, err = _run(command, max(900.0, 30 * estimate))
        seconds = time.monotonic() - began
        load.append(os.getloadavg()[0])
        lines = [line for line in err.splitlines() if "error" in line.lower()] or err.splitlines()[-1:]
        record = facts | {"command": command, "exit_code": code, "message": lines[0] if code and lines else "",
                          "seconds": seconds, "processor_seconds": _processor_seconds() - processor_began,
                          "load": load, "output": out if "program" in facts else ""}
        print(f": {_spoken(seconds)}" + ("" if code == 0 else f", exit code {code}: {record['message']}"), flush=True)
        if code != 0:
            self.failed.append({"task": label, "message": record["message"]})
        if code == 4 or code < 0:  # stopped from outside: not an answer
            self.missing.append(label)
            return None
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(record, indent=1))
        aside.replace(path)
        return record


def _spoken(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(command, limit):
    """Exit code, output and messages. Past the limit the whole process group is ended, and the code is 124."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=limit)
            return process.returncode, out, err
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                out, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
            if isinstance(stop, KeyboardInterrupt):
                sys.exit("\nstopped; run the same command again to go on")
            return 124, out, err + f"\nended after {limit:.0f} s, the limit of this run"


def machine_facts(suite):
    """Processor, memory, compiler and libraries."""
    processor = "unknown"
    flags = set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name") and processor == "unknown":
            processor = line.split(":", 1)[1].strip()
        if line.startswith("flags") and not flags:
            flags = set(line.split(":", 1)[1].split())
    family = re.search(r"cpu family\s*:\s*(\d+)\nmodel\s*:\s*(\d+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    built = dict(re.findall(r"^  (\w[\w ]*?)  +(.+)$", suite.text_of(["info"]), re.M))
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": processor, "processor_family_model": "/".join(family.groups()) if family else None,
        "vector_extensions": sorted(f for f in flags if f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "sve", "fma")),
        "cores": len(os.sched_getaffinity(0)), "memory_bytes": 1024 * int(memory.group(1)) if memory else None,
        "compiler": built.get("compiler"), "kokkos": built.get("Kokkos"), "cuda": built.get("CUDA"),
        "mpi": built.get("MPI"), "petsc": built.get("PETSc"), "revision": revision.stdout.strip() or None,
        "load_average": list(os.getloadavg()),
    }
