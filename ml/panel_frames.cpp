#include "ml/panel_frames.hpp"

#include <fmt/format.h>

#include "kernels/panel_turns.hpp"

namespace tramontane {

PanelFrames::PanelFrames(const Tiling& grid, const PanelAxesTable& axes, int first, int count, Memory memory)
    : tiles_(count) {
  const std::size_t extent = grid.n + 2, size = grid.tile_cells();
  tile_cells_ = size * size;
  padded_cells_ = (size + 2) * (size + 2);
  if (axes.size() != kPanels * extent * extent * 6)
    throw InputError(fmt::format("the table of panel axes holds {} values where C{} needs {}", axes.size(), grid.n,
                                 kPanels * extent * extent * 6));
  std::vector<float> padded, cells;
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace place = grid.place(tile);
    for (std::size_t j = 0; j < size + 2; ++j) {
      const std::size_t row = (place.panel * extent + place.tj * size + j) * extent + place.ti * size;
      const auto begin = axes.begin() + static_cast<std::ptrdiff_t>(row * 6);
      const auto end = begin + static_cast<std::ptrdiff_t>((size + 2) * 6);
      padded.insert(padded.end(), begin, end);
      if (j > 0 && j < size + 1) cells.insert(cells.end(), begin + 6, end - 6);
    }
  }
  padded_ = MemoryBuffer<float>("axes of padded cells", padded.size(), memory);
  padded_.copy_from_host(padded.data(), padded.size());
  cells_ = MemoryBuffer<float>("axes of cells", cells.size(), memory);
  cells_.copy_from_host(cells.data(), cells.size());
}

template <class Scalar>
void PanelFrames::to_panel(Scalar* padded, int images, int stride, int at) const {
  in_space(padded_.memory(), [&](auto space) {
    turn_to_panel<decltype(space)>(images * padded_cells_, tiles_ * padded_cells_, padded_.data(), stride, at, padded);
  });
}

template <class Scalar>
void PanelFrames::to_cartesian(Scalar* cells, int images, int stride, int at) const {
  in_space(cells_.memory(), [&](auto space) {
    turn_to_cartesian<decltype(space)>(images * tile_cells_, tiles_ * tile_cells_, cells_.data(), stride, at, cells);
  });
}

template <class Scalar>
void PanelFrames::to_cartesian_adjoint(Scalar* cells, int images, int stride, int at) const {
  in_space(cells_.memory(), [&](auto space) {
    turn_to_cartesian_adjoint<decltype(space)>(images * tile_cells_, tiles_ * tile_cells_, cells_.data(), stride, at,
                                               cells);
  });
}

template void PanelFrames::to_panel<float>(float*, int, int, int) const;
template void PanelFrames::to_panel<Bfloat16>(Bfloat16*, int, int, int) const;
template void PanelFrames::to_panel<double>(double*, int, int, int) const;
template void PanelFrames::to_cartesian<float>(float*, int, int, int) const;
template void PanelFrames::to_cartesian<Bfloat16>(Bfloat16*, int, int, int) const;
template void PanelFrames::to_cartesian<double>(double*, int, int, int) const;
template void PanelFrames::to_cartesian_adjoint<float>(float*, int, int, int) const;
template void PanelFrames::to_cartesian_adjoint<Bfloat16>(Bfloat16*, int, int, int) const;
template void PanelFrames::to_cartesian_adjoint<double>(double*, int, int, int) const;

}  // namespace tramontane
