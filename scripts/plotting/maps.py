"""Maps of cubed-sphere fields, cell by cell, with coastlines."""

import logging
from pathlib import Path

import cartopy
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy
from cartopy.io import shapereader

from .run_folder import FIELD_UNITS, Plot

# Coastlines that Debian's python-cartopy-data brings: nothing is fetched from the network.
COAST = "shapefiles/gshhs/c/GSHHS_c_L1.shp"


def coastlines():
    """Longitudes and latitudes of all coasts in one line each, gaps as NaN; None where the data is not installed."""
    # The file's few odd polygons are harmless here: only their outlines are used.
    logging.getLogger("shapefile").setLevel(logging.ERROR)
    folders = [Path("/usr/share/cartopy/data")] + [Path(cartopy.config[key]) for key in
                                                     ("pre_existing_data_dir", "repo_data_dir", "data_dir")
                                                     if cartopy.config.get(key)]
    file = next((folder / COAST for folder in folders if (folder / COAST).exists()), None)
    if file is None:
        return None
    lines = []
    for polygon in shapereader.Reader(str(file)).geometries():
        for part in getattr(polygon, "geoms", [polygon]):
            line = numpy.array(part.exterior.coords)[:, :2]
            lon = (line[:, 0] + 180) % 360 - 180
            # Land is cut along meridians that are multiples of 180: those cuts are no coast.
            on_cut = numpy.abs((line[:, 0] + 90) % 180 - 90) < 1e-6
            gap = numpy.concatenate([[False], (on_cut[1:] & on_cut[:-1]) | (numpy.abs(numpy.diff(lon)) > 180)])
            points = numpy.column_stack([lon, line[:, 1]])
            lines.append(numpy.insert(points, numpy.flatnonzero(gap), numpy.nan, axis=0))
            lines.append(numpy.full((1, 2), numpy.nan))
    return numpy.concatenate(lines)


def unit_vectors(longitude, latitude):
    lon, lat = numpy.broadcast_arrays(numpy.radians(longitude), numpy.radians(latitude))
    return numpy.stack([numpy.cos(lat) * numpy.cos(lon), numpy.cos(lat) * numpy.sin(lon), numpy.sin(lat)], axis=-1)


class Mapper:
    """Shows fields (panel, y, x) on a longitude-latitude raster: every pixel has the value of the nearest centre."""

    def __init__(self, dataset, spacing=1.0):
        self.edges_lon = numpy.arange(-180, 180 + spacing / 2, spacing)
        self.edges_lat = numpy.arange(-90, 90 + spacing / 2, spacing)
        self.lon = (self.edges_lon[:-1] + self.edges_lon[1:]) / 2
        self.lat = (self.edges_lat[:-1] + self.edges_lat[1:]) / 2
        cells = unit_vectors(dataset.lon.values.ravel(), dataset.lat.values.ravel())
        self.nearest = numpy.empty((len(self.lat), len(self.lon)), dtype=int)
        for row, lat in enumerate(self.lat):
            # Only cells near the parallel can be the nearest: a belt a little wider than a cell.
            belt = numpy.flatnonzero(numpy.abs(cells[:, 2] - numpy.sin(numpy.radians(lat))) < self._belt(len(cells)))
            self.nearest[row] = belt[numpy.argmax(unit_vectors(self.lon, lat) @ cells[belt].T, axis=1)]
        self.coast = coastlines()
        self.orography = dataset.orography.values if "orography" in dataset else None

    @staticmethod
    def _belt(count):
        return 2.5 * numpy.sqrt(4 * numpy.pi / count)

    def raster(self, field):
        return numpy.asarray(field).ravel()[self.nearest]

    def draw(self, axis, field, title, **colours):
        mesh = axis.pcolormesh(self.edges_lon, self.edges_lat, self.raster(field), transform=ccrs.PlateCarree(),
                               rasterized=True, **colours)
        if self.coast is not None:
            axis.plot(self.coast[:, 0], self.coast[:, 1], transform=ccrs.PlateCarree(), color="black", linewidth=0.5,
                      alpha=0.7)
        elif self.orography is not None:
            axis.contour(self.lon, self.lat, self.raster(self.orography), levels=[200], colors="black",
                         linewidths=0.4, transform=ccrs.PlateCarree())
        axis.set_global()
        axis.set_title(title, fontsize=10)
        return mesh


def grid_of_maps(rows, columns):
    # Robinson's standard map, centred on Greenwich.
    return plt.subplots(rows, columns, figsize=(4.4 * columns, 2.6 * rows), squeeze=False, layout="constrained",
                        subplot_kw={"projection": ccrs.Robinson()})


def save(figure, run, name, title, caption):
    path = run.path / f"{name}.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return Plot(path, title, caption)


def symmetric(*fields):
    """Limits about zero that hold all but the outermost half per cent of the values."""
    limit = max(numpy.quantile(numpy.abs(f), 0.995) for f in fields)
    return {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"}


def forecast_field(dataset, field, system, start, lead):
    if field == "speed":
        u = forecast_field(dataset, "u", system, start, lead)
        v = forecast_field(dataset, "v", system, start, lead)
        return numpy.hypot(u, v)
    return dataset[f"{field}_{system}"].isel(start=start, lead=lead).values


def start_label(dataset, start):
    if "start_month" not in dataset:
        return f"forecast {start}"
    label = dataset.start_month.values[start]
    return label.decode() if isinstance(label, bytes) else str(label)


def lead_hours(dataset):
    name = "lead_hours" if "lead_hours" in dataset else "lead"
    return numpy.asarray(dataset[name].values, dtype=float)


def draw_forecast_maps(run):
    """Fine, coarse, hybrid and their differences at about 24 h and 72 h of the first forecast."""
    dataset = run.dataset("forecast.nc")
    if dataset is None:
        return []
    mapper, plots, start = Mapper(dataset), [], 0
    hours = lead_hours(dataset)
    systems = [s for s in ("coarse", "hybrid") if f"h_{s}" in dataset]
    leads = sorted({int(numpy.argmin(numpy.abs(hours - wanted))) for wanted in (24, 72)})
    fields = ["h"] + (["speed"] if "u_fine" in dataset and "v_fine" in dataset else [])
    for lead in leads:
        for field in fields:
            values = {s: forecast_field(dataset, field, s, start, lead) for s in ["fine"] + systems}
            errors = {s: values[s] - values["fine"] for s in systems}
            unit = FIELD_UNITS[field]
            figure, axes = grid_of_maps(2, 1 + len(systems))
            low, high = numpy.quantile(values["fine"], [0.002, 0.998])
            for axis, (system, value) in zip(axes[0], values.items()):
                mesh = mapper.draw(axis, value, system, vmin=low, vmax=high, cmap="viridis")
            figure.colorbar(mesh, ax=axes[0], shrink=0.8, label=unit)
            shared = symmetric(*errors.values())
            if len(systems) == 2:
                change = values["hybrid"] - values["coarse"]
                mapper.draw(axes[1][0], change, "hybrid − coarse", **shared)
            else:
                axes[1][0].set_visible(False)
            for axis, system in zip(axes[1][1:], systems):
                mesh = mapper.draw(axis, errors[system], f"{system} − fine", **shared)
            figure.colorbar(mesh, ax=axes[1], shrink=0.8, label=unit)
            name = {"h": "Depth", "speed": "Wind speed"}[field]
            month = start_label(dataset, start)
            plots.append(save(figure, run, f"map_{field}_{hours[lead]:.0f}h", f"{name} after {hours[lead]:.0f} h",
                              f"Forecast from {month}. Above: fine solver (coarse-grained), coarse solver, hybrid. "
                              f"Below: what the network changed, and the errors of both, on one scale."))
    dataset.close()
    return plots


def draw_fallback_maps(run):
    """Where the guard left the network's correction out, in the mean over all forecasts up to about 24 h, 72 h and the
    end; nothing where it never did."""
    dataset = run.dataset("forecast.nc")
    if dataset is None or "fallback_hybrid" not in dataset:
        return []
    share = dataset["fallback_hybrid"].values.mean(axis=0)
    hours, plots = lead_hours(dataset), []
    if len(hours) > 1 and share.max() > 0:
        mapper = Mapper(dataset)
        leads = sorted({max(1, int(numpy.argmin(numpy.abs(hours - wanted)))) for wanted in (24, 72, hours[-1])})
        figure, axes = grid_of_maps(1, len(leads))
        for axis, lead in zip(axes[0], leads):
            mean = share[1:lead + 1].mean(axis=0)
            mesh = mapper.draw(axis, 100 * mean, f"up to {hours[lead]:.0f} h: {100 * mean.mean():.2g} %", vmin=0, vmax=100,
                               cmap="magma_r")
        figure.colorbar(mesh, ax=axes[0], shrink=0.8, label="% of the time")
        plots.append(save(figure, run, "map_fallback", "Where physics ran alone",
                          "Share of the network's correction that the guard left out because inputs or outputs were "
                          "foreign to its training, mean over all forecasts; in the titles over all cells."))
    dataset.close()
    return plots


def draw_solver_maps(run):
    """Fields of a solver run at its start and at its end."""
    dataset = run.dataset("solver.nc")
    if dataset is None or dataset.sizes.get("time", 0) == 0:
        return []
    mapper, plots = Mapper(dataset), []
    records = sorted({0, dataset.sizes["time"] - 1})
    days = dataset.time.values / 86400

    def value(field, record):
        if field == "speed":
            return numpy.hypot(dataset.u.isel(time=record).values, dataset.v.isel(time=record).values)
        return dataset[field].isel(time=record).values

    def draw(field, name, unit, diverging=False):
        shown = [value(field, record) for record in records]
        if diverging:
            colours = symmetric(*shown)
        else:
            low = min(numpy.quantile(s, 0.002) for s in shown)
            high = max(numpy.quantile(s, 0.998) for s in shown)
            colours = {"vmin": low, "vmax": high, "cmap": "viridis"}
        figure, axes = grid_of_maps(1, len(records))
        for axis, record, field_values in zip(axes[0], records, shown):
            mesh = mapper.draw(axis, field_values, f"day {days[record]:.4g}", **colours)
        figure.colorbar(mesh, ax=axes[0], shrink=0.8, label=unit)
        plots.append(save(figure, run, f"map_{field}", name, "At the start and at the end of the run."))

    if "h" in dataset:
        draw("h", "Depth", "m")
    if "u" in dataset and "v" in dataset:
        draw("speed", "Wind speed", "m/s")
    if "vorticity" in dataset:
        draw("vorticity", "Relative vorticity", "1/s", diverging=True)
    for name in dataset.data_vars:
        if dataset[name].attrs.get("long_name", "").startswith("mixing ratio of tracer"):
            draw(name, f"Tracer {name}", dataset[name].attrs["units"])
    dataset.close()
    return plots
