#!/usr/bin/env python3
"""Compares two runs of one case on nested grids: scripts/compare_runs.py FINE/solver.nc COARSE/solver.nc

The fine run is averaged to the coarse cells and taken for exact: h and vorticity by area, velocity by momentum in the
components of the panel, which is how the solver's cell means nest. Prints l1, l2 and linf (Williamson et al. 1992, eqs.
82 to 84) of h, speed and vorticity as JSON, over the whole sphere or, with --south and --north, over a belt."""

import argparse
import importlib.util
import json
import os
import sys

NEEDED = ("numpy", "h5py")


def find_interpreter():
    """Goes on in an interpreter that has the modules: the one on the PATH may not be the system's."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.environ.get("TRAMONTANE_COMPARE_INTERPRETER") != system:
        os.environ["TRAMONTANE_COMPARE_INTERPRETER"] = system
        for name in ("PYTHONHOME", "PYTHONPATH"):
            os.environ.pop(name, None)
        os.execv(system, [system] + sys.argv)
    sys.exit(
        f"compare_runs.py: {sys.executable} has no module {', '.join(missing)}: run scripts/bootstrap, or install "
        "them (Debian: python3-numpy python3-h5py)"
    )


class Run:
    """One record of a solver.nc: fields of shape (panel, y, x)."""

    def __init__(self, path, hours):
        import h5py
        import numpy

        try:
            file = h5py.File(path, "r")
        except OSError as error:
            sys.exit(f"compare_runs.py: {path} cannot be read ({error}): name a solver.nc of a run")
        with file:
            missing = [name for name in ("time", "cell_area", "lon", "lat", "h", "u", "v", "vorticity") if name not in file]
            if missing:
                sys.exit(f"compare_runs.py: {path} has no {', '.join(missing)}: name a solver.nc of a run")
            times = file["time"][:] / 3600
            if len(times) == 0:
                sys.exit(f"compare_runs.py: {path} holds no record: let the run write output first")
            record = len(times) - 1 if hours is None else int(numpy.argmin(abs(times - hours)))
            self.hours = float(times[record])
            self.area = file["cell_area"][:].astype(float)
            self.lon, self.lat = numpy.radians(file["lon"][:]), numpy.radians(file["lat"][:])
            self.h, self.vorticity = file["h"][record].astype(float), file["vorticity"][record].astype(float)
            east, north = file["u"][record].astype(float), file["v"][record].astype(float)
        self.n = self.h.shape[1]
        self.basis = panel_basis(self.lon, self.lat)
        self.velocity = east * self.basis["east"] + north * self.basis["north"]


def panel_basis(lon, lat):
    """Unit vectors and the panels' covariant basis vectors at cell centres, each of shape (3, panel, y, x)."""
    import numpy

    r = numpy.array([numpy.cos(lat) * numpy.cos(lon), numpy.cos(lat) * numpy.sin(lon), numpy.sin(lat)])
    level = numpy.hypot(r[0], r[1])
    polar = level < 1e-14
    safe = numpy.where(polar, 1.0, level)
    east = numpy.array([numpy.where(polar, 0.0, -r[1] / safe), numpy.where(polar, 1.0, r[0] / safe), 0 * level])
    # Centre and the directions of growing alpha and beta, as in physics/cubed_sphere.hpp.
    axes = numpy.array([
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    ], dtype=float)
    depth, ex, ey = (numpy.einsum("pc,cpyx->pyx", axes[:, k], r) for k in range(3))
    x, y = ex / depth, ey / depth
    d = numpy.sqrt(1 + x**2 + y**2)

    def covariant(axis, tangent):
        return (1 + tangent**2) * (axes[:, axis].T[:, :, None, None] / d - tangent / d**2 * r)

    return {"east": east, "north": numpy.cross(r, east, axis=0), "alpha": covariant(1, x), "beta": covariant(2, y)}


def contravariant(basis, v):
    """Components of v in the panels' basis."""
    a, b = basis["alpha"], basis["beta"]
    aa, ab, bb = (a * a).sum(0), (a * b).sum(0), (b * b).sum(0)
    va, vb = (v * a).sum(0), (v * b).sum(0)
    det = aa * bb - ab * ab
    return (bb * va - ab * vb) / det, (aa * vb - ab * va) / det


def block_sum(field, ratio):
    panels, n = field.shape[0], field.shape[1] // ratio
    return field.reshape(panels, n, ratio, n, ratio).sum((2, 4))


def coarse_grained(fine, coarse):
    """h, speed and vorticity of the fine run as the coarse grid's cell means hold them."""
    ratio = fine.n // coarse.n
    area = block_sum(fine.area, ratio)
    volume = block_sum(fine.area * fine.h, ratio)
    ua, ub = (block_sum(fine.area * fine.h * u, ratio) / volume for u in contravariant(fine.basis, fine.velocity))
    velocity = ua * coarse.basis["alpha"] + ub * coarse.basis["beta"]
    return {"h": volume / area, "speed": (velocity**2).sum(0) ** 0.5,
            "vorticity": block_sum(fine.area * fine.vorticity, ratio) / area}


def norms(value, exact, area):
    error = abs(value - exact)
    return {
        "l1": float((area * error).sum() / (area * abs(exact)).sum()),
        "l2": float(((area * error**2).sum() / (area * exact**2).sum()) ** 0.5),
        "linf": float(error.max() / abs(exact).max()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fine", help="solver.nc of the finer run, the reference")
    parser.add_argument("coarse", help="solver.nc of the coarser run")
    parser.add_argument("--hours", type=float, help="model time of the records to compare; default: the last of each")
    parser.add_argument("--south", type=float, default=-90, help="southern bound of the belt, degrees")
    parser.add_argument("--north", type=float, default=90, help="northern bound of the belt, degrees")
    arguments = parser.parse_args()
    find_interpreter()
    import numpy

    fine, coarse = Run(arguments.fine, arguments.hours), Run(arguments.coarse, arguments.hours)
    if fine.n % coarse.n:
        sys.exit(f"compare_runs.py: C{coarse.n} does not nest in C{fine.n}: choose runs whose grid.n divide")
    if abs(fine.hours - coarse.hours) > 1e-6:
        sys.exit(f"compare_runs.py: records at {fine.hours:g} h and {coarse.hours:g} h: give --hours a time both wrote")
    exact = coarse_grained(fine, coarse)
    values = {"h": coarse.h, "speed": (coarse.velocity**2).sum(0) ** 0.5, "vorticity": coarse.vorticity}
    latitude = numpy.degrees(coarse.lat)
    belt = (latitude >= arguments.south) & (latitude <= arguments.north)
    if not belt.any():
        sys.exit("compare_runs.py: no cell centre lies between --south and --north: widen the belt")
    result = {"fine_n": fine.n, "coarse_n": coarse.n, "hours": coarse.hours}
    result |= {name: norms(values[name][belt], exact[name][belt], coarse.area[belt]) for name in values}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
