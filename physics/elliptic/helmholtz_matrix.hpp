/// The assembled matrix that preconditions the Helmholtz problem. Only for .cpp files: it includes PETSc.
#pragma once

#include "physics/elliptic/petsc_handles.hpp"
#include "physics/grid.hpp"

namespace tramontane {

/// Parallel AIJ matrix with a row for every owned cell, numbered (tile, level, j, i) over all ranks, nonzeros laid out,
/// values not set. Collective over comm.
petsc::Matrix helmholtz_matrix(const Grid& grid, MPI_Comm comm, int levels);

/// Fills it with 1 - s^2 phi laplacian on E, phi = reference - bottom / sqrt_g the depth below the reference level:
/// second order, differences over two cells (eta at i - 2, i, i + 2, and the four diagonal neighbours),
///   a^2 laplacian f = G^aa f_aa + 2 G^ab f_ab + G^bb f_bb
/// because the panel angles are harmonic. A neighbour beyond a panel's edge is the cell that holds its point.
/// It depends on s and the orography alone, so a run that stops and starts finds the same one.
/// @param bottom as ShallowWater::bottom(), (tile, j, i); s in seconds
void fill_helmholtz_matrix(Mat matrix, const Grid& grid, int levels, double reference, const View<Real***>& bottom,
                           double s);

}  // namespace tramontane
