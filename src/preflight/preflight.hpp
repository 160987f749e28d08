/// What `tramontane check` looks at on the ranks of the job itself (docs/design/preflight.md).
#pragma once

#include <string>
#include <vector>

#include "src/preflight/node_facts.hpp"
#include "src/preflight/storage.hpp"
#include "src/preflight/talk.hpp"
#include "src/program/commands.hpp"
#include "src/program/estimate.hpp"
#include "src/stream/frame_path.hpp"

namespace tramontane {

/// Something that the job will trip over: `wrong` ends the preflight with exit code 2, the rest are warnings. A
/// sentence that says what to do.
struct Finding {
  bool wrong = false;
  std::string text;
};

/// What one rank finds on its node.
struct RankFindings {
  MemoryThere memory;
  ProcessorsThere processors;
  double needed_bytes = 0;  ///< by the estimate
};

/// How a solver rank's frames will leave the memory that kernels work on, and the reason.
struct FrameFindings {
  int rank = 0;
  FramePath path = FramePath::host;
  std::string text;
};

// What each part leads to; functions of what was found, for rank 0.
std::vector<Finding> judge_messages(const TalkReport& talk, const std::vector<Seat>& seats);
std::vector<Finding> judge_clocks(const std::vector<ClockOffset>& clocks);
/// Needed on each node against what is there. A node whose ranks disagree (control groups of their own) counts by its
/// least.
std::vector<Finding> judge_memory(const std::vector<RankFindings>& ranks, const std::vector<Seat>& seats);
std::vector<Finding> judge_frames(const std::vector<FrameFindings>& ranks, const std::vector<Seat>& seats);
std::vector<Finding> judge_processors(const std::vector<RankFindings>& ranks, const std::vector<Seat>& seats);
/// @param key deck key that names the folder
std::vector<Finding> judge_storage(const StorageReport& storage, const std::string& key, double needed_bytes,
                                   const std::vector<Seat>& seats);

/// Tries what the job will need on its own ranks, prints tables and a verdict on rank 0, and returns the exit code: 0
/// or 2. Collective over context.world. Throws InputError when ranks can not talk.
int preflight(const CommandContext& context, const Estimate& estimate);

}  // namespace tramontane
