/// How frames leave the memory that kernels work on.
#pragma once

#include <string>

namespace tramontane {

enum class FramePath {
  host,      ///< the host reads that memory: the frame is made from where the kernel left its numbers
  slot,      ///< the device writes into the queue's frames, which are page-locked, while the solver goes on
  staged,    ///< through one page-locked buffer
  pageable,  ///< through one ordinary buffer
};
const char* name(FramePath path);

/// What was found by asking.
struct FramePathFacts {
  bool host_reads = true;             ///< kHostReadsKernelMemory
  bool has_queue = true;              ///< there is a stream
  bool archives = false;              ///< the numbers are needed on the host as well
  std::string queue_not_locked = {};  ///< why the queue's memory is not page-locked; empty: it is
  std::string buffer_not_locked = {};
};

/// What a job will find on this rank, as far as a trial with a buffer of its own tells.
FramePathFacts try_frame_path(bool has_queue, bool archives);

/// The best path that is there.
FramePath choose_frame_path(const FramePathFacts& facts);
/// The choice and its reason, for people: what follows "frames: ".
std::string frame_path_text(const FramePathFacts& facts);

}  // namespace tramontane
