/// Samples whose every number tells where it belongs, and folders that go away.
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"
#include "src/stream/stream.hpp"

namespace tramontane::test {

/// The value of variable v of a sample at a cell of (6, n, n): exact in single precision, different for every
/// (sample, variable, cell) of the small grids used here.
inline float value_at(std::int64_t sample, std::size_t v, std::size_t cell) {
  return static_cast<float>((sample % 16) * 65536 + static_cast<std::int64_t>(v) * 4096 +
                            static_cast<std::int64_t>(cell)) *
             0.25f +
         1.0f;
}

inline SampleInfo info_of(std::int64_t number) {
  return {number, static_cast<std::int32_t>(number / 5), static_cast<std::int32_t>(number % 3 == 0),
          static_cast<std::int32_t>(198301 + number), 3600.0 * static_cast<double>(number) + 0.5};
}

/// One variable on the whole sphere.
inline std::vector<float> global_field(const Tiling& g, std::int64_t sample, std::size_t v) {
  std::vector<float> field(g.cell_count());
  for (std::size_t cell = 0; cell < field.size(); ++cell) field[cell] = value_at(sample, v, cell);
  return field;
}

inline Sample whole_sample(const Tiling& g, std::int64_t number) {
  Sample s;
  s.info = info_of(number);
  s.n = g.n;
  for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v) {
    (v < sample_inputs().size() ? s.input : s.target).append(global_field(g, number, v));
  }
  return s;
}

/// The tiles of one rank, one vector per variable, and pointers to them.
struct OwnedTiles {
  std::vector<std::vector<float>> fields;
  std::vector<const float*> pointers;

  OwnedTiles(const Tiling& g, int rank, std::int64_t sample) {
    for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v)
      fields.push_back(tiles_from_global(g, global_field(g, sample, v), g.first_tile(rank), g.owned_count(rank)));
    for (const auto& field : fields) pointers.push_back(field.data());
  }
};

inline bool same(const SampleInfo& a, const SampleInfo& b) {
  return a.number == b.number && a.trajectory == b.trajectory && a.validation == b.validation && a.month == b.month &&
         a.time == b.time;
}
inline bool same(const Sample& a, const Sample& b) {
  return same(a.info, b.info) && a.n == b.n && a.input == b.input && a.target == b.target;
}

inline int world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
inline int world_size() {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// Every split of the ranks at hand into at least one solver and one or two learners.
inline std::vector<StreamRoles> splits() {
  std::vector<StreamRoles> all;
  for (int learners = 1; learners <= 2 && learners < world_size(); ++learners) {
    StreamRoles roles;
    // Learners among the solvers, not after them: ranks and indices must not be mixed up.
    for (int rank = 0; rank < world_size(); ++rank)
      (rank >= 1 && rank <= learners ? roles.learners : roles.solvers).push_back(rank);
    all.push_back(roles);
  }
  return all;
}

inline int index_in(const std::vector<int>& list, int rank) {
  const auto at = std::find(list.begin(), list.end(), rank);
  return at == list.end() ? -1 : static_cast<int>(at - list.begin());
}

inline StreamOptions options_of(WhenFull policy, int queue = 3, bool share_memory = true) {
  StreamOptions options;
  options.share_memory = share_memory;
  options.queue = queue;
  options.when_full = policy;
  options.deadline_seconds = 60;
  options.run_id = "test";
  return options;
}

/// Takes samples until the stream ends, after a sleep each, and checks every one. Returns their numbers.
inline std::vector<std::int64_t> take_all(StreamConsumer& consumer, const Tiling& g, std::chrono::milliseconds slow = {}) {
  std::vector<std::int64_t> taken;
  while (true) {
    std::this_thread::sleep_for(slow);
    const std::optional<Sample> sample = consumer.wait();
    if (!sample) return taken;
    EXPECT_TRUE(same(*sample, whole_sample(g, sample->info.number))) << sample->info.number;
    taken.push_back(sample->info.number);
  }
}

/// A folder that all ranks share; removed, with what lies in it, by rank 0 after all have left.
class SharedFolder {
 public:
  SharedFolder() {
    int id = static_cast<int>(getpid());
    MPI_Bcast(&id, 1, MPI_INT, 0, MPI_COMM_WORLD);
    path_ = std::filesystem::temp_directory_path() / ("tramontane-stream-" + std::to_string(id));
    if (world_rank() == 0) std::filesystem::create_directories(path_);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  ~SharedFolder() {
    MPI_Barrier(MPI_COMM_WORLD);
    std::error_code ignored;
    if (world_rank() == 0) std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace tramontane::test
