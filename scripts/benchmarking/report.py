"""report.html: one file with the claims, the plots and the tables."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape


def number(value):
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.1f}" if 10 <= abs(value) < 1e4 else f"{value:.3g}"
    return str(value)


def tables(result):
    """(title, header, rows) of each table."""
    out = []
    speed = (result.get("speed") or {}).get("table") or []
    if speed:
        out.append(("Speed on one rank", ["order", "grid", "cell-stages/s", "cell updates/s", "ns a cell-stage",
                                          "processor ns", "repeats", "of triad", "of multiply-adds", "load"],
                    [[r["order"], f"C{r['n']}", r["cell_stages_per_second"], r["cell_updates_per_second"],
                      r["nanoseconds_per_cell_stage"], r["processor_nanoseconds_per_cell_stage"], r["step"]["repeats"],
                      r.get("share_of_triad"), r.get("share_of_multiply_adds"), max(r["load"])] for r in speed]))
    scaling = result.get("scaling") or {}
    rows = [[kind, f"C{r['n']}", r["ranks"], r["cell_stages_per_second"], r.get("speedup"), r.get("efficiency"),
             r["halo_share"], max(r["load"])] for kind in ("strong", "weak") for r in scaling.get(kind, [])]
    if rows:
        out.append(("Scaling", ["kind", "grid", "ranks", "cell-stages/s", "speed-up", "efficiency", "halo share", "load"],
                    rows))
    accuracy = result.get("accuracy") or {}
    for case, title in (("williamson2", "Williamson 2, 5 days"), ("lauter", "Läuter, 5 days")):
        rows = [[s["alpha_deg"], s["order"], f"C{r['n']}"] + [r["errors"]["h"][k] for k in ("l1", "l2", "linf")] +
                [r.get("slopes", {}).get(k) for k in ("l2", "linf")] + [r["drifts"]["mass"], r["drifts"]["energy"]]
                for s in accuracy.get(case) or [] for r in s["rows"]]
        if rows:
            out.append((f"{title}: h", ["angle", "order", "grid", "l1", "l2", "linf", "slope l2", "slope linf",
                                        "mass drift", "energy drift"], rows))
    case = accuracy.get("williamson5") or {}
    rows = [[s["order"], f"C{r['n']}"] + [r["errors"]["h"][k] for k in ("l1", "l2", "linf")] +
            [r.get("slopes", {}).get("l2"), r["errors"]["vorticity"]["l2"]] +
            [r["drifts"][k] for k in ("energy", "enstrophy")]
            for s in case.get("series", []) for r in s["rows"]]
    if rows:
        out.append((f"Williamson 5, day 15, against C{case['reference_n']}",
                    ["order", "grid", "l1 of h", "l2", "linf", "slope l2", "l2 of vorticity", "energy drift",
                     "enstrophy drift"], rows))
    galewsky = result.get("galewsky") or {}
    for name, variant in (galewsky.get("variants") or {}).items():
        rows = [[c["integrator"], c["order"], f"C{r['n']}", r["courant"], r["steps"], r["seconds"],
                 r["processor_seconds"], r["errors"]["vorticity"]["l2"], r["errors"]["vorticity"]["linf"],
                 r["errors"]["h"]["l2"], max(r["load"])]
                for c in variant["curves"] for r in c["rows"]]
        if rows:
            out.append((f"{name.replace('-', ', ')}: day 6 against C{galewsky['reference_n']}",
                        ["integrator", "order", "grid", "Courant number", "steps", "wall s", "processor s",
                         "l2 of vorticity", "linf", "l2 of h", "load"], rows))
        for day in ("3", "6"):
            rows = [[c["integrator"], c["courant"], c["order"]] + list(c["seconds_to_error"][day].values())
                    for c in variant["curves"] if any(v is not None for v in c["seconds_to_error"][day].values())]
            if rows:
                out.append((f"{name.replace('-', ', ')}: wall seconds (of six days) for an l2 error of vorticity at day "
                            f"{day}",
                            ["integrator", "Courant number", "order"] + [f"{t:g}" for t in galewsky["targets"]], rows))
        rows = [[f"C{r['n']} to C{r['fine_n']}", day, e["h"]["l2"], e["vorticity"]["l2"], e["vorticity"]["linf"],
                 ((r.get("slopes_by_day") or {}).get(day) or {}).get("vorticity", {}).get("l2")]
                for r in variant["successive"] for day, e in r["by_day"].items() if e]
        if rows:
            out.append((f"{name.replace('-', ', ')}: each grid against the next finer one",
                        ["grids", "day", "l2 of h", "l2 of vorticity", "linf", "slope of l2 of vorticity"], rows))
    rows = [[r["case"], r["days"], f"C{r['n']}", r["integrator"], r.get("helmholtz"), r["cfl"], r["seconds"],
             r["cpu_seconds"], r["depth"]["l2"] if r["finite"] else None, r["vorticity"]["l2"] if r["finite"] else None]
            for r in result.get("integrators") or []]
    if rows:
        out.append(("Integrators at fixed grids",
                    ["case", "days", "grid", "integrator", "Helmholtz solver", "Courant number", "wall s", "processor s",
                     "l2 of depth", "l2 of vorticity"], rows))
    return out


def write_report(result, pictures, folder, subject="the solver", shown_tables=None):
    """@param shown_tables: (title, header, rows) of each table; by default those of the solver"""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent),
                              autoescape=select_autoescape(["html", "j2"]))
    environment.filters["number"] = number
    shown = [{"title": title, "caption": caption, "data": base64.b64encode((folder / name).read_bytes()).decode()}
             for name, title, caption in pictures]
    page = environment.get_template("report.html.j2").render(
        result=result, pictures=shown, subject=subject,
        tables=tables(result) if shown_tables is None else shown_tables)
    path = folder / "report.html"
    path.write_text(page)
    return path
