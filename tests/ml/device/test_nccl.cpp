// Gradients through NCCL. Needs a GPU; on several ranks it depends on how many there are what is tested.
#include <gtest/gtest.h>

#include "kernels/exact_sums.hpp"
#include "ml/nccl_reduction.hpp"
#include "ml/notices.hpp"

namespace tramontane {
namespace {

constexpr std::size_t kCount = 1000;

/// Terms whose sum over ranks shows who contributed.
std::int64_t term(int rank, std::size_t k) {
  return (static_cast<std::int64_t>(k) + 1) * (std::int64_t{1} << (30 + 3 * rank));
}

struct Buffers {
  MemoryBuffer<std::int64_t> sums{"sums", kCount, Memory::device};
  MemoryBuffer<float> reduced{"reduced", kCount, Memory::device};
  GradientBuffers view() const {
    return {Memory::device, sums.data(), reduced.data(), {{600, kCount, 2, 4}, {200, 600, 1, 2}, {0, 200, 0, 1}}};
  }
};

TEST(ParallelNccl, SumsOverRanksOrSaysWhyNot) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  std::string heard;
  set_notices([&](const std::string& sentence) { heard += sentence; });
  Buffers buffers;
  auto reducer = make_nccl_reducer(MPI_COMM_WORLD, buffers.view(), 60);
  set_notices({});
  if (!reducer) {
    ASSERT_GT(ranks, 1) << heard;
    if (rank == 0) {
      EXPECT_NE(heard.find("share GPU"), std::string::npos) << heard;
    }
    return;
  }
  std::vector<std::int64_t> terms(kCount);
  std::vector<float> reduced(kCount);
  for (int step = 1; step <= 3; ++step) {
    for (std::size_t k = 0; k < kCount; ++k) terms[k] = step * term(rank, k);
    buffers.sums.copy_from_host(terms.data(), kCount);
    for (std::size_t bucket = 0; bucket < 3; ++bucket) reducer->start(bucket);
    reducer->finish();
    reducer->await();
    buffers.reduced.copy_to_host(reduced.data(), kCount);
    for (std::size_t k = 0; k < kCount; ++k) {
      std::int64_t sum = 0;
      for (int r = 0; r < ranks; ++r) sum += step * term(r, k);
      ASSERT_EQ(reduced[k], static_cast<float>(sum) * kExactUnit) << "element " << k << " of step " << step;
    }
  }
}

TEST(ParallelNccl, BuffersOnTheHostAreNotItsBusiness) {
  std::int64_t sum = 0;
  float reduced = 0;
  EXPECT_EQ(make_nccl_reducer(MPI_COMM_WORLD, {Memory::host, &sum, &reduced, {{0, 1, 0, 1}}}, 60), nullptr);
}

}  // namespace
}  // namespace tramontane
