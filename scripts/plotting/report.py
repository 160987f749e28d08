"""report.html: one page that stands alone, pictures embedded."""

import base64
from pathlib import Path

import jinja2


def nearest(hours, wanted):
    return min(range(len(hours)), key=lambda k: abs(hours[k] - wanted))


def skill_rows(forecast):
    """RMSE of each field and system at about 24 h, 72 h and the end, and the hybrid's gain over the coarse solver."""
    hours, rows = forecast["lead_hours"], []
    leads = sorted({nearest(hours, 24), nearest(hours, 72), len(hours) - 1})
    for field, systems in forecast["rmse"].items():
        for lead in leads:
            values = {system: series[lead] for system, series in systems.items()}
            coarse, hybrid = values.get("coarse"), values.get("hybrid")
            gain = 100 * (1 - hybrid / coarse) if coarse and hybrid is not None else None
            rows.append({"field": field, "hours": hours[lead], "values": values, "gain": gain})
    return rows


def statements(summary):
    """Plain sentences about the run, as the numbers have it."""
    said = []
    forecast, learner, stream, solver = (summary.get(k) for k in ("forecast", "learner", "stream", "solver"))
    if forecast and forecast.get("rmse"):
        for row in skill_rows(forecast):
            if row["gain"] is not None and abs(row["hours"] - 24) < 1 or row["gain"] is not None and abs(
                    row["hours"] - 72) < 1:
                word = "below" if row["gain"] > 0 else "above"
                said.append(f"At {row['hours']:.0f} h the hybrid's RMSE of {row['field']} is {abs(row['gain']):.1f}% "
                            f"{word} the coarse solver's ({row['values']['hybrid']:.4g} against "
                            f"{row['values']['coarse']:.4g}).")
    if forecast and forecast.get("fallback_fraction") is not None:
        said.append(f"Physics ran alone in {100 * forecast['fallback_fraction']:.2g}% of the hybrid's cells and intervals, "
                    "where the guard found the network foreign to its training.")
    if learner and learner.get("loss_first") and learner.get("loss_last") is not None:
        ratio = learner["loss_last"] / learner["loss_first"]
        sentence = f"The training loss went from {learner['loss_first']:.3g} to {learner['loss_last']:.3g} ({ratio:.0%})"
        if learner.get("validation_loss") is not None:
            sentence += f"; on months never trained on it is {learner['validation_loss']:.3g}"
        said.append(sentence + ".")
    if stream:
        right = stream["delivered"] + stream["dropped"] + stream["in_flight"]
        said.append(f"The ledger {'closes' if stream['produced'] == right else 'DOES NOT CLOSE'}: {stream['produced']} "
                    f"frames produced = {stream['delivered']} delivered + {stream['dropped']} dropped + "
                    f"{stream['in_flight']} in flight; {stream['rejected']} rejected.")
    if solver and solver.get("mass_drift") is not None:
        said.append(f"The mass of the fluid changed by {solver['mass_drift']:.1e} of itself.")
    return said


def flatten(group, prefix=""):
    """(name, value) of the numbers of a group of the summary, one level of names joined by dots."""
    for key, value in group.items():
        if isinstance(value, dict):
            yield from flatten(value, prefix + key + ".")
        elif not isinstance(value, list):
            yield prefix + key, value


def number(value):
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"{value:.4g}"


def write_report(run, plots):
    """Writes <folder>/report.html and returns its path."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    summary = run.summary
    groups = [(name, list(flatten(summary[name]))) for name in ("solver", "stream", "learner", "energy")
              if isinstance(summary.get(name), dict)]
    forecast = summary.get("forecast")
    rows = skill_rows(forecast) if forecast and forecast.get("rmse") else []
    systems = [s for s in ("persistence", "coarse", "hybrid", "emulator") if any(s in row["values"] for row in rows)]
    pictures = [{"title": plot.title, "caption": plot.caption,
                 "data": base64.b64encode(plot.path.read_bytes()).decode()} for plot in plots]
    page = environment.get_template("report.html.j2").render(
        summary=summary, statements=statements(summary), groups=groups, rows=rows, systems=systems, forecast=forecast,
        pictures=pictures, deck=run.deck, folder=run.path.resolve().name)
    path = run.path / "report.html"
    aside = path.with_suffix(".html.part")
    aside.write_text(page)
    aside.rename(path)
    return path
