#include "src/program/machine.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "ml/visible_gpus.hpp"

namespace tramontane {

namespace {

constexpr int kNameBytes = 128, kGpuBytes = 512;

/// Everybody's text, cut to `width` - 1 bytes.
std::vector<std::string> gather(const std::string& text, int width, MPI_Comm world, int size) {
  std::vector<char> own(static_cast<std::size_t>(width), '\0'), all(own.size() * static_cast<std::size_t>(size));
  std::copy_n(text.begin(), std::min(text.size(), own.size() - 1), own.begin());
  MPI_Allgather(own.data(), width, MPI_CHAR, all.data(), width, MPI_CHAR, world);
  std::vector<std::string> texts;
  for (int rank = 0; rank < size; ++rank) texts.emplace_back(&all[own.size() * static_cast<std::size_t>(rank)]);
  return texts;
}

}  // namespace

Machine find_machine(MPI_Comm world) {
  int rank = 0, size = 1;
  MPI_Comm_rank(world, &rank);
  MPI_Comm_size(world, &size);
  // Ranks that share memory are on one node; its name alone would not tell containers of one name apart.
  MPI_Comm node;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  int mine[2] = {rank, 0};
  MPI_Bcast(&mine[0], 1, MPI_INT, 0, node);  // the node's first rank
  MPI_Comm_rank(node, &mine[1]);
  MPI_Comm_free(&node);
  std::vector<int> places(2 * static_cast<std::size_t>(size));
  MPI_Allgather(mine, 2, MPI_INT, places.data(), 2, MPI_INT, world);
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  MPI_Get_processor_name(name, &length);
  const std::vector<std::string> names = gather(std::string(name, static_cast<std::size_t>(length)), kNameBytes, world, size);
  const std::vector<std::string> gpus =
      gather(fmt::format("{}", fmt::join(visible_gpus(), " ")), kGpuBytes, world, size);

  Machine machine;
  std::map<int, int> node_of;  // by the node's first rank
  for (std::size_t r = 0; r < names.size(); ++r) {
    const int first = places[2 * r];
    if (node_of.emplace(first, static_cast<int>(machine.nodes.size())).second)
      machine.nodes.push_back(names[static_cast<std::size_t>(first)]);
    std::istringstream words(gpus[r]);
    Machine::Place place{node_of.at(first), places[2 * r + 1], {}};
    for (std::string gpu; words >> gpu;) place.gpus.push_back(gpu);
    machine.ranks.push_back(std::move(place));
  }
  return machine;
}

}  // namespace tramontane
