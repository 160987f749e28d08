"""What the project promises of the solver, beside what was measured."""


def claims(result):
    """Rows of (what, bound, measured, whether it holds); only what was measured appears."""
    rows = []

    def add(what, bound, value, holds):
        rows.append({"what": what, "bound": bound, "measured": value, "holds": bool(holds)})

    accuracy = result.get("accuracy") or {}
    for case, title in (("williamson2", "Williamson 2"), ("lauter", "Läuter")):
        for series in accuracy.get(case, []):
            name = f"{title}, {series['alpha_deg']}°, order {series['order']}"
            for row in series["rows"]:
                h = row["errors"]["h"]
                if case == "williamson2" and row["n"] == 90:
                    add(f"{name}, C90: l2 of h", "1e-7 (goal 1e-8)", h["l2"], h["l2"] <= 1e-7)
                if case == "williamson2" and row["n"] >= 48:
                    add(f"{name}, C{row['n']}: linf / l2", "< 6", h["linf"] / h["l2"], h["linf"] < 6 * h["l2"])
            if series["rows"] and series["rows"][-1].get("slopes"):
                slopes = series["rows"][-1]["slopes"]
                add(f"{name}, to C{series['rows'][-1]['n']}: slope in l2", "≥ 3.7", slopes["l2"], slopes["l2"] >= 3.7)
                add(f"{name}, to C{series['rows'][-1]['n']}: slope in linf", "≥ 3.5", slopes["linf"],
                    slopes["linf"] >= 3.5)
    for row in accuracy.get("rest", []):
        add(f"Rest over rough orography, order {row['order']}, {row['mean_depth'] / 1000:.0f} km deep, C{row['n']}: "
            "|v| (m/s)", "< 1e-11", row["largest_speed"], row["largest_speed"] < 1e-11)
    for series in (accuracy.get("williamson5") or {}).get("series", []):
        for row in series["rows"]:
            if row["n"] == 96:
                h = row["errors"]["h"]
                name = f"Williamson 5, day 15, order {series['order']}, C96"
                add(f"{name}: l2 of h", "7.5e-4 (HOMME, 1°)", h["l2"], h["l2"] <= 7.5e-4)
                add(f"{name}: linf of h", "8.4e-3 (HOMME, 1°)", h["linf"], h["linf"] <= 8.4e-3)
    steady = accuracy.get("galewsky_steady", [])
    if steady and max(s["n"] for s in steady) >= 96:  # coarser grids do not resolve the jet
        finest = max(steady, key=lambda s: (s["n"], s["order"]))
        wind = finest["largest_v"][-1]
        add(f"Jet without bump, order {finest['order']}, C{finest['n']}, day 6: |v| (m/s)", "small against 80", wind,
            wind < 1)
    worst = [abs(row["drifts"]["mass"]) / max(1.0, row["steps"] / 1000) for series in
             accuracy.get("williamson2", []) + accuracy.get("lauter", []) for row in series["rows"]]
    if worst:
        add("Relative mass drift per 1000 steps, worst run", "≤ 1e-14", max(worst), max(worst) <= 1e-14)
    viscous = ((result.get("galewsky") or {}).get("variants") or {}).get("galewsky-viscous")
    if viscous and viscous["successive"] and "slopes_by_day" in viscous["successive"][-1]:
        last = viscous["successive"][-1]
        for day in (3, 6) if last["n"] >= 96 else (3,):  # vortices of day 6 are not resolved below
            value = last["slopes_by_day"][day]["vorticity"]["l2"]
            add(f"Viscous Galewsky, day {day}, C{last['n']} to C{last['fine_n']}: slope of vorticity in l2", "≥ 3.7",
                value, value >= 3.7)
    table = [row for row in (result.get("speed") or {}).get("table", []) if row["order"] == 5]
    if table:
        best = max(table, key=lambda row: row["cell_stages_per_second"])
        rate = best["cell_stages_per_second"] / 1e6
        add(f"Million cell-stages/s on one rank, order 5, best: C{best['n']}", "≥ 20 (goal 50)", rate, rate >= 20)
        least = min(table, key=lambda row: row["cell_stages_per_second"])
        rate = least["cell_stages_per_second"] / 1e6
        add(f"Million cell-stages/s on one rank, order 5, least: C{least['n']}", "≥ 20 (goal 50)", rate, rate >= 20)
    return rows
