#!/usr/bin/env python3
"""Plots and report.html of a run folder: scripts/plot.py runs/quickstart"""

import argparse
import importlib.util
import os
import sys

NEEDED = ("numpy", "matplotlib", "xarray", "netCDF4", "cartopy", "jinja2")


def find_interpreter():
    """Goes on in an interpreter that has the modules: the one on the PATH may not be the system's."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.environ.get("TRAMONTANE_PLOT_INTERPRETER") != system:
        os.environ["TRAMONTANE_PLOT_INTERPRETER"] = system
        for name in ("PYTHONHOME", "PYTHONPATH"):
            os.environ.pop(name, None)
        os.execv(system, [system] + sys.argv)
    sys.exit(
        f"plot.py: {sys.executable} has no module {', '.join(missing)}: run scripts/bootstrap, or install them "
        "(Debian: python3-matplotlib python3-xarray python3-netcdf4 python3-cartopy python3-jinja2)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="output.dir of a run")
    folder = parser.parse_args().folder
    find_interpreter()

    import matplotlib

    matplotlib.use("Agg")
    from plotting.curves import draw_curves
    from plotting.maps import draw_fallback_maps, draw_forecast_maps, draw_solver_maps
    from plotting.report import write_report
    from plotting.run_folder import RunFolder

    run = RunFolder(folder)
    if run.summary is None:
        sys.exit(f"plot.py: {folder} holds no summary.json: name the output.dir of a finished run")
    plots = draw_curves(run) + draw_forecast_maps(run) + draw_fallback_maps(run) + draw_solver_maps(run)
    for plot in plots:
        print(f"    {plot.path}")
    print(f"    {write_report(run, plots)}")


if __name__ == "__main__":
    main()
