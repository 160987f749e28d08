#include "ml/panel_frames.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tramontane {

PanelFrames::PanelFrames(const Tiling& grid, const PanelAxesTable& axes, int first, int count)
    : tiles_(count), size_(grid.tile_cells()) {
  const std::size_t extent = grid.n + 2;
  if (axes.size() != kPanels * extent * extent * 6)
    throw InputError(fmt::format("the table of panel axes holds {} values where C{} needs {}", axes.size(), grid.n,
                                 kPanels * extent * extent * 6));
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace place = grid.place(tile);
    for (int j = 0; j < size_ + 2; ++j) {
      const std::size_t row = (place.panel * extent + place.tj * size_ + j) * extent + place.ti * size_;
      padded_.insert(padded_.end(), axes.begin() + static_cast<std::ptrdiff_t>(row * 6),
                     axes.begin() + static_cast<std::ptrdiff_t>((row + size_ + 2) * 6));
    }
  }
}

template <class Scalar>
void PanelFrames::to_panel(Scalar* padded, int images, int stride, int at) const {
  const std::size_t per_tile = static_cast<std::size_t>(size_ + 2) * (size_ + 2);
  for (int image = 0; image < images; ++image) {
    const float* axes = &padded_[image % tiles_ * per_tile * 6];
    Scalar* cell = padded + image * per_tile * stride + at;
    for (std::size_t k = 0; k < per_tile; ++k, cell += stride, axes += 6) {
      const Scalar x = cell[0], y = cell[1], z = cell[2];
      cell[0] = x * axes[0] + y * axes[1] + z * axes[2];
      cell[1] = x * axes[3] + y * axes[4] + z * axes[5];
      cell[2] = std::sqrt(x * x + y * y + z * z);
    }
  }
}

namespace {
/// Calls f(cell's channels, its axes) for every interior cell.
template <class Scalar, class Function>
void for_cells(const std::vector<float>& padded, int tiles, int size, Scalar* cells, int images, int stride, int at,
               const Function& f) {
  const std::size_t extent = size + 2;
  Scalar* cell = cells + at;
  for (int image = 0; image < images; ++image)
    for (int j = 0; j < size; ++j) {
      const float* axes = &padded[((image % tiles * extent + j + 1) * extent + 1) * 6];
      for (int i = 0; i < size; ++i, cell += stride, axes += 6) f(cell, axes);
    }
}
}  // namespace

template <class Scalar>
void PanelFrames::to_cartesian(Scalar* cells, int images, int stride, int at) const {
  for_cells(padded_, tiles_, size_, cells, images, stride, at, [](Scalar* v, const float* axes) {
    const Scalar a = v[0], b = v[1];
    for (int c = 0; c < 3; ++c) v[c] = a * axes[c] + b * axes[3 + c];
  });
}

template <class Scalar>
void PanelFrames::to_cartesian_adjoint(Scalar* cells, int images, int stride, int at) const {
  for_cells(padded_, tiles_, size_, cells, images, stride, at, [](Scalar* v, const float* axes) {
    const Scalar x = v[0], y = v[1], z = v[2];
    v[0] = x * axes[0] + y * axes[1] + z * axes[2];
    v[1] = x * axes[3] + y * axes[4] + z * axes[5];
    v[2] = 0;
  });
}

template void PanelFrames::to_panel<float>(float*, int, int, int) const;
template void PanelFrames::to_panel<double>(double*, int, int, int) const;
template void PanelFrames::to_cartesian<float>(float*, int, int, int) const;
template void PanelFrames::to_cartesian<double>(double*, int, int, int) const;
template void PanelFrames::to_cartesian_adjoint<float>(float*, int, int, int) const;
template void PanelFrames::to_cartesian_adjoint<double>(double*, int, int, int) const;

}  // namespace tramontane
