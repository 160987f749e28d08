/// Rows of the solver's table of edge points, beside the edges' own geometry (PanelEdges).
#pragma once

namespace tramontane {

enum EdgeTable : int {
  kEdgeInverseMean,    ///< one over mean sqrt_g, reconstructed as the own state is
  kEdgePressureAlpha,  ///< factors of the pressure in the fluxes of M^alpha and M^beta
  kEdgePressureBeta,
  kEdgeBottom,  ///< phi_s, the same on both panels
  kEdgeTableRows
};

}  // namespace tramontane
