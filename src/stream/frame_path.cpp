#include "src/stream/frame_path.hpp"

#include <vector>

#include "kernels/device_copy.hpp"

namespace tramontane {

FramePathFacts try_frame_path(bool has_queue, bool archives) {
  FramePathFacts facts{kHostReadsKernelMemory, has_queue, archives};
  if (facts.host_reads) return facts;
  std::vector<std::byte> memory(1 << 20);
  const PageLock trial(memory.data(), memory.size());
  facts.queue_not_locked = facts.buffer_not_locked = trial.why_not();
  return facts;
}

const char* name(FramePath path) {
  constexpr const char* names[] = {"host", "slot", "staged", "pageable"};
  return names[static_cast<int>(path)];
}

FramePath choose_frame_path(const FramePathFacts& facts) {
  if (facts.host_reads) return FramePath::host;
  // One copy for both, frame and archive, is less than one for each.
  if (facts.has_queue && !facts.archives && facts.queue_not_locked.empty()) return FramePath::slot;
  return facts.buffer_not_locked.empty() ? FramePath::staged : FramePath::pageable;
}

std::string frame_path_text(const FramePathFacts& facts) {
  std::string why;
  if (facts.archives || !facts.has_queue)
    why = "the archive needs the numbers on the host";
  else if (!facts.queue_not_locked.empty())
    why = "the queue is not page-locked: " + facts.queue_not_locked;
  switch (choose_frame_path(facts)) {
    case FramePath::host:
      return "made in host memory, where kernels work: nothing is copied to get there";
    case FramePath::slot:
      return "the GPU writes their numbers into the stream's page-locked queue, while the solver goes on";
    case FramePath::staged:
      return "their numbers leave the GPU through a page-locked buffer (" + why + ")";
    case FramePath::pageable:
      return "their numbers leave the GPU through ordinary memory, slowly (" +
             (why.empty() ? why : why + "; ") + "its buffer is not page-locked: " + facts.buffer_not_locked + ")";
  }
  return {};
}

}  // namespace tramontane
