// What the preflight concludes from what it found, without a job.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "job.hpp"
#include "src/preflight/preflight.hpp"

namespace tramontane {
namespace {

std::vector<Seat> seats(int ranks, int ranks_per_node) {
  std::vector<Seat> all(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    Seat& seat = all[static_cast<std::size_t>(rank)];
    seat.world_rank = rank;
    seat.node = rank / ranks_per_node;
    seat.node_name = fmt::format("n{}", seat.node);
  }
  return all;
}

std::vector<RankFindings> findings(int ranks, double needed, double there, int processors = 64, int threads = 1) {
  RankFindings one;
  one.memory = {there, "memory of the node"};
  one.processors = {processors, processors, "0-63", threads};
  one.needed_bytes = needed;
  return std::vector<RankFindings>(static_cast<std::size_t>(ranks), one);
}

bool mentions(const Finding& finding, const std::string& text) {
  return finding.text.find(text) != std::string::npos;
}

TEST(Findings, MemoryIsCountedByNode) {
  // Four ranks of 3 GB on a node of 10: too much together.
  const auto found = judge_memory(findings(4, 3e9, 10e9), seats(4, 4));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "the ranks on n0 need about 12 GB of memory and only 10 GB are there"))
      << found[0].text;
  EXPECT_TRUE(judge_memory(findings(4, 1e9, 10e9), seats(4, 4)).empty());
  // Two on each of two nodes: tight by the estimate, not more.
  const auto tight = judge_memory(findings(4, 3e9, 10e9), seats(4, 2));
  ASSERT_EQ(tight.size(), 1u);
  EXPECT_FALSE(tight[0].wrong);
}

TEST(Findings, TheTightestLimitOfANodeCounts) {
  auto ranks = findings(2, 1e9, 100e9);
  ranks[1].memory = {1.5e9, "limit of the batch system or container (cgroup)"};
  const auto found = judge_memory(ranks, seats(2, 2));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "cgroup")) << found[0].text;
}

TEST(Findings, CrowdedProcessors) {
  EXPECT_TRUE(judge_processors(findings(64, 0, 1, 64), seats(64, 64)).empty());
  auto found = judge_processors(findings(65, 0, 1, 64), seats(65, 65));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(mentions(found[0], "n0 runs 65 ranks on 64 processors")) << found[0].text;
  // Bound, but two to the same core.
  auto ranks = findings(4, 0, 1, 64);
  for (int rank = 0; rank < 4; ++rank) {
    ranks[static_cast<std::size_t>(rank)].processors.usable = 1;
    ranks[static_cast<std::size_t>(rank)].processors.list = std::to_string(rank / 2);
  }
  found = judge_processors(ranks, seats(4, 4));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(mentions(found[0], "2 ranks share processor(s)")) << found[0].text;
  found = judge_processors(findings(4, 0, 1, 64, 32), seats(4, 4));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(mentions(found[0], "OMP_NUM_THREADS")) << found[0].text;
}

TEST(Findings, FramesThroughOrdinaryMemory) {
  std::vector<FrameFindings> ranks = {{0, FramePath::slot, "fast"}, {1, FramePath::staged, "fast"}, {2, FramePath::host, ""}};
  EXPECT_TRUE(judge_frames(ranks, seats(4, 2)).empty());
  EXPECT_TRUE(judge_frames({}, seats(4, 2)).empty());
  ranks[2] = {2, FramePath::pageable, "slowly (refused)"};
  const auto found = judge_frames(ranks, seats(4, 2));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "on 1 of 3 solver rank(s), the first of them rank 2 on n1, slowly (refused)"));
}

TEST(Findings, ALameLinkIsNamed) {
  TalkReport talk;
  for (int a = 0; a < 4; ++a)
    for (int b = a + 1; b < 4; ++b) talk.pairs.push_back({a, b, 1e-6, a == 1 && b == 3 ? 0.5e9 : 10e9});
  const auto found = judge_messages(talk, seats(4, 1));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "ranks 1 (n1) and 3 (n3)")) << found[0].text;
  // Slow between nodes and fast inside is as it should be.
  for (PairFigures& pair : talk.pairs) pair.bandwidth = pair.a / 2 == pair.b / 2 ? 10e9 : 0.5e9;
  EXPECT_TRUE(judge_messages(talk, seats(4, 2)).empty());
}

TEST(Findings, ClocksThatAreApart) {
  EXPECT_TRUE(judge_clocks({{0, 0}, {0.4, 0.001}, {3, 2.5}}).empty());
  const auto found = judge_clocks({{0, 0}, {-2.0, 0.001}});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(mentions(found[0], "rank 1 is -2.0 s")) << found[0].text;
}

TEST(Findings, Storage) {
  StorageReport storage;
  storage.folder = "/scratch";
  storage.bytes = 64e6;
  storage.write_seconds = 0.1;
  storage.free_bytes = 1e12;
  storage.obstacles.resize(4);
  EXPECT_TRUE(judge_storage(storage, "output.dir", 1e9, seats(4, 2)).empty());
  auto found = judge_storage(storage, "output.dir", 2e12, seats(4, 2));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "writes about 2 TB and /scratch has 1 TB free")) << found[0].text;
  storage.obstacles[2] = "does not see rank 0's file there: the folder is not shared";
  found = judge_storage(storage, "output.dir", 0, seats(4, 2));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].wrong);
  EXPECT_TRUE(mentions(found[0], "rank 2 on n1")) << found[0].text;
}

TEST(NodeFacts, MemoryIsTheLeastOfNodeAndGroups) {
  const testing::Scratch root("memory");
  const std::filesystem::path top = root / "";
  const auto put = [&](const std::string& file, const std::string& text) {
    std::filesystem::create_directories((top / file).parent_path());
    std::ofstream(top / file) << text;
  };
  put("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:   1 kB\nMemAvailable:   8000000 kB\n");
  EXPECT_EQ(memory_there(top).bytes, 8192e6);
  EXPECT_EQ(memory_there(top).limit, "memory of the node");
  // The limit stands two groups up, and part of it is used.
  put("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  put("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  put("sys/fs/cgroup/slurm/job_7/memory.max", "4000000000\n");
  put("sys/fs/cgroup/slurm/job_7/memory.current", "1000000000\n");
  EXPECT_EQ(memory_there(top).bytes, 3e9);
  EXPECT_NE(memory_there(top).limit.find("cgroup"), std::string::npos);
  // Version 1, in a container that does not see its own path.
  put("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000000\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "500000000\n");
  EXPECT_EQ(memory_there(top).bytes, 1.5e9);
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(memory_there(top).bytes, 8192e6);
}

TEST(NodeFacts, ThisMachine) {
  const MemoryThere memory = memory_there();
  EXPECT_GT(memory.bytes, 1e6);
  EXPECT_LT(memory.bytes, 1e15);
  const ProcessorsThere processors = processors_there();
  EXPECT_GE(processors.usable, 1);
  EXPECT_GE(processors.on_node, processors.usable);
  EXPECT_FALSE(processors.list.empty());
}

TEST(NodeFacts, TransportComponents) {
  EXPECT_EQ(
      transport_components("7f r-xp /usr/lib/openmpi3/mca_btl_vader.so\n7f /usr/lib/openmpi3/mca_btl_tcp.so\n"
                           "7f /usr/lib/openmpi3/mca_pml_ob1.so\n7f /usr/lib/openmpi3/mca_pml_ob1.so\n7f [heap]\n"),
      "pml ob1, btl tcp vader");
  EXPECT_EQ(transport_components("nothing of it"), "");
}

// With real ranks.
TEST(ParallelPreflight, EveryPairTalks) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const std::vector<std::string> nodes(static_cast<std::size_t>(size), "here");
  const TalkReport talk = try_messages(MPI_COMM_WORLD, nodes, 60);
  const auto clocks = clock_offsets(MPI_COMM_WORLD, 60);
  if (rank != 0) return;
  EXPECT_TRUE(talk.has_all_pairs);
  ASSERT_EQ(talk.pairs.size(), static_cast<std::size_t>(size * (size - 1) / 2));
  std::size_t k = 0;
  for (int a = 0; a < size; ++a)
    for (int b = a + 1; b < size; ++b, ++k) {
      EXPECT_EQ(talk.pairs[k].a, a);
      EXPECT_EQ(talk.pairs[k].b, b);
      EXPECT_GT(talk.pairs[k].latency, 0);
      EXPECT_GT(talk.pairs[k].bandwidth, 0);
    }
  ASSERT_EQ(clocks.size(), static_cast<std::size_t>(size));
  // One machine has one clock: the offset found is within what the round trip leaves open.
  for (const ClockOffset& clock : clocks) EXPECT_LE(std::abs(clock.offset), clock.uncertainty + 1e-6);
}

TEST(ParallelPreflight, StorageIsTriedAndLeftClean) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::string name = std::filesystem::temp_directory_path() / ("tramontane-storage-" + std::to_string(getpid()));
  name.resize(256);
  MPI_Bcast(name.data(), 256, MPI_CHAR, 0, MPI_COMM_WORLD);
  const std::filesystem::path folder = name.c_str();
  if (rank == 0) std::filesystem::create_directories(folder);
  MPI_Barrier(MPI_COMM_WORLD);
  const StorageReport good = try_storage(folder, MPI_COMM_WORLD);
  if (rank == 0) {
    EXPECT_TRUE(good.good());
    EXPECT_EQ(good.bytes, 16.0 * (1 << 20) * size);
    EXPECT_GT(good.write_seconds, 0);
    EXPECT_GT(good.read_seconds, 0);
    EXPECT_GT(good.free_bytes, 0);
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    std::filesystem::remove(folder);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  const StorageReport gone = try_storage(folder / "not-there", MPI_COMM_WORLD);
  if (rank == 0) {
    EXPECT_FALSE(gone.good());
    ASSERT_EQ(gone.obstacles.size(), static_cast<std::size_t>(size));
    for (const std::string& obstacle : gone.obstacles)
      EXPECT_EQ(obstacle, "can not make a file there: No such file or directory");
  }
}

}  // namespace
}  // namespace tramontane
