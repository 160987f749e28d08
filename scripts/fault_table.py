#!/usr/bin/env python3
"""Makes the table of docs/design/faults.md from the record of a campaign: scripts/fault_table.py RECORD [RECORD ...]

A record has a line of JSON for every job (tests/faults/test_campaign.cpp). Prints Markdown: one row a kind with how its
jobs ended, how long that took, what became of the samples, what the archive held after the fault, and whether the bits
were those of the undisturbed job; then the totals. Exit code 1 if something was violated."""

import argparse
import collections
import json
import statistics
import sys


def read_records(paths):
    """Jobs in the order of their lines; a line that a kill cut off, and a job that came twice, are left out."""
    jobs = {}
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                try:
                    job = json.loads(line)
                except json.JSONDecodeError:
                    continue
                jobs.setdefault((job["kind"], job["seed"]), job)
    return list(jobs.values())


def counted(values):
    """Values with their numbers, the most frequent first: "137 (12), 1"."""
    numbers = collections.Counter(values).most_common()
    return ", ".join(f"{value} ({number})" if number > 1 else str(value) for value, number in numbers)


def ends(jobs):
    """Exit codes, and those of the jobs that were started again."""
    return counted(
        f"{job['code']}, then {job['code_of_rest']}" if job["code_of_rest"] >= 0 else str(job["code"]) for job in jobs
    )


def ledger_of(job):
    return job["ledger_of_rest"] or job["ledger"]


def samples(jobs):
    """Sums over the ledgers of the ends; a job that did not end well has none."""
    sums = collections.Counter()
    for job in jobs:
        for name in ("produced", "delivered", "dropped", "rejected", "in_flight"):
            sums[name] += (ledger_of(job) or {}).get(name, 0)
    parts = [f"{sums['delivered']} delivered"]
    parts += [f"{sums[name]} {name.replace('_', ' ')}" for name in ("dropped", "rejected", "in_flight") if sums[name]]
    return f"{sums['produced']} = " + " + ".join(parts)


def archives(jobs):
    """Of the archives as the fault left them: their states, and the fewest samples that could be read."""
    states = counted(job["archive"]["state"] for job in jobs)
    fewest = min(job["archive"]["samples"] for job in jobs)
    most = max(job["archive"]["samples"] for job in jobs)
    return f"{states}: {fewest}" + (f" to {most}" if most > fewest else "")


def same_bits(jobs):
    asked = [job["same_bits"] for job in jobs if job["same_bits"] is not None]
    if not asked:
        return "not asked"
    return f"yes ({len(asked)})" if all(asked) else f"no ({asked.count(False)} of {len(asked)})"


def row(kind, jobs):
    seconds = [job["seconds"] for job in jobs]
    struck = sum(job["struck"] for job in jobs)
    violated = sum(bool(job["violations"]) for job in jobs)
    return [
        kind,
        f"{len(jobs)}" if struck == len(jobs) else f"{len(jobs)}, {len(jobs) - struck} missed",
        ends(jobs),
        f"{statistics.median(seconds):.1f}, {max(seconds):.1f}",
        samples(jobs),
        archives(jobs),
        same_bits(jobs),
        str(violated) if violated else "none",
    ]


HEAD = [
    "kind",
    "jobs",
    "exit codes",
    "seconds: median, longest",
    "samples produced",
    "archive after the fault: samples",
    "same bits",
    "violations",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", metavar="RECORD")
    parser.add_argument("--words", action="store_true", help="print instead what the jobs said of each kind's fault")
    arguments = parser.parse_args()
    try:
        jobs = read_records(arguments.records)
    except (OSError, KeyError) as error:
        sys.exit(f"fault_table.py: cannot read the record: {error}")
    if not jobs:
        sys.exit("fault_table.py: the record holds no job")
    kinds = {}
    for job in jobs:
        kinds.setdefault(job["kind"], []).append(job)
    if arguments.words:
        for kind in sorted(kinds):
            said = next((job["named"] for job in kinds[kind] if job["named"]), "")
            print(f"- {kind}: {said or '-'}")
        return 0
    table = [HEAD, ["---"] * len(HEAD)] + [row(kind, kinds[kind]) for kind in sorted(kinds, key=str.lower)]
    for cells in table:
        print("| " + " | ".join(cells) + " |")
    again = sum(job["code_of_rest"] >= 0 for job in jobs)
    closed = sum(bool(ledger_of(job)) for job in jobs)
    compared = [job["same_bits"] for job in jobs if job["same_bits"] is not None]
    violated = [job for job in jobs if job["violations"]]
    print(
        f"\n{len(jobs)} jobs, {sum(job['struck'] for job in jobs)} of them struck by their fault; {again} were started again; "
        f"{closed} ledgers, {sum(compared)} of {len(compared)} compared jobs with the bits of the undisturbed one; "
        f"{len(violated)} with violations."
    )
    for job in violated:
        print(f"- {job['what']}: " + "; ".join(text.splitlines()[0] for text in job["violations"]))
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
