// Which ranks share a GPU: decided from names, so it needs none.
#include <gtest/gtest.h>

#include "ml/device_sharing.hpp"
#include "ml/notices.hpp"

namespace tramontane {
namespace {

TEST(DeviceSharing, FindsTheFirstPair) {
  EXPECT_FALSE(find_shared_device({}));
  EXPECT_FALSE(find_shared_device({"0000:3b:00.0 on a"}));
  EXPECT_FALSE(find_shared_device({"0000:3b:00.0 on a", "0000:3b:00.0 on b", "0000:af:00.0 on a"}));
  const SharedDevice shared = find_shared_device({"x on a", "y on a", "z on a", "y on a", "x on a"});
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared.first, 1);
  EXPECT_EQ(shared.second, 3);
  EXPECT_EQ(shared.device, "y on a");
}

TEST(ParallelDeviceSharing, EveryRankHearsAllNames) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const auto texts =
      gather_texts("device " + std::to_string(rank) + std::string(rank == 1 ? 400 : 0, 'x'), MPI_COMM_WORLD, 60);
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(ranks));
  for (int r = 0; r < ranks; ++r) EXPECT_EQ(texts[r].substr(0, 8), "device " + std::to_string(r));
  if (ranks > 1) {
    EXPECT_EQ(texts[1].size(), 255u);
  }
}

TEST(Notices, GoWhereTheyAreSent) {
  std::string heard;
  set_notices([&](const std::string& sentence) { heard += sentence; });
  notice("one");
  set_notices({});
  EXPECT_EQ(heard, "one");
}

}  // namespace
}  // namespace tramontane
