#!/usr/bin/env python3
"""Predicts the largest stable Courant number of explicit Runge-Kutta schemes with the solver's flux, and fits rk63.

The shallow-water equations are linearised about a uniform flow on a uniform grid of skewed cells: upwind reconstruction
of third, fifth or seventh order in a row, means over two Gauss lines across it, LMARS flux. The eigenvalues of the symbol, scaled by the
sum over directions of |u| + c, are the spectrum that a scheme's stability polynomial has to cover. A polynomial of
s stages and third order has s - 3 free coefficients; for a given step the smallest possible maximum of |P| over the
spectrum is a linear programme, and the largest step comes by bisection (Ketcheson and Ahmadia 2012, Comm. App. Math.
Comp. Sci. 7). Viscosity adds real eigenvalues: a mixture of a share s of the largest decay rate and a share 1 - s of the
waves at their limit has to be stable for every s. docs/design/time-integration.md has the results. Needs numpy and
scipy.
"""
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import linprog

GAUSS = 0.28867513459481288225


@lru_cache
def cell_weights(order, x):
    """Weights of the averages of `order` cells for the value at x, in cell widths from the left edge of the first."""
    lagrange = []
    for m in range(order + 1):
        p = np.poly1d([1.0])
        for other in range(order + 1):
            if other != m:
                p = p * np.poly1d([1, -other]) / (m - other)
        lagrange.append(p.deriv()(x))
    return [sum(lagrange[cell + 1:]) for cell in range(order)]


def gauss_line(k, order):
    """Symbol of the mean of the reconstructions at the two Gauss points."""
    weights = cell_weights(order, order / 2 - GAUSS)
    return sum(w * np.cos((cell - order // 2) * k) for cell, w in enumerate(weights))


def symbol(kx, ky, u, v, skew, order):
    """3 x 3 symbol for (eta, u^a, u^b): c = phi = spacing = 1, G^aa = G^bb = 1, G^ab = skew."""
    face = cell_weights(order, order // 2 + 1.0)

    def divergence(k, axis):
        a = np.exp(1j * k)
        left = sum(w * a**(cell - order // 2) for cell, w in enumerate(face))
        right = sum(w * a**(1 + order // 2 - cell) for cell, w in enumerate(face))
        normal, tangent = (u, v) if axis == 0 else (v, u)
        upwind = left if normal >= 0 else right
        eta, across, along = np.eye(3, dtype=complex)[[0, 1, 2] if axis == 0 else [0, 2, 1]]
        velocity = 0.5 * (left + right) * across + 0.5 * (left - right) * eta
        pressure = 0.5 * (left + right) * eta + 0.5 * (left - right) * across
        mass = velocity + normal * upwind * eta
        momentum = mass * normal + normal * upwind * across + pressure
        shear = mass * tangent + normal * upwind * along + skew * pressure
        rows = [mass, momentum, shear] if axis == 0 else [mass, shear, momentum]
        return -(1 - 1 / a) * np.array(rows)
    conserved = np.array([[1, 0, 0], [u, 1, 0], [v, 0, 1]], complex)
    return np.linalg.solve(conserved, gauss_line(ky, order) * divergence(kx, 0) +
                           gauss_line(kx, order) * divergence(ky, 1))


def spectrum(froude, skews, order=5, waves=14):
    k = np.linspace(-np.pi, np.pi, 2 * waves + 1)
    values = []
    for f in froude:
        for angle in [0.0] if f == 0 else [0.0, np.pi / 4, np.pi / 2]:
            u, v = f * np.cos(angle), f * np.sin(angle)
            for skew in skews:
                for kx in k[waves:]:
                    for ky in k:
                        values.append(np.linalg.eigvals(symbol(kx, ky, u, v, skew, order)) /
                                      (abs(u) + abs(v) + 2))
    z = np.concatenate(values)
    return z[(z.imag >= -1e-12) & (abs(z) > 0.02)]


def limit(polynomial, z):
    """Largest r with |P(r z)| <= 1 on the whole spectrum for all steps up to r."""
    last = 0.0
    for r in np.linspace(0.02, 20, 1000):
        if np.max(np.abs(np.polyval(np.asarray(polynomial)[::-1], r * z))) > 1 + 1e-7:
            break
        last = r
    return last


def amplification(polynomial, z):
    return np.max(np.abs(np.polyval(np.asarray(polynomial)[::-1], z)))


def real_axis_limit(polynomial, z, waves_limit):
    """Largest decay rate times step that is stable in every mixture with the waves, whose own limit is given."""
    last = 0.0
    for r in np.arange(0.01, 8, 0.01):
        if amplification(polynomial, -r) > 1 + 1e-7:
            break
        last = r
    mixtures = [(1 - s) * waves_limit * z - s * last * decay for s in np.linspace(0.02, 1, 50)
                for decay in (0.25, 0.5, 0.75, 1)]
    worst = max(amplification(polynomial, mixture) for mixture in mixtures)
    return last, worst


def fit(z, stages, order=3):
    """Coefficients of the polynomial with the largest stable step on the spectrum z."""
    fixed = [1 / factorial(i) for i in range(order + 1)]
    free = stages - order
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    z = np.unique(np.round(z, 2))

    def smallest_maximum(r):
        w = r * z
        base = sum(c * w**i for i, c in enumerate(fixed))
        columns = [w**(order + 1 + j) for j in range(free)]
        scales = [np.max(np.abs(c)) for c in columns]
        rows, bounds = [], []
        for t in angles:
            turn = np.exp(-1j * t)
            rows.append(np.stack([(turn * c / s).real for c, s in zip(columns, scales)] + [-np.ones(len(w))], 1))
            bounds.append(-(turn * base).real)
        found = linprog([0] * free + [1], A_ub=np.concatenate(rows), b_ub=np.concatenate(bounds),
                        bounds=[(None, None)] * (free + 1), method="highs")
        return found.x[-1], fixed + list(found.x[:free] / np.array(scales))

    low, high, best = 0.5, 1.2 * stages, fixed
    for _ in range(14):
        middle = (low + high) / 2
        value, polynomial = smallest_maximum(middle)
        if value <= 1 + 1e-4:
            low, best = middle, polynomial
        else:
            high = middle
    return best


def classical():
    z, one = Polynomial([0, 1]), Polynomial([1])
    schemes = {"ssprk3": [1, 1, 1 / 2, 1 / 6], "rk4": [1, 1, 1 / 2, 1 / 6, 1 / 24]}
    half = one + z / 2
    third = 2 / 3 * one + 1 / 3 * half * half * half
    schemes["ssprk43"] = (third * half).coef
    q1 = one
    for _ in range(5):
        q1 = q1 + z / 6 * q1
    q2 = 1 / 25 * one + 9 / 25 * q1
    q1 = 15 * q2 - 5 * q1
    for _ in range(4):
        q1 = q1 + z / 6 * q1
    schemes["ssprk104"] = (q2 + 3 / 5 * q1 + z / 10 * q1).coef
    u1 = one + z / 5
    u4 = one + 2 / 3 * z * (one + z / 3 * (one + z / 5 * u1))
    nodes = 0.10143363, 0.14185463, 0.22334464
    schemes["rk63"] = [1, 1, 1 / 2] + [np.prod(nodes[k:]) / 6 for k in (3, 2, 1, 0)]
    schemes["kgu35"] = (1.25 * u1 - 0.25 + 0.75 * z * u4).coef
    return schemes


def main():
    for skew in (0.0, 0.2, 0.5):
        z = spectrum((0.0, 0.15), (0.0, skew, -skew))
        print(f"skew {skew}:", ", ".join(f"{name} {limit(p, z):.2f}" for name, p in classical().items()))
    for order in (3, 5, 7):
        z = spectrum((0.0, 0.15, 0.25), (0.0, 0.5, -0.5), order, waves=10)
        for name in ("ssprk3", "rk4", "rk63"):
            waves = limit(classical()[name], z)
            decay, worst = real_axis_limit(classical()[name], z, waves)
            print(f"order {order}, skew 0.5, {name}: waves {waves:.2f}, decay {decay:.2f}, mixtures grow by "
                  f"{worst - 1:.0e}")
    z = spectrum((0.0, 0.15), (0.0, 0.2, -0.2))
    for stages in (4, 5, 6, 7):
        p = fit(z, stages)
        # p_4 = c_{s-3}/6, p_5 = c_{s-3} c_{s-4}/6, ...
        nodes = [p[k + 1] / p[k] for k in range(3, stages)][::-1]
        print(f"fitted, {stages} stages: {limit(p, z):.2f}; nodes {np.round(nodes, 8).tolist()} then 1/3, 2/3")


if __name__ == "__main__":
    main()
