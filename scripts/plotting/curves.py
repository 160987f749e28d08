"""Curves: error against lead time, loss against step, drift of the invariants against time."""

import matplotlib.pyplot as plt

from .run_folder import COLOURS, FIELD_NAMES, FIELD_UNITS, Plot

plt.rcParams.update({
    "figure.dpi": 110, "savefig.bbox": "tight", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
})


def _save(figure, run, name, title, caption):
    path = run.path / f"{name}.png"
    figure.savefig(path)
    plt.close(figure)
    return Plot(path, title, caption)


def draw_rmse(run):
    forecast = run.summary.get("forecast")
    if not forecast or not forecast.get("rmse"):
        return []
    fields, hours = list(forecast["rmse"]), forecast["lead_hours"]
    figure, axes = plt.subplots(2, len(fields), figsize=(4.8 * len(fields), 5.6), squeeze=False, layout="constrained",
                                sharex=True, height_ratios=[3, 2])
    for column, field in enumerate(fields):
        above, below = axes[:, column]
        systems = forecast["rmse"][field]
        for system, values in systems.items():
            style = {"color": COLOURS.get(system), "marker": "o", "markersize": 3, "label": system,
                     "linestyle": "--" if system == "persistence" else "-"}
            shown = [(hour, value) for hour, value in zip(hours, values) if value]
            above.plot([hour for hour, _ in shown], [value for _, value in shown], **style)
            ratios = [(hour, value / coarse) for hour, value, coarse in zip(hours, values, systems.get("coarse", []))
                      if value is not None and coarse]
            if system != "persistence" and ratios:
                below.plot([hour for hour, _ in ratios], [ratio for _, ratio in ratios], **style)
        above.set_title(FIELD_NAMES.get(field, field))
        above.set_yscale("log")
        above.set_ylabel(f"RMSE ({FIELD_UNITS.get(field, '')})")
        below.set_ylabel("RMSE / coarse solver's")
        below.set_xlabel("lead time (h)")
        below.set_xlim(left=0)
        below.set_xticks(range(0, int(max(hours)) + 1, 24))
    axes[0][0].legend()
    return [_save(figure, run, "rmse", "Error against lead time",
                  f"Area-weighted root-mean-square error against the coarse-grained fine solver, over "
                  f"{forecast.get('starts')} start months that were never trained on.")]


def draw_loss(run):
    steps, losses = run.series("train", "step", "loss")
    if not steps:
        return []
    figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    axis.plot(steps, losses, color=COLOURS["coarse"], linewidth=1, label="training")
    validation = run.series("validate", "step", ("loss", "validation_loss"))
    if validation[0]:
        axis.plot(*validation, color=COLOURS["hybrid"], marker="o", markersize=4, label="months never trained on")
    axis.set_yscale("log")
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("loss (targets normalised)")
    axis.legend()
    return [_save(figure, run, "loss", "Training", "Loss of the network, on batches and on held-out months.")]


def draw_drift(run):
    curves = []
    for key, name, colour in (("mass_drift", "mass", COLOURS["fine"]), ("energy_drift", "energy", COLOURS["hybrid"]),
                              ("enstrophy_drift", "potential enstrophy", COLOURS["coarse"]),
                              ("angular_momentum_drift", "angular momentum", COLOURS["coarse"])):
        times, values = run.series("solver", "time_seconds", key)
        if len(times) > 1:
            curves.append((name, colour, [t / 86400 for t in times], values))
    if not curves:
        return []
    figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.2), squeeze=False, layout="constrained")
    for axis, (name, colour, days, values) in zip(axes[0], curves):
        axis.plot(days, values, color=colour)
        axis.set_title(name)
        axis.set_xlabel("time (d)")
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    axes[0][0].set_ylabel("relative drift")
    return [_save(figure, run, "drift", "Conservation", "Change of the global integrals relative to the start.")]


def draw_curves(run):
    """All curves that the run has data for."""
    return draw_rmse(run) + draw_loss(run) + draw_drift(run)
