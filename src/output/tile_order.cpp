#include "src/output/tile_order.hpp"

#include <algorithm>
#include <numeric>

namespace tramontane {

std::vector<std::size_t> order_in_file(const Tiling& tiling, int rank) {
  const int size = tiling.tile_cells(), first = tiling.first_tile(rank), count = tiling.owned_count(rank);
  std::vector<std::size_t> offsets, order;
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace place = tiling.place(tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i)
        offsets.push_back(tiling.global_offset({place.panel, place.tj * size + j, place.ti * size + i}));
  }
  order.resize(offsets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return offsets[a] < offsets[b]; });
  return order;
}

}  // namespace tramontane
